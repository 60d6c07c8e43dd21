"""The journal's reader: any bytes are lines, and each line is a record, blank or damage."""

from __future__ import annotations

import io
import math
from pathlib import Path
from unittest import mock

import pytest

from picture_captioner.errors import ConfigurationError, JournalError
from picture_captioner.journal import reading as reader
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.lines import read_lines
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import JournalIndex, read_again, read_index
from picture_captioner.journal.record import Entry, Record, parse_entry
from picture_captioner.journal.writing import Journal
from tests.journal.support import failure, is_done, photo

SEEDS = (
    b"",
    photo("a.jpg").to_line() + failure("b.jpg", requests=2, cost_usd=0.5).to_line(),
    photo("caf\udce9.jpg", placeholder=True, created_at="2026-11-21T06:54:08Z").to_line(),
    b'\xef\xbb\xbf{"rel_path":"a.jpg","caption":"x","status":"success"}\r\n\n{"rel_path":"b',
    photo("a.jpg", cost_usd=1e308, requests=2**63 - 1).to_line() * 2,
    b'{"rel_path":"\xc3\xa9.jpg","caption":null,"status":"error_api","error":"gone","x":{"y":[1]}}\n',
)
WORDS = (
    b"\n", b'"rel_path":"', b'"status":"success"', b'"error_corrupt"', b'"placeholder":true',
    b'"(byte offset in the journal)":5', b'"requests":', b'"cost_usd":', b'"size":', b'"error":',
    b"1e308", b"9223372036854775807", b"-1", b'"a.jpg"', b'"created_at":"0001-01-01T00:00+23:59"',
)  # fmt: skip


def reading(data: bytes, folder: Path) -> None:
    """The fast way (runs of lines) and the slow one (line by line) find the same."""
    fast = _index(data)
    with mock.patch("picture_captioner.journal.lines.CHUNK_BYTES", 7):
        assert _index(data) == fast
    slow = JournalIndex()
    for line in read_lines(io.BytesIO(data)):
        entry = slow.apply_line(line)
        if entry is not None:
            _check_record(line.data)
    assert slow == fast
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert fast.torn_bytes == len(lines.pop())
    assert fast.records + len(fast.damage) == sum(bool(line.strip()) for line in lines)
    for path, entry in fast.entries.items():
        line = data[entry.offset :].partition(b"\n")[0]
        assert parse_entry(line, entry.offset) == entry
        assert entry.rel_path == path
    str(fast.warnings("captions.jsonl"))


def _index(data: bytes) -> JournalIndex:
    index = JournalIndex()
    reader.fill_index(index, io.BytesIO(data))
    return index


def _check_record(line: bytes) -> None:
    """A record that was read can be written again, and is the same then."""
    record = Record.from_mapping(read_fields(line))
    again = record.to_line()
    assert again.isascii()
    assert Record.from_mapping(read_fields(again)) == record
    parse_entry(again[:-1], 0)


def opening(data: bytes, folder: Path) -> None:
    """Opening for writing cuts the torn tail alone, and what is appended stands by itself."""
    path = folder / "captions.jsonl"
    path.write_bytes(data)
    before = read_index(path)
    if _refused(path, before):
        return
    new = photo("a new photo.jpg")
    with Journal(path) as journal:
        journal.append(new)
    whole = data[: data.rfind(b"\n") + 1]
    assert path.read_bytes() == whole + new.to_line()
    after = read_index(path)
    assert after.damage == before.damage
    assert after.records == before.records + 1
    assert is_done(after, "a new photo.jpg")
    if whole != data:
        torn = folder / "captions.jsonl.broken"
        assert data[len(whole) :] in torn.read_bytes()


def _refused(path: Path, index: JournalIndex) -> bool:
    """Whether the file is taken for no journal: it holds no record then, and stays as it is."""
    data = path.read_bytes()
    try:
        Journal(path).close()
    except ConfigurationError as error:
        assert "is no journal" in str(error)
        assert index.records == 0
        assert path.read_bytes() == data
        return True
    path.write_bytes(data)  # opening may have cut a torn tail
    return False


def compacting(data: bytes, folder: Path) -> None:
    """The effective records stay, and what all lines together had cost."""
    path = folder / "captions.jsonl"
    path.write_bytes(data)
    before = read_index(path)
    if _refused(path, before):
        return
    told = _told(path, before)
    compact(path)
    after = read_index(path)
    assert (after.damage, after.torn_bytes) == ([], 0)
    assert _told(path, after) == told
    found = [reader.parse_line(line) for line in read_lines(io.BytesIO(data))]
    entries = [entry for entry in found if isinstance(entry, Entry)]
    costs = sum(abs(entry.cost_usd or 0.0) for entry in entries)
    requests = sum(abs(entry.requests or 0) for entry in entries)
    if costs < 1e300 and requests < 1 << 63:  # more than that is cut to what can be written
        assert after.requests == before.requests
        assert math.isclose(after.cost_usd, before.cost_usd, abs_tol=1e-9 * (1 + costs))


def merging(data: bytes, folder: Path) -> None:
    """Another journal costs no caption of ours, and merging it twice adds nothing."""
    path, other = folder / "captions.jsonl", folder / "other.jsonl"
    ours = photo("a.jpg", "ours", created_at="2026-11-21T06:54:08.123Z")
    path.write_bytes(ours.to_line())
    other.write_bytes(data)
    theirs = read_index(other)
    if (theirs.damage or theirs.torn_bytes) and not theirs.records:
        with pytest.raises(JournalError, match="it is no journal"):
            merge(path, other)
        assert path.read_bytes() == ours.to_line()
        return
    merge(path, other)
    merged = path.read_bytes()
    assert ours.to_line() in merged
    index = read_index(path)
    assert (index.damage, index.torn_bytes) == ([], 0)
    assert index.entries["a.jpg"].success
    assert set(index.entries) == set(read_index(other).entries) | {"a.jpg"}
    merge(path, other)
    assert path.read_bytes() == merged


def _told(path: Path, index: JournalIndex) -> dict[str, tuple[object, ...]]:
    """What counts of each path's record."""
    found = {fields["rel_path"]: fields for fields in read_again(path, index.entries.values())}
    return {
        name: (fields["caption"], fields["status"], fields.get("placeholder", False))
        for name, fields in found.items()
    }
