"""What was appended to the journal since a reader was here last, for indexes that follow it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import msgspec

from picture_captioner.errors import JournalError
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.lines import Damage, open_for_reading, read_lines
from picture_captioner.journal.reading import parse_line
from picture_captioner.journal.record import Record

_WINDOW_BYTES = 4096


class _Position(msgspec.Struct, frozen=True):
    """Where reading ended, and how to know the file again.

    `digest` is over the first and the last 4 KiB that were read: compacting and merging replace
    the file, and only a merge leaves its beginning as it was. `rules` says by which of them lines
    were taken for records: a later number has the journal read from its beginning once more.
    """

    offset: int
    device: int
    inode: int
    digest: str
    rules: Literal[1]  # before there was one, a path might lead out of the photos folder


class JournalTail:
    """The records after a position that an earlier tail returned, then `position` for the next.

    `restarted` says that there was no such position, or that the journal is another file now:
    the records then come from the beginning, and what was made of earlier ones is void. Lines
    that are no records are passed over and counted in `damaged`.

    Raises:
        JournalError: the journal is not there or cannot be read.
    """

    def __init__(self, path: Path, position: str | None) -> None:
        self._path = path
        self._stream = open_for_reading(path)
        self.damaged = 0
        known = _decode(position)
        try:
            self._status = os.fstat(self._stream.fileno())
            self.restarted = known is None or not self._is_same_file(known)
        except OSError as error:
            self._stream.close()
            raise self._unreadable(error) from error
        self._offset = 0 if known is None or self.restarted else known.offset

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def up_to_date(self) -> bool:
        """Whether not one byte was added."""
        return not self.restarted and self._status.st_size == self._offset

    def records(self) -> Iterator[Record]:
        """Every record in the order of the file; a torn line at its end is left for later."""
        try:
            for line in read_lines(self._stream, self._offset):
                if not line.terminated:
                    return
                found = parse_line(line)
                self._offset = line.offset + line.length + 1
                if isinstance(found, Damage):
                    self.damaged += 1
                elif found is not None:
                    yield Record.from_mapping(read_fields(line.data))
        except OSError as error:
            raise self._unreadable(error) from error

    def position(self) -> str:
        """Where reading has come to, to be kept and handed to the next tail."""
        reached = _Position(
            self._offset, self._status.st_dev, self._status.st_ino, self._digest(self._offset), 1
        )
        return msgspec.json.encode(reached).decode("ascii")

    def _is_same_file(self, known: _Position) -> bool:
        same = (known.device, known.inode) == (self._status.st_dev, self._status.st_ino)
        fits = 0 <= known.offset <= self._status.st_size
        return same and fits and self._digest(known.offset) == known.digest

    def _digest(self, offset: int) -> str:
        descriptor, length = self._stream.fileno(), min(offset, _WINDOW_BYTES)
        first = os.pread(descriptor, length, 0)
        last = os.pread(descriptor, length, offset - length)
        return hashlib.sha256(first + last).hexdigest()

    def _unreadable(self, error: OSError) -> JournalError:
        return JournalError(f"cannot read the journal {self._path}: {error.strerror}")


def _decode(position: str | None) -> _Position | None:
    if position is None:
        return None
    try:
        return msgspec.json.decode(position, type=_Position)
    except msgspec.DecodeError:  # another version's
        return None
