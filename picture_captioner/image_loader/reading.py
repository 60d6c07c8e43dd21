"""The bytes of a photo: opened once, read once, described by the descriptor that was read.

An error of the disk or of permissions is no verdict on the photo (`UnreadableFileError`): it
stays pending and is tried again next time.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from picture_captioner.errors import EmptyFileError, ImageTooLargeError, UnreadableFileError

MAX_FILE_BYTES = 1 << 30
"""1 GiB; the largest real photos seen, 150-megapixel TIFFs in 16 bits, are 0.9 GiB."""


@dataclass(frozen=True)
class FileContent:
    """A whole file. `size` is in bytes; `size` and `mtime_ns` come from the descriptor read."""

    data: bytes
    content_sha256: str
    size: int
    mtime_ns: int


class OpenedPhoto(NamedTuple):
    """A photo that somebody else opened, and will close; `suffix` is that of its name."""

    descriptor: int
    suffix: str


def open_descriptor(path: Path) -> int:
    """Open a photo for a process that may open none; raise `UnreadableFileError` if that fails."""
    with reading_errors():
        return _open_without_waiting(os.fspath(path), os.O_RDONLY)


def read_file(path: Path | OpenedPhoto) -> FileContent:
    """Read a photo's bytes.

    Raises:
        UnreadableFileError: gone, forbidden, not a regular file, a disk error, or it changed
            while it was read (a copy still under way is not a truncated photo).
        EmptyFileError, ImageTooLargeError: nothing in it, or over `MAX_FILE_BYTES`.
    """
    with open_photo(path) as (file, status):
        # One byte more than there should be, to notice a file that is still growing.
        data = file.read(status.st_size + 1)
        after = os.fstat(file.fileno())
    # A copy into a file that has its full size already shows in its time only.
    if len(data) != status.st_size or after.st_mtime_ns != status.st_mtime_ns:
        raise UnreadableFileError("the file changed while it was read; it is left for next time")
    digest = hashlib.sha256(data).hexdigest()
    return FileContent(data, digest, status.st_size, status.st_mtime_ns)


@contextmanager
def open_photo(path: Path | OpenedPhoto) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    """Open a regular, non-empty file of bearable size; errors as in `read_file`."""
    with reading_errors(), _opened(path) as file:
        status = os.fstat(file.fileno())
        _check(status)
        yield file, status


def _opened(path: Path | OpenedPhoto) -> IO[bytes]:
    if isinstance(path, OpenedPhoto):
        return os.fdopen(path.descriptor, "rb", closefd=False)
    return open(path, "rb", opener=_open_without_waiting)


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a FIFO would otherwise wait for somebody to write into it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError("not a regular file")
    if status.st_size == 0:
        raise EmptyFileError("the file is empty")
    if status.st_size > MAX_FILE_BYTES:
        raise ImageTooLargeError(
            f"the file has {status.st_size / 2**30:.1f} GiB; the limit is "
            f"{MAX_FILE_BYTES / 2**30:.0f} GiB"
        )


@contextmanager
def reading_errors() -> Iterator[None]:
    """Turn the operating system's errors into `UnreadableFileError`, without the path.

    Decoders raise OSError too, but theirs carry no errno and pass through.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        reason = os.strerror(error.errno)
        raise UnreadableFileError(f"the file cannot be read: {reason}") from error
