"""Reading the journal: the index of what its lines add up to, and records read again."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from picture_captioner.errors import JournalError, Status, count
from picture_captioner.journal.fold import Fold, alone, counts, fold, is_real
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.lines import (
    MAX_LINE_BYTES,
    Damage,
    Line,
    Run,
    open_for_reading,
    read_lines,
    read_runs,
)
from picture_captioner.journal.record import Entry, Record, parse_entries, parse_entry


def requests_without_price(entry: Entry) -> int:
    """Requests whose cost nobody knows: all or none, but of a line that compacting made of more."""
    requests = max(entry.requests or 0, 0)
    if entry.unpriced_requests is not None:
        return min(max(entry.unpriced_requests, 0), requests)
    return requests if entry.cost_usd is None and entry.status.was_answered else 0


@dataclass
class JournalIndex:
    """What the lines add up to for every path, and what was met on the way.

    `entries` has each path's last line that says something (`Fold.last`); where the caption is in
    another line, `other_captions` has that. `rehearsed` has the paths of which a dry run said that
    they can be opened, and nobody anything.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    other_captions: dict[str, Entry] = field(default_factory=dict)
    rehearsed: dict[str, Entry] = field(default_factory=dict)
    records: int = 0
    damage: list[Damage] = field(default_factory=list)
    torn: Damage | None = None
    torn_bytes: int = 0
    cost_usd: float = 0.0
    requests: int = 0
    unpriced: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    """Requests of answers whose cost nobody knows, by backend and model."""
    dearest_usd: float = 0.0
    """The most that one request has cost."""

    def apply(self, entry: Entry) -> None:
        """Take in the next record of the file."""
        self.records += 1
        self.cost_usd += entry.cost_usd or 0.0
        if entry.requests:
            self._count_requests(entry, entry.requests)
        path = entry.rel_path
        if entry.dry_run and not counts(entry):
            if path not in self.entries:
                self.rehearsed[path] = entry
            return
        if self.rehearsed:
            self.rehearsed.pop(path, None)
        if path not in self.entries:  # nearly always: then `entry` alone says what `alone` says
            self.entries[path] = entry
            return
        last, caption = fold(self.fold(path), entry)
        self.entries[path] = last or entry
        if caption is None or caption is last:
            self.other_captions.pop(path, None)
        else:
            self.other_captions[path] = caption

    def _count_requests(self, entry: Entry, requests: int) -> None:
        self.requests += requests
        if unpriced := requests_without_price(entry):
            self.unpriced[entry.backend, entry.model] += unpriced
        if entry.cost_usd is not None and unpriced < requests:
            self.dearest_usd = max(self.dearest_usd, entry.cost_usd / (requests - unpriced))

    def fold(self, rel_path: str) -> Fold[Entry]:
        """What is known of a path."""
        last = self.entries.get(rel_path)
        if last is None:
            return Fold()
        other = self.other_captions.get(rel_path)
        return alone(last) if other is None else Fold(last, other)

    def caption(self, rel_path: str) -> Entry | None:
        """The entry whose caption holds for the path."""
        return self.fold(rel_path).caption

    def captions(self) -> Iterator[Entry]:
        """All entries whose captions hold, in no order."""
        yield from self.other_captions.values()
        for path, last in self.entries.items():
            if last.success and path not in self.other_captions:
                yield last

    def status(self, last: Entry) -> Status:
        """`Fold.status` of a path, given its entry here; a million photos come by."""
        if last.status is not Status.SUCCESS and last.rel_path in self.other_captions:
            return Status.SUCCESS
        return last.status

    def apply_line(self, line: Line) -> Entry | None:
        """Take in the next line of the file, whatever it is; its entry if it is a record."""
        if not line.terminated:
            self.torn_bytes = line.length
            self.torn = Damage(line.number, line.offset, "its line end is missing")
        if not line.terminated and line.length <= MAX_LINE_BYTES:
            return None
        found = parse_line(line)
        if isinstance(found, Damage):
            self.damage.append(found)
            return None
        if found is not None:
            self.apply(found)
        return found

    def warnings(self, name: str) -> list[str]:
        """Sentences about what could not be read, for the person who runs the program."""
        said = [f"{name}: {damage}" for damage in self.damage[:10]]
        if len(self.damage) > len(said):
            said.append(f"{name}: {count(len(self.damage) - len(said), 'more damaged line')}")
        if said:
            said.append(f"{name}: the lines above are passed over; see 'caption.py journal check'")
        if self.torn_bytes:
            said.append(
                f"{name}: discarded 1 malformed line ({count(self.torn_bytes, 'byte')}, at the end)"
            )
        return said


