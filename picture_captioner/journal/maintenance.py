"""Looking after a journal that exists: check it, compact it, merge another one in."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec import structs

from picture_captioner.errors import JournalError
from picture_captioner.journal.durable import ReplacedError, append_durably, replacing
from picture_captioner.journal.fold import Fold, is_real
from picture_captioner.journal.json_lines import read_fields, to_json_line
from picture_captioner.journal.lines import (
    CHUNK_BYTES,
    Damage,
    Line,
    open_for_reading,
    read_lines,
    skip_byte_order_mark,
)
from picture_captioner.journal.reading import (
    JournalIndex,
    parse_line,
    requests_without_price,
)
from picture_captioner.journal.record import Entry, time_of
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
    unpriced: int = 0

    def add(self, entry: Entry) -> None:
        self.unpriced += requests_without_price(entry)
        if entry.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + entry.cost_usd
        if entry.requests is not None:
            self.requests = (self.requests or 0) + entry.requests


@dataclass
class _Plan:
    """Which lines stay, by offset, and what their path's dropped lines had cost.

    `heirs` are those to which that is added: the caption's or, without one, the last.
    """

    keep: set[int] = field(default_factory=set)
    heirs: set[int] = field(default_factory=set)
    spent: dict[str, _Spent] = field(default_factory=dict)

    def add(self, *lines: Entry | None) -> None:
        """Keep these lines of a path; the first is the heir."""
        offsets = [line.offset for line in lines if line is not None]
        self.heirs.update(offsets[:1])
        self.keep.update(offsets)


def compact(path: Path, jobs: Iterable[str] = ()) -> CompactResult:
    """Drop superseded lines, atomically; no caption and no cost is lost.

    Args:
        jobs: batch jobs that are not collected yet. Their lines stay, superseded or not: they say
            which answers are here already.

    Raises:
        JournalLockedError, JournalError: as for writing; the old file is then untouched.
    """
    open_for_reading(path).close()  # a mistyped name must not become an empty journal
    with closing(Journal(path)) as journal, _saying_what_failed("compact", journal.path):
        return _compact(journal, [job.encode("ascii") for job in jobs])


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


def _compact(journal: Journal, jobs: Sequence[bytes]) -> CompactResult:
    path = journal.path
    plan = _plan_compaction(journal, jobs)
    result = CompactResult(damaged=len(journal.index.damage), bytes_before=path.stat().st_size)
    if result.damaged:
        append_durably(path.with_name(path.name + ".broken"), _damaged_bytes(path))
    with open_for_reading(path) as source, replacing(path) as target:
        _copy_kept(source, target, plan, result)
    result.bytes_after = path.stat().st_size
    return result


def _plan_compaction(journal: Journal, jobs: Sequence[bytes]) -> _Plan:
    index, plan = journal.index, _Plan()
    for fold in map(index.fold, index.entries):
        plan.add(fold.caption or fold.last, fold.last)
    for entry in index.rehearsed.values():
        plan.add(entry, entry)
    with open_for_reading(journal.path) as stream:
        for line in read_lines(stream):
            found = parse_line(line)
            if not isinstance(found, Entry) or found.offset in plan.keep:
                continue
            if any(job in line.data for job in jobs):
                plan.keep.add(found.offset)
            else:
                plan.spent.setdefault(found.rel_path, _Spent()).add(found)
    return plan


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
    if spent is None or entry.offset not in plan.heirs:
        return line.data + b"\n"
    record = read_fields(line.data)
    if spent.cost_usd is not None:
        cost = (entry.cost_usd or 0.0) + spent.cost_usd
        record["cost_usd"] = min(max(cost, -sys.float_info.max), sys.float_info.max)
    if spent.requests is not None:
        requests = (entry.requests or 0) + spent.requests
        record["requests"] = min(max(requests, -_MOST), _MOST)
    unpriced = spent.unpriced + requests_without_price(entry)
    record.pop("unpriced_requests", None)
    sums = {name: record.get(name) for name in ("cost_usd", "requests", "unpriced_requests")}
    if unpriced != requests_without_price(structs.replace(entry, **sums)):
        record["unpriced_requests"] = min(unpriced, _MOST)
    return to_json_line(record)


@dataclass
class MergeResult:
    """What a merge brought: lines that were new here, and paths whose caption changed by it."""

    lines_added: int = 0
    paths_added: int = 0
    paths_superseded: int = 0
    damaged: int = 0
    torn_bytes: int = 0
    records: int = 0


class _NewLine(NamedTuple):
    """A line of the other journal that this one does not have."""

    entry: Entry
    data: bytes


def merge(path: Path, other: Path) -> MergeResult:
    """Bring in the lines of another machine's journal, byte for byte.

    Lines of `other` that must not win are put before this journal's own, and those that must win
    after them. A line that is here already, however it is spelled, is not brought in again, nor
    is its cost: what followed it here was decided in its knowledge.

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
        result = _merge(journal, stream)
    if (result.damaged or result.torn_bytes) and not result.records:
        what = "it is no journal: of its lines none is a record"
        if other.name.endswith(".jobs.jsonl"):
            what = (
                "it is a ledger of batch jobs; name the journal beside it, which brings them along"
            )
        raise JournalError(f"cannot merge {other}: {what}. Nothing is changed")
    return result


