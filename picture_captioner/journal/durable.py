"""Bytes that are still there after a power cut: sync, directory sync, atomic replacement.

And one writer at a time: an flock beside the journal that names its holder (`WriterLock`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from picture_captioner.errors import JournalError, JournalLockedError

ROOM_FOR_JOURNAL = 100_000_000
"""Bytes: 100,000 captions with their log. What can be computed again leaves so much free."""


def has_room(folder: Path) -> bool:
    """Whether the disk has room for more than the journal; what cannot be asked has."""
    try:
        return shutil.disk_usage(folder).free >= ROOM_FOR_JOURNAL
    except OSError:
        return True


def sync(descriptor: int) -> None:
    """Return when the file's data and length are on the disk.

    Raises:
        OSError: they may not be, and another sync would not tell (it may report success).
    """
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync stops at the drive's cache there
    else:
        os.fdatasync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make a new or renamed file's name durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_durably(path: Path, pieces: Iterable[bytes]) -> None:
    """Append to a file that only its owner may read, and sync it; never through a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as stream:
        end = os.fstat(descriptor).st_size
        try:
            for piece in pieces:
                write_all(stream, piece)
            sync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # the next append is glued to nothing
                os.ftruncate(descriptor, end)
            raise
    sync_directory(path.parent)


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing, for their owner alone (0700)."""
    if not path.is_dir():
        if path.parent != path:
            make_folders(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all of `data`; raise OSError when the disk takes only a part."""
    written = stream.write(data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes could be written (disk full?)")


class ReplacedError(OSError):
    """The new file has taken the old one's place; whether a power cut undoes that is not known."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a new file that takes the place of `path` when the block ends well.

    The old file stays as it was when the block raises or the process dies. Its mode is kept. The
    caller holds the lock, so the new file can always have the same name: what a killed process
    left under it is removed by the next.

    Raises:
        ReplacedError: the directory could not be synced after the new file was in place.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if path.exists():
                os.fchmod(stream.fileno(), path.stat().st_mode & 0o777)
            sync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise ReplacedError(error.errno, error.strerror) from error


@contextlib.contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """A stream to a file that a person named; an older one stays until the block ends well.

    A device or a pipe (/dev/stdout) is written into, and of a link the file that it leads to is
    replaced: a rename would put a file in the place of either.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    with replacing(Path(os.path.realpath(path))) as stream:  # `resolve` raises for a loop of links
        yield stream


def is_another(path: Path, beginning: re.Pattern[bytes]) -> bool:
    """Whether a file is there that does not begin so: to write into it would destroy it.

    An empty file, a pipe or a device is none.

    Raises:
        OSError: it cannot be looked at.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as stream:
        return beginning.match(stream.read(200)) is None


_TRIES = 100


class WriterLock:
    """Holds `<journal>.lock` until `release`, or until the process dies.

    A file of its own: compacting replaces the journal, and a lock on the replaced file alone would
    guard nothing. It is left in place, since removing it would race with the next writer, unless
    the journal holds nothing and goes, too: who took a lock file that is gone takes the next one.

    It also says whether a run is under way, and in which order it takes its photos: what stands
    there when the lock is taken is what the last run died in the middle of (`died`).
    """

    def __init__(self, journal: Path) -> None:
        """Take the lock without waiting.

        Raises:
            JournalLockedError: another process has it; the message says which.
            JournalError: the lock file cannot be made, or the file system has no locks.
        """
        self._journal, self._path = journal, journal.with_name(journal.name + ".lock")
        for _ in range(_TRIES):
            self._descriptor = self._open(self._path)
            try:
                self._take(self._path, journal)
            except BaseException:
                os.close(self._descriptor)
                raise
            if os.fstat(self._descriptor).st_nlink:
                return
            os.close(self._descriptor)
        raise JournalLockedError(
            f"somebody deletes {self._path.name} beside {journal} again and again; stop that, or "
            "name another journal with --captions-jsonl"
        )

    @staticmethod
    def _open(path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            return os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_ours(path, "it is a link") from error
            raise JournalError(
                f"cannot create {path}: {error.strerror}; the journal's directory must be writable"
            ) from error

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
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
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

    def remove(self) -> None:
        """Remove the lock file of a journal that is not there any more."""
        self._path.unlink()

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
