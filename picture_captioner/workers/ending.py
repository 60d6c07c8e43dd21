"""How a process ended, in words; and how to end one together with what it started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def cause_of_death(code: int | None) -> str:
    """What an exit status says, to follow a noun: `crashed (SIGSEGV)`.

    `code` is as subprocess and multiprocessing give it: minus the signal's number after one.
    """
    if code is None:
        return "broke off the conversation"
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL): was the machine out of memory?"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def kill_group(leader: int | None) -> None:
    """SIGKILL for a process that leads a group, and for its children.

    To be asked for only while the number is known to be that process's own.
    """
    if leader is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
