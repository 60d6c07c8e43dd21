"""What is in a journal, counted: the numbers behind `stats`."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picture_captioner.journal.fold import is_real
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.lines import open_for_reading, read_lines
from picture_captioner.journal.reading import JournalIndex, parse_line, read_index
from picture_captioner.journal.record import Entry, is_count

SLOWEST = 5


@dataclass
class Summary:
    """Counts over photos, by what holds of each; spend, tokens and requests over every line."""

    photos: int = 0
    records: int = 0
    damaged_lines: int = 0
    torn_bytes: int = 0
    placeholders: int = 0
    dry_run_only: int = 0
    edited: int = 0
    redo_failed: int = 0
    withdrawn: int = 0
    copies: int = 0
    suspect: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_backend: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    by_error: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    requests: int = 0
    unpriced_requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    first: str | None = None
    last: str | None = None
    slowest: list[tuple[int, str]] = field(default_factory=list)


def summarize(path: Path) -> tuple[Summary, JournalIndex]:
    """Count a journal; one that does not exist counts as empty.

    Raises:
        JournalError: it cannot be read.
    """
    index = read_index(path)
    summary = Summary(
        photos=len(index.entries),
        records=index.records,
        dry_run_only=len(index.rehearsed),
        damaged_lines=len(index.damage),
        torn_bytes=index.torn_bytes,
        cost_usd=index.cost_usd,
        unpriced_requests=index.unpriced.total(),
        requests=index.requests,
    )
    for fold in map(index.fold, index.entries):
        summary.withdrawn += fold.attempt is None
        summary.redo_failed += fold.redo_failed
        if fold.status is not None:
            summary.by_status[str(fold.status)] += 1
    if index.records:
        _read_again(path, index, summary)
    return summary, index


def _read_again(path: Path, index: JournalIndex, summary: Summary) -> None:
    """The index keeps no error codes, tokens or latencies: they are counted in a second pass."""
    last = {entry.offset for entry in index.entries.values() if not entry.withdrawn}
    holding = {entry.offset for entry in index.captions()}
    slow: list[tuple[int, str]] = []
    with open_for_reading(path) as stream:
        for line in read_lines(stream):
            entry = parse_line(line)
            if not isinstance(entry, Entry) or not line.terminated:
                continue
            record = read_fields(line.data)
            _count_line(record, summary)
            if entry.offset in last and isinstance(error := record.get("error"), dict):
                summary.by_error[f"{entry.status}: {error.get('code', 'unknown')}"] += 1
            redone = entry.rel_path in index.other_captions and entry.offset not in holding
            if entry.offset in holding or (entry.offset in last and not redone):
                _count_holding(entry, summary)
                summary.suspect += bool(record.get("suspect"))
                if is_count(latency := record.get("latency_ms")):
                    slow.append((latency, entry.rel_path))
    summary.slowest = heapq.nlargest(SLOWEST, slow)


def _count_line(record: dict[str, Any], summary: Summary) -> None:
    summary.input_tokens += _integer(record.get("input_tokens"))
    summary.output_tokens += _integer(record.get("output_tokens"))
    if isinstance(when := record.get("created_at"), str):
        summary.first = min(summary.first or when, when)
        summary.last = max(summary.last or when, when)


def _count_holding(entry: Entry, summary: Summary) -> None:
    """Count the line that gave the caption or, without one, the last attempt."""
    summary.placeholders += not is_real(entry)
    summary.copies += entry.copied_from is not None
    summary.edited += entry.edited
    if entry.backend:
        summary.by_backend[entry.backend] += 1
    if entry.model:
        summary.by_model[entry.model] += 1


def _integer(value: object) -> int:
    return value if is_count(value) else 0
