"""One writer at a time: an flock beside the journal that names its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

from picture_captioner.errors import JournalError, JournalLockedError
from picture_captioner.journal.record import utc_now


class WriterLock:
    """Holds `<journal>.lock` until `release`, or until the process dies.

    A file of its own: compacting replaces the journal, and a lock on the replaced file alone would
    guard nothing. It is left in place, since removing it would race with the next writer.
    """

    def __init__(self, journal: Path) -> None:
        """Take the lock without waiting.

        Raises:
            JournalLockedError: another process has it; the message says which.
            JournalError: the lock file cannot be made, or the file system has no locks.
        """
        path = journal.with_name(journal.name + ".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"cannot create {path}: {error.strerror}; the journal's directory must be writable"
            ) from error
        try:
            self._take(journal)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, journal: Path) -> None:
        _lock(self._descriptor, journal, self._holder)
        self._sign(journal)

    def guard(self, descriptor: int, journal: Path) -> None:
        """Lock the open journal too: somebody may delete the lock file and start a second run.

        Raises:
            JournalLockedError, JournalError: as for the lock file.
        """
        _lock(descriptor, journal, lambda: "a process whose lock file was deleted")

    def _sign(self, journal: Path) -> None:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": utc_now()}
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(holder).encode("ascii"), 0)
        except OSError as error:
            raise JournalError(f"cannot write beside {journal}: {error.strerror}") from error

    def _holder(self) -> str:
        try:
            held = json.loads(os.pread(self._descriptor, 4096, 0))
            return f"process {held['pid']} on {held['host']} since {held['since']}"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)


def _lock(descriptor: int, journal: Path, holder: Callable[[], str]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalLockedError(
            f"{journal} is being written by {holder()}; "
            "wait for it, stop it, or use another --captions-jsonl"
        ) from error
    except OSError as error:
        hint = " (put it on a local disk)" if error.errno in {errno.ENOLCK, errno.ENOTSUP} else ""
        raise JournalError(f"cannot lock {journal}: {error.strerror}{hint}") from error
