"""What a process may do, as the kernel enforces it."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Let no crash leave the keys and photos in this process's memory on the disk.

    A limit of 0 is not enough on Linux: a core that goes to a program (systemd-coredump) ignores
    it. A process that is not dumpable cannot be traced by others of the same user either.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