def _merge(journal: Journal, other: BinaryIO) -> MergeResult:
    ours, theirs = journal.index, JournalIndex()
    known = _known_lines(journal.path)
    new: list[_NewLine] = []
    here: dict[int, int] = {}  # where a line of theirs stands in this journal, if it does
    for line in read_lines(other):
        entry = theirs.apply_line(line)
        if entry is None:
            continue
        if (offset := known.get(_digest(line.data))) is None:
            new.append(_NewLine(entry, line.data))
        else:
            here[entry.offset] = offset
    seen = set(here.values())
    winners = {
        path
        for path in {line.entry.rel_path for line in new} & theirs.entries.keys()
        if _wins(theirs.fold(path), ours.fold(path), here, seen)
    }
    if new:
        _write_merged(journal.path, new, winners)
    return MergeResult(
        lines_added=len(new),
        paths_added=len(theirs.entries.keys() - ours.entries.keys()),
        paths_superseded=len(winners & ours.entries.keys()),
        damaged=len(theirs.damage),
        torn_bytes=theirs.torn_bytes,
        records=theirs.records,
    )


def _known_lines(path: Path) -> dict[bytes, int]:
    """Where a line with this digest stands in this journal; not the lines, which are far larger."""
    with open_for_reading(path) as stream:
        return {_digest(line.data): line.offset for line in read_lines(stream)}


def _digest(data: bytes) -> bytes:
    """Of what a line says: an editor's line ends, spaces and escapes make no other line of it."""
    with suppress(ValueError, RecursionError):  # what is no record is known by its bytes
        data = to_json_line(dict(sorted(read_fields(data).items())))
    return hashlib.blake2b(data, digest_size=16).digest()


def _wins(theirs: Fold[Entry], ours: Fold[Entry], here: dict[int, int], seen: set[int]) -> bool:
    """Whether their lines go after ours.

    `here` says where lines of theirs stand in our journal, `seen` which of ours they knew.
    """
    decides, decided = theirs.caption or theirs.last, ours.caption or ours.last
    if decides is None or decided is None:
        return decided is None
    if decides.offset in here:  # what we have was decided in its knowledge, or is the same
        same = here[decides.offset] == decided.offset
        return same and _when(theirs.last or decides) > _when(ours.last or decided)
    if decides.withdrawn and decided.offset in seen:
        return True  # and this the other way round
    return _rank(theirs) > _rank(ours)


def _rank(fold: Fold[Entry]) -> tuple[bool, bool, bool, float]:
    """A real line before a placeholder, then an edit, then the younger caption or withdrawal."""
    decides = fold.caption or fold.last
    if decides is None:
        return (False, False, False, 0.0)
    decided = fold.caption is not None or decides.withdrawn
    return is_real(decides), decides.edited, decided, _when(decides)


def _when(entry: Entry) -> float:
    time = time_of(entry)
    return time.timestamp() if time else 0.0


def _write_merged(path: Path, new: list[_NewLine], winners: set[str]) -> None:
    before = [line.data for line in new if line.entry.rel_path not in winners]
    after = [line.data for line in new if line.entry.rel_path in winners]
    with open_for_reading(path) as stream, replacing(path) as target:
        target.writelines(data + b"\n" for data in before)
        skip_byte_order_mark(stream)
        shutil.copyfileobj(stream, target, CHUNK_BYTES)
        target.writelines(data + b"\n" for data in after)