def parse_line(line: Line) -> Entry | Damage | None:
    """The entry of a complete line, the damage, or None for a blank one."""
    if line.length > MAX_LINE_BYTES:
        return Damage(line.number, line.offset, f"longer than {MAX_LINE_BYTES >> 20} MiB")
    if not line.data.strip():
        return None
    try:
        return parse_entry(line.data, line.offset)
    except (ValueError, RecursionError) as error:
        return Damage(line.number, line.offset, str(error).split("\n")[0][:200])


def read_index(path: Path) -> JournalIndex:
    """Read a whole journal; one that does not exist is empty.

    Raises:
        JournalError: it exists and cannot be read.
    """
    index = JournalIndex()
    try:
        path.lstat()
    except FileNotFoundError:
        return index
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    with open_for_reading(path) as stream:
        try:
            fill_index(index, stream)
        except OSError as error:
            raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    return index


def fill_index(index: JournalIndex, stream: BinaryIO) -> None:
    """Apply every line of the stream to the index."""
    for found in read_runs(stream):
        if isinstance(found, Run):
            _apply_run(index, found)
        else:
            index.apply_line(found)


def _apply_run(index: JournalIndex, run: Run) -> None:
    try:
        entries = parse_entries(run.lines, run.offset)
    except (ValueError, RecursionError):  # a blank, damaged or surrogate-escaped one among them
        for line in run.numbered():
            index.apply_line(line)
    else:
        for entry in entries:
            index.apply(entry)


def read_again(path: Path, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Every field of these records, for what the index does not remember, in the file's order.

    A line that is not there any more (the journal was compacted meanwhile) is passed over.

    Raises:
        JournalError: the journal cannot be read.
    """
    found: list[dict[str, Any]] = []
    chosen = sorted(entries, key=lambda entry: entry.offset)
    if not chosen:
        return found
    with open_for_reading(path) as raw, io.BufferedReader(cast(io.RawIOBase, raw)) as stream:
        for entry in chosen:
            with contextlib.suppress(ValueError, RecursionError):
                stream.seek(entry.offset)
                fields = read_fields(stream.readline(MAX_LINE_BYTES))
                if fields.get("rel_path") == entry.rel_path:
                    found.append(fields)
    return found


def read_job(path: Path, job: str) -> Iterator[Record]:
    """The records that the answers of a batch job became (`batch_job`).

    Raises:
        JournalError: the journal cannot be read.
    """
    name = job.encode("ascii")
    with open_for_reading(path) as stream:
        for line in read_lines(stream):
            if name not in line.data or not isinstance(parse_line(line), Entry):
                continue
            record = Record.from_mapping(read_fields(line.data))
            if record.batch_job == job:
                yield record


def read_lines_of(path: Path, photos: Container[str]) -> Iterator[Record]:
    """Every record of some photos that the journal still has, also those that hold no more.

    Raises:
        JournalError: the journal cannot be read.
    """
    with open_for_reading(path) as stream:
        for line in read_lines(stream):
            entry = parse_line(line)
            if isinstance(entry, Entry) and entry.rel_path in photos:
                yield Record.from_mapping(read_fields(line.data))


def read_captions(
    path: Path, index: JournalIndex | None = None, *, placeholders: bool = False
) -> Iterator[Record]:
    """The record whose caption holds, of every photo that has one, by the photos' names.

    Records are read a thousand at a time, so a journal of a million takes no more memory than its
    index. `index` saves reading that again. What `template` and `mock` wrote comes only with
    `placeholders`.

    Raises:
        JournalError: the journal cannot be read.
    """
    index = index or read_index(path)
    wanted = (entry for entry in index.captions() if placeholders or is_real(entry))
    chosen = sorted(wanted, key=lambda entry: entry.rel_path)
    for first in range(0, len(chosen), _READ_AT_ONCE):
        found = read_again(path, chosen[first : first + _READ_AT_ONCE])
        records = (Record.from_mapping(fields) for fields in found)
        yield from sorted(records, key=lambda record: record.rel_path)


_READ_AT_ONCE = 1000
