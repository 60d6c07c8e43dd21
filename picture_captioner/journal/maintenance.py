"""Looking after a journal that exists: check it, compact it, merge another one in."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from picture_captioner.errors import JournalError
from picture_captioner.journal.durable import ReplacedError, append_durably, replacing
from picture_captioner.journal.reading import (
    CHUNK_BYTES,
    Damage,
    JournalIndex,
    Line,
    open_for_reading,
    parse_line,
    read_lines,
    skip_byte_order_mark,
)
from picture_captioner.journal.record import Entry, parse_time, read_fields, to_json_line
from picture_captioner.journal.writing import Journal

_MOST = (1 << 63) - 1
"""A count above it is no record for the next reader; a journal from elsewhere may hold any."""


@dataclass
class CompactResult:
    """What compacting did; `damaged` lines went to the .broken file."""

    kept: int = 0
    dropped: int = 0
    damaged: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


@dataclass
class _Spent:
    """Cost and requests of one path's dropped lines."""

    cost_usd: float | None = None
    requests: int | None = None

    def add(self, entry: Entry) -> None:
        if entry.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + entry.cost_usd
        if entry.requests is not None:
            self.requests = (self.requests or 0) + entry.requests


@dataclass
class _Plan:
    """Which lines stay, by offset, and what their path's dropped lines had cost."""

    keep: set[int] = field(default_factory=set)
    effective: set[int] = field(default_factory=set)
    spent: dict[str, _Spent] = field(default_factory=dict)


def compact(path: Path) -> CompactResult:
    """Drop superseded lines, atomically; no caption and no cost is lost.

    Raises:
        JournalLockedError, JournalError: as for writing; the old file is then untouched.
    """
    open_for_reading(path).close()  # a mistyped name must not become an empty journal
    with closing(Journal(path)) as journal, _saying_what_failed("compact", journal.path):
        return _compact(journal)


