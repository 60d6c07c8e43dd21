"""Bytes that are still there after a power cut: sync, directory sync, atomic replacement."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

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
