"""What `stats` counts: effective records once, spending on every line."""

from __future__ import annotations

from pathlib import Path

from picture_captioner.errors import Status
from picture_captioner.journal.record import RecordError
from picture_captioner.journal.summary import summarize
from tests.journal.support import failure, photo, write_lines


def test_a_missing_journal_counts_as_empty(journal_path: Path):
    summary, index = summarize(journal_path)
    assert (summary.photos, summary.records, summary.first, index.entries) == (0, 0, None, {})


def test_counts_are_over_effective_records(journal_path: Path):
    empty = RecordError("empty", "the model said nothing")
    write_lines(
        journal_path,
        failure("1", error=empty),
        photo("1", backend="local", model="m"),
        failure("2", error=empty, backend="api"),
        photo("3", placeholder=True, backend="mock"),
        photo("4", copied_from="1", backend="local", model="m"),
        failure("5", status=Status.ERROR_CORRUPT),
    )
    summary, _ = summarize(journal_path)
    assert (summary.photos, summary.records) == (5, 6)
    assert summary.by_status == {"success": 3, "error_model": 1, "error_corrupt": 1}
    assert summary.by_backend == {"local": 2, "api": 1, "mock": 1}
    assert summary.by_model == {"m": 2}
    assert summary.by_error == {"error_model: empty": 1}
    assert (summary.placeholders, summary.copies) == (1, 1)


def test_spending_and_times_are_over_every_line(journal_path: Path):
    write_lines(
        journal_path,
        photo("1", input_tokens=10, cost_usd=0.5, requests=2, created_at="2026-11-21T07:00:00Z"),
        photo("1", input_tokens=5, output_tokens=7, created_at="2026-11-20T07:00:00Z"),
        b"damage\n",
        photo("\udce9", output_tokens=1),
        b"torn",
    )
    summary, _ = summarize(journal_path)
    assert (summary.input_tokens, summary.output_tokens) == (15, 8)
    assert (summary.cost_usd, summary.requests) == (0.5, 2)
    assert (summary.first, summary.last) == ("2026-11-20T07:00:00Z", "2026-11-21T07:00:00Z")
    assert (summary.damaged_lines, summary.torn_bytes) == (1, 4)


def test_the_slowest_photos_come_slowest_first(journal_path: Path):
    write_lines(journal_path, *(photo(f"{n}", latency_ms=n) for n in range(9)), photo("8"))
    assert [name for _, name in summarize(journal_path)[0].slowest] == ["7", "6", "5", "4", "3"]


def test_what_other_programs_wrote_does_not_stop_the_count(journal_path: Path):
    odd = b'{"rel_path":"1","caption":"a","status":"success"'
    write_lines(
        journal_path,
        b"\xef\xbb\xbf" + odd + b',"x":' + b"9" * 5000 + b',"latency_ms":"fast"}\n',
        odd + b',"error":"a sentence","input_tokens":null,"created_at":"caf\xc3\xa9"}\r\n',
        odd + b',"error":{},"x":1e999}\n',
    )
    summary, _ = summarize(journal_path)
    assert (summary.photos, summary.records, summary.damaged_lines) == (1, 3, 0)
    assert summary.by_error == {"success: unknown": 1}


def test_numbers_that_nothing_can_have_are_not_counted(journal_path: Path):
    many = b'{"rel_path":"%d","caption":"x","status":"success","%s":%s}\n'
    names = (b"latency_ms", b"input_tokens", b"output_tokens", b"requests", b"size")
    lines = [many % (i, name, b"9" * 400) for i, name in enumerate(names)]
    lines += [many % (i, b"cost_usd", value) for i, value in enumerate((b"1e308", b"1e308", b"-1"))]
    write_lines(journal_path, *lines)
    summary, _ = summarize(journal_path)
    assert (summary.records, summary.damaged_lines, summary.slowest) == (8, 0, [])
    assert (summary.requests, summary.cost_usd, summary.input_tokens) == (0, 0.0, 0)
