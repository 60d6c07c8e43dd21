"""The journal, open for writing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from picture_captioner.errors import JournalError
from picture_captioner.journal.append_only import AppendOnlyFile
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.lines import MAX_LINE_BYTES, Damage, Line
from picture_captioner.journal.reading import JournalIndex, fill_index, parse_line
from picture_captioner.journal.record import Entry, Record, parse_entry

_FORWARD, _REVERSE = "forward", "reverse"


class Journal(AppendOnlyFile[Entry]):
    """captions.jsonl, open for writing by this process alone. Thread-safe.

    `index` is what its lines add up to; `index.warnings` say what was found. `written` counts the
    records of this process.
    """

    noun = "journal"
    setting = "--captions-jsonl (CAPTIONS_JSONL in config.env)"
    first_bytes = b'{"rel_path":"'

    def __init__(self, path: Path) -> None:
        """Open or create the journal; errors as for any such file."""
        self.index = JournalIndex()
        self.written = 0
        super().__init__(path)

    def _parsed(self, line: Line) -> Entry | Damage | None:
        return parse_line(line)

    def _take_in(self, stream: BinaryIO) -> None:
        fill_index(self.index, stream)

    def _apply(self, item: Entry, offset: int) -> None:
        item.offset = offset
        self.written += 1
        self.index.apply(item)

    @property
    def died_running_forward(self) -> bool:
        """Whether the last run died, and took its photos in the order asked for."""
        return self._lock.died == _FORWARD

    def run_begins(self, *, reverse: bool) -> None:
        """Note that a run is under way, and in which order; `run_ends` strikes it off.

        Raises:
            JournalError: it cannot be noted.
        """
        self._lock.sign(_REVERSE if reverse else _FORWARD)

    def run_ends(self) -> None:
        """The run comes to an end that somebody meant, whatever it is."""
        with contextlib.suppress(JournalError):  # then the next run goes the other way round
            self._lock.sign()

    def append(self, *records: Record) -> None:
        """Write records; they are on the disk when this returns.

        Threads that call this at the same time share one write and one sync.

        Raises:
            ValueError: a record that no reader would accept; nothing is written.
            JournalError: they may not be on the disk; no later append will succeed.
        """
        self._append([_checked_line(record) for record in records])

    def read_record(self, entry: Entry) -> Record:
        """The whole record behind an index entry.

        Raises:
            JournalError: the line cannot be read again.
        """
        try:
            return Record.from_mapping(read_fields(self._line_at(entry.offset)))
        except (OSError, ValueError, KeyError, RecursionError) as error:
            raise JournalError(
                f"cannot read the journal {self.path} at byte {entry.offset}: {error}"
            ) from error

    def _line_at(self, offset: int) -> bytes:
        line = b""
        while b"\n" not in line:
            piece = os.pread(self._descriptor, 4096, offset + len(line))
            if not piece:
                raise OSError("the file ends inside the record")
            line += piece
        return line.partition(b"\n")[0]


def _checked_line(record: Record) -> tuple[bytes, Entry]:
    """The record's line, proved to be readable before it shares a write with those of others."""
    line = record.to_line()
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a record of {len(line)} bytes is over {MAX_LINE_BYTES >> 20} MiB")
    return line, parse_entry(line, offset=-1)
