"""A file as lines, with bounded memory whatever it holds, and what is damage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from picture_captioner.errors import JournalError

CHUNK_BYTES = 1 << 18

MAX_LINE_BYTES = 16 << 20
"""A longer line is damage: the longest real record is a few kilobytes."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line as found on disk, without its newline.

    `length` is its number of bytes there; `data` is empty when that is over the limit.
    """

    number: int
    offset: int
    data: bytes
    length: int
    terminated: bool = True


class Run(NamedTuple):
    """Consecutive complete lines of ordinary length."""

    number: int
    offset: int
    lines: Sequence[bytes]

    def numbered(self) -> Iterator[Line]:
        """The lines one by one."""
        offset = self.offset
        for number, data in enumerate(self.lines, self.number):
            yield Line(number, offset, data, len(data))
            offset += len(data) + 1


class Damage(NamedTuple):
    """A line that is not a record."""

    line: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} (byte {self.offset}) is not a record: {self.reason}"


def open_for_reading(path: Path) -> BinaryIO:
    """The journal as a binary stream.

    Raises:
        JournalError: it is not a regular file, or cannot be opened.
    """
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to must not wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    require_regular_file(descriptor, path)
    return os.fdopen(descriptor, "rb", buffering=0)


def require_regular_file(descriptor: int, path: Path) -> None:
    """Close the descriptor and raise JournalError unless it is a regular file."""
    try:
        require_regular_mode(os.fstat(descriptor).st_mode, path)
    except JournalError:
        os.close(descriptor)
        raise


def require_regular_mode(mode: int, path: Path) -> None:
    """Raise JournalError unless `mode`, as `stat` gave it, is that of a regular file."""
    if not stat.S_ISREG(mode):
        raise JournalError(f"the journal {path} is not a regular file; name another one")


def read_lines(stream: BinaryIO, start: int = 0) -> Iterator[Line]:
    """Split a stream at newline bytes, with bounded memory whatever the stream holds.

    A byte order mark at the beginning belongs to no line. From a `start` that is not 0, where a
    line begins, numbers count from there.
    """
    for found in read_runs(stream, start):
        if isinstance(found, Run):
            yield from found.numbered()
        else:
            yield found


def read_runs(stream: BinaryIO, start: int = 0) -> Iterator[Run | Line]:
    """Ordinary lines in runs, since a million are read faster so; others as a `Line` each."""
    offset = stream.seek(start) if start else skip_byte_order_mark(stream)
    number, held, skipped = 1, b"", 0
    while chunk := stream.read(CHUNK_BYTES):
        lines = (held + chunk).split(b"\n")
        held = lines.pop()
        if lines and skipped + len(lines[0]) > MAX_LINE_BYTES:
            length = skipped + len(lines.pop(0))
            yield Line(number, offset, b"", length)
            number, offset, skipped = number + 1, offset + length + 1, 0
        if lines:
            yield Run(number, offset, lines)
            number, offset = number + len(lines), offset + sum(map(len, lines)) + len(lines)
        if skipped or len(held) > MAX_LINE_BYTES:
            skipped, held = skipped + len(held), b""
    if held or skipped:
        yield Line(number, offset, held, skipped + len(held), terminated=False)


def skip_byte_order_mark(stream: BinaryIO) -> int:
    """Go to the first byte of the first line; its offset."""
    if stream.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK:
        return len(_BYTE_ORDER_MARK)
    return stream.seek(0)
