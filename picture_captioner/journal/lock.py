"""One writer at a time: an flock beside the journal that names its holder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from picture_captioner.errors import JournalError, JournalLockedError
from picture_captioner.journal.record import utc_now


class WriterLock:
    """Holds `<journal>.lock` until `release`, or until the process dies.

    A file of its own: compacting replaces the journal, and a lock on the replaced file alone would
    guard nothing. It is left in place, since removing it would race with the next writer.

    It also says whether a run is under way, and in which order it takes its photos: what stands
    there when the lock is taken is what the last run died in the middle of (`died`).
    """

    def __init__(self, journal: Path) -> None:
        """Take the lock without waiting.

        Raises:
            JournalLockedError: another process has it; the message says which.
            JournalError: the lock file cannot be made, or the file system has no locks.
        """
        path = journal.with_name(journal.name + ".lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_ours(path, "it is a link") from error
            raise JournalError(
                f"cannot create {path}: {error.strerror}; the journal's directory must be writable"
            ) from error
        try:
            self._journal = journal
            self._take(path, journal)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _take(self, path: Path, journal: Path) -> None:
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise _not_ours(path, "it is not a file of its own")
        _lock(self._descriptor, journal, self._holder)
        held = os.pread(self._descriptor, 4096, 0)
        if held.strip(b"\0") and not held.startswith(b'{"pid"'):
            raise _not_ours(path, "it holds something else")
        self.died = self._read().get("running")
        self.sign()

    def guard(self, descriptor: int, journal: Path) -> None:
        """Lock the open journal too: somebody may delete the lock file and start a second run.

        Raises:
            JournalLockedError, JournalError: as for the lock file.
        """
        _lock(descriptor, journal, lambda: "a process whose lock file was deleted")

    def sign(self, running: str | None = None) -> None:
        """Say who holds the lock and, if a run is under way, in which order it takes its photos.

        Raises:
            JournalError: it cannot be written.
        """
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": utc_now()}
        if running:
            holder["running"] = running
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(holder).encode("ascii"), 0)
        except OSError as error:
            raise JournalError(f"cannot write beside {self._journal}: {error.strerror}") from error

    def _read(self) -> dict[str, Any]:
        """What the lock file says; nothing if it makes no sense."""
        try:
            said = json.loads(os.pread(self._descriptor, 4096, 0))
        except (OSError, ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def _holder(self) -> str:
        held = self._read()
        try:
            return f"process {held['pid']} on {held['host']} since {held['since']}"
        except KeyError:
            return "another process"

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)


def _not_ours(path: Path, why: str) -> JournalError:
    """Signing the file would empty it."""
    return JournalError(
        f"{path} is no lock file of this program ({why}): move it away, or name another journal "
        "with --captions-jsonl"
    )


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