@contextmanager
def _saying_what_failed(work: str, path: Path) -> Iterator[None]:
    try:
        yield
    except ReplacedError as error:
        raise JournalError(
            f"{path} is replaced by the new file, which is whole, but its directory could not be "
            f"synced: {error.strerror}; mend the disk and run the same command again"
        ) from error
    except (OSError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise JournalError(f"cannot {work} {path}: {reason}; it is as it was") from error


def _compact(journal: Journal) -> CompactResult:
    path = journal.path
    plan = _plan_compaction(journal)
    result = CompactResult(damaged=len(journal.index.damage), bytes_before=path.stat().st_size)
    if result.damaged:
        append_durably(path.with_name(path.name + ".broken"), _damaged_bytes(path))
    with open_for_reading(path) as source, replacing(path) as target:
        _copy_kept(source, target, plan, result)
    result.bytes_after = path.stat().st_size
    return result


def _plan_compaction(journal: Journal) -> _Plan:
    index = journal.index
    effective = {e.offset for e in (*index.entries.values(), *index.rehearsed.values())}
    plan = _Plan(keep=set(effective), effective=effective)
    last_success: dict[str, Entry] = {}
    for entry in _entries(journal.path):
        if entry.success and not entry.placeholder:
            last_success[entry.rel_path] = entry
    for path, entry in last_success.items():
        if not journal.index.entries[path].success:
            plan.keep.add(entry.offset)
    for entry in _entries(journal.path):
        if entry.offset not in plan.keep:
            plan.spent.setdefault(entry.rel_path, _Spent()).add(entry)
    return plan


def _entries(path: Path) -> Iterable[Entry]:
    with open_for_reading(path) as stream:
        for line in read_lines(stream):
            found = parse_line(line)
            if isinstance(found, Entry):
                yield found


def _damaged_bytes(path: Path) -> Iterator[bytes]:
    """The damaged lines with their newlines, from the disk: a long one is not held in memory."""
    with open_for_reading(path) as lines, open_for_reading(path) as stream:
        for line in read_lines(lines):
            if isinstance(parse_line(line), Damage):
                stream.seek(line.offset)
                yield from _pieces(stream, line.length + 1)


def _pieces(stream: BinaryIO, length: int) -> Iterator[bytes]:
    while length and (piece := stream.read(min(length, CHUNK_BYTES))):
        yield piece
        length -= len(piece)


def _copy_kept(source: BinaryIO, target: BinaryIO, plan: _Plan, result: CompactResult) -> None:
    for line in read_lines(source):
        entry = parse_line(line)
        if not isinstance(entry, Entry):
            continue
        if entry.offset in plan.keep:
            target.write(_with_spent(line, entry, plan))
            result.kept += 1
        else:
            result.dropped += 1


def _with_spent(line: Line, entry: Entry, plan: _Plan) -> bytes:
    spent = plan.spent.get(entry.rel_path)
    if spent is None or entry.offset not in plan.effective:
        return line.data + b"\n"
    record = read_fields(line.data)
    if spent.cost_usd is not None:
        cost = (entry.cost_usd or 0.0) + spent.cost_usd
        record["cost_usd"] = min(max(cost, -sys.float_info.max), sys.float_info.max)
    if spent.requests is not None:
        requests = (entry.requests or 0) + spent.requests
        record["requests"] = min(max(requests, -_MOST), _MOST)
    return to_json_line(record)


@dataclass
class MergeResult:
    """What a merge brought: lines that were new here, and paths whose caption changed by it."""

    lines_added: int = 0
    paths_added: int = 0
    paths_superseded: int = 0
    damaged: int = 0


class _NewLine(NamedTuple):
    """A line of the other journal that this one does not have."""

    entry: Entry
    data: bytes


def merge(path: Path, other: Path) -> MergeResult:
    """Bring in the lines of another machine's journal, byte for byte.

    Since the last real record of a path is the effective one, lines of `other` that must not win
    are put before this journal's own, and those that must win after them. A line that is here
    already is not brought in again: what followed it here was decided in its knowledge.

    Raises:
        JournalLockedError, JournalError: as for writing; the old file is then untouched.
    """
    with (
        open_for_reading(other) as stream,
        closing(Journal(path)) as journal,
        _saying_what_failed("merge into", journal.path),
    ):
        if os.path.samestat(os.fstat(stream.fileno()), journal.path.stat()):
            raise JournalError(f"{other} is the journal itself; name the other machine's copy")
        return _merge(journal, stream)


def _merge(journal: Journal, other: BinaryIO) -> MergeResult:
    theirs = JournalIndex()
    new = _new_lines(theirs, other, _known_lines(journal.path))
    ours = journal.index.entries
    offsets = {line.entry.offset for line in new}
    winners = {
        rel_path
        for rel_path, entry in theirs.entries.items()
        if entry.offset in offsets and _wins(entry, ours.get(rel_path))
    }
    if new:
        _write_merged(journal.path, new, winners)
    return MergeResult(
        lines_added=len(new),
        paths_added=len(theirs.entries.keys() - ours.keys()),
        paths_superseded=len(winners & ours.keys()),
        damaged=len(theirs.damage),
    )


def _known_lines(path: Path) -> set[bytes]:
    """Digests of this journal's lines: 90 MB for a million of them, the lines would be 650 MB."""
    with open_for_reading(path) as stream:
        return {_digest(line.data) for line in read_lines(stream)}


def _new_lines(theirs: JournalIndex, other: BinaryIO, known: set[bytes]) -> list[_NewLine]:
    found = ((theirs.apply_line(line), line.data) for line in read_lines(other))
    return [_NewLine(entry, data) for entry, data in found if entry and _digest(data) not in known]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _wins(theirs: Entry, ours: Entry | None) -> bool:
    return ours is None or _rank(theirs) > _rank(ours)


def _rank(entry: Entry) -> tuple[bool, bool, float]:
    try:
        when = parse_time(entry.created_at or "").timestamp()
    except ValueError:
        when = 0.0
    return not entry.placeholder, entry.success, when


def _write_merged(path: Path, new: list[_NewLine], winners: set[str]) -> None:
    before = [line.data for line in new if line.entry.rel_path not in winners]
    after = [line.data for line in new if line.entry.rel_path in winners]
    with open_for_reading(path) as stream, replacing(path) as target:
        target.writelines(data + b"\n" for data in before)
        skip_byte_order_mark(stream)
        shutil.copyfileobj(stream, target, CHUNK_BYTES)
        target.writelines(data + b"\n" for data in after)
