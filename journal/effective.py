"""The effective records in full: the index keeps no captions, the report reads them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from errors import JournalError
from journal.reading import JournalIndex, line_at, open_for_reading
from journal.record import Record, read_fields


def effective_records(path: Path, index: JournalIndex) -> Iterator[Record]:
    """The record behind every entry of the index, in the order of the file.

    Raises:
        JournalError: it cannot be read, or is not the file that the index was made of.
    """
    if not index.entries:
        return
    with open_for_reading(path) as stream:
        for entry in sorted(index.entries.values(), key=lambda entry: entry.offset):
            try:
                line = line_at(stream.fileno(), entry.offset)
                yield Record.from_mapping(read_fields(line))
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                reason = f"at byte {entry.offset}: {error}"
                raise JournalError(f"cannot read the journal {path} {reason}") from error
