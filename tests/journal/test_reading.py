"""Whatever lies on the disk: split at newline bytes, damage located, memory bounded."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picture_captioner.errors import JournalError, Status
from picture_captioner.journal.lines import CHUNK_BYTES, MAX_LINE_BYTES, read_lines
from picture_captioner.journal.reading import read_again, read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from tests.journal.support import ROOT, failure, is_done, photo, write_lines

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@given(st.lists(st.binary(max_size=8), max_size=8).map(b"\n".join))
@example(BYTE_ORDER_MARK + b'{"a":1}')
def test_lines_put_together_are_the_file(content: bytes):
    lines = list(read_lines(io.BytesIO(content)))
    rebuilt = b"".join(line.data + b"\n" * line.terminated for line in lines)
    assert rebuilt == content.removeprefix(BYTE_ORDER_MARK)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        assert content[line.offset : line.offset + line.length] == line.data
        assert b"\n" not in line.data


@pytest.mark.parametrize("lead", range(5))
def test_lines_are_whole_wherever_a_chunk_ends(journal_path: Path, lead: int):
    line = photo("x").to_line()
    rest = CHUNK_BYTES - 2 - len(line) - len(photo("f", "").to_line())
    write_lines(journal_path, b" " * lead + b"\n", photo("f", "y" * rest), line, photo("last"))
    index = read_index(journal_path)
    assert (set(index.entries), index.damage) == ({"f", "x", "last"}, [])


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_newline_byte_ends_a_line(journal_path: Path, character: str):
    caption = f"a{character}b"
    raw = f'{{"rel_path":"1.jpg","caption":"{caption}","status":"success"}}\n'.encode()
    if character < " ":  # JSON wants these escaped: a line with a raw one is damage, but one line
        write_lines(journal_path, raw, photo("2.jpg"))
        assert [damage.line for damage in read_index(journal_path).damage] == [1]
        raw = photo("1.jpg", caption).to_line()
    write_lines(journal_path, raw, photo("2.jpg"))
    with Journal(journal_path) as journal:
        assert not journal.index.damage
        assert journal.read_record(journal.index.entries["1.jpg"]).caption == caption
        assert is_done(journal, "2.jpg")


def test_byte_order_mark_carriage_returns_and_blank_lines_are_no_damage(journal_path: Path):
    lines = [photo(f"{n}.jpg", f"{n}").to_line()[:-1] + b"\r\n" for n in range(3)]
    write_lines(journal_path, BYTE_ORDER_MARK + lines[0], b"\r\n", b"\n", b" \t \n", *lines[1:])
    with Journal(journal_path) as journal:
        index = journal.index
        assert (len(index.entries), index.damage, index.torn_bytes) == (3, [], 0)
        captions = [journal.read_record(entry).caption for entry in index.entries.values()]
        assert captions == ["0", "1", "2"]


def test_a_byte_order_mark_is_only_ignored_where_a_file_begins(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), BYTE_ORDER_MARK + photo("2.jpg").to_line())
    assert [damage.line for damage in read_index(journal_path).damage] == [2]


def test_every_damaged_line_is_located_and_no_good_one_is_lost(journal_path: Path):
    damaged = {2: b"\0" * 50, 3: b"{", 5: b"\xff\xfe", 8: b"[" * 20_000, 9: b"null"}
    lines = [damaged.get(n, photo(f"{n}.jpg").to_line()[:-1]) + b"\n" for n in range(1, 12)]
    write_lines(journal_path, *lines)
    index = read_index(journal_path)
    assert set(index.entries) == {f"{n}.jpg" for n in range(1, 12) if n not in damaged}
    offsets = [0, *itertools.accumulate(map(len, lines))]
    assert {d.line: d.offset for d in index.damage} == {n: offsets[n - 1] for n in damaged}


def test_many_damaged_lines_give_a_short_warning(journal_path: Path):
    write_lines(journal_path, *[b"x\n"] * 40, photo("1.jpg"), b"torn")
    warnings = read_index(journal_path).warnings("j")
    assert len(warnings) == 13
    assert "30 more damaged lines" in warnings[10]
    write_lines(journal_path, *[b"x\n"] * 11)
    assert "j: 1 more damaged line" in read_index(journal_path).warnings("j")
    assert "discarded 1 malformed line (4 bytes" in warnings[-1]


@pytest.mark.parametrize("excess", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7])
@pytest.mark.parametrize("lead", [0, CHUNK_BYTES - 100])
def test_a_line_over_16_mib_is_damage_wherever_it_begins(
    journal_path: Path, excess: int, lead: int
):
    empty = len(photo("long", "").to_line()) - 1
    long = photo("long", "x" * (MAX_LINE_BYTES - empty + excess))
    write_lines(journal_path, b" " * lead + b"\n", long, photo("after"))
    index = read_index(journal_path)
    assert ("long" in index.entries) == (excess == 0)
    assert [damage.line for damage in index.damage] == [2] * (excess > 0)
    assert index.entries["after"].offset == lead + 1 + len(long.to_line())


# -- the effective record: checked against the sentence in docs/journal-format.md -----------------

outcomes = st.builds(
    lambda rel_path, placeholder, good, corrupt: (
        photo(rel_path, placeholder=placeholder) if good
        else failure(rel_path, status=Status.ERROR_CORRUPT if corrupt else Status.ERROR_API,
                     placeholder=placeholder and not corrupt)
    ),
    st.sampled_from(["a", "b", "\udce9"]), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


def effective(records: list[Record], rel_path: str) -> Record | None:
    mine = [record for record in records if record.rel_path == rel_path]
    real = [record for record in mine if not record.placeholder]
    return (real or mine or [None])[-1]


@given(st.lists(outcomes, max_size=8))
def test_the_effective_record_is_the_last_real_one_else_the_last_placeholder(
    several: list[Record],
):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "captions.jsonl")
        write_lines(path, *several)
        index = read_index(path)
    assert index.records == len(several)
    for rel_path in ("a", "b", "\udce9", "never"):
        expected, entry = effective(several, rel_path), index.entries.get(rel_path)
        assert (entry and (entry.status, entry.placeholder)) == (
            expected and (expected.status, expected.placeholder)
        )
        assert is_done(index, rel_path) == (expected is not None and not expected.placeholder)
        assert is_done(index, rel_path, placeholders_count=True) == (expected is not None)


def test_spending_counts_every_line_also_superseded_ones(journal_path: Path):
    write_lines(journal_path, failure("1", cost_usd=0.5, requests=3), photo("1", cost_usd=0.25),
                photo("1", placeholder=True), photo("2", requests=1))  # fmt: skip
    index = read_index(journal_path)
    assert (index.cost_usd, index.requests, index.records) == (0.75, 4, 4)


# -- files that are no journals --------------------------------------------------------------------


def test_an_empty_file_is_an_empty_journal(journal_path: Path):
    journal_path.touch()
    index = read_index(journal_path)
    assert (index.entries, index.damage, index.torn_bytes) == ({}, [], 0)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["directory", "fifo", "loop", "below a file", "device"])
def test_what_is_no_regular_file_is_refused_at_once(journal_path: Path, kind: str):
    match kind:
        case "directory":
            journal_path.mkdir()
        case "fifo":
            os.mkfifo(journal_path)
        case "loop":
            journal_path.symlink_to(journal_path)
        case "below a file":
            journal_path.touch()
            journal_path = journal_path / "captions.jsonl"
        case "device":
            journal_path.symlink_to(os.devnull)
    with pytest.raises(JournalError, match=r"captions\.jsonl"):
        read_index(journal_path)


def test_an_unreadable_file_is_an_error_and_not_empty(journal_path: Path):
    # /proc/self/mem is a regular file that even root cannot read at offset 0.
    journal_path.symlink_to("/proc/self/mem")
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc here")
    with pytest.raises(JournalError, match="Input/output error"):
        read_index(journal_path)


def test_a_hole_is_read_in_bounded_memory(journal_path: Path):
    size = 300 << 20  # more than the program below may use
    write_lines(journal_path, photo("1.jpg"))
    os.truncate(journal_path, size)
    program = (
        "import resource, sys, pathlib; from picture_captioner.journal.reading import read_index\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n"
        "index = read_index(pathlib.Path(sys.argv[1]))\n"
        "print(len(index.entries), index.torn_bytes)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, journal_path],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert said.split() == ["1", str(size - len(photo("1.jpg").to_line()))]


def test_records_are_read_again_for_what_the_index_leaves_out(journal_path):
    journal_path.write_bytes(
        b"".join(
            Record(rel_path=name, caption="x", status=Status.SUCCESS, input_tokens=n).to_line()
            for n, name in enumerate(["a.jpg", "caf\udce9.jpg", "c.jpg"])
        )
    )
    entries = read_index(journal_path).entries
    found = read_again(journal_path, [entries["c.jpg"], entries["caf\udce9.jpg"]])
    assert [fields["input_tokens"] for fields in found] == [1, 2]
    assert read_again(journal_path.with_name("none"), []) == []


def test_a_record_that_is_not_there_any_more_is_passed_over(journal_path):
    lines = [
        Record(rel_path=name, caption="x", status=Status.SUCCESS).to_line()
        for name in ("a.jpg", "b.jpg", "c.jpg")
    ]
    journal_path.write_bytes(b"".join(lines))
    entries = read_index(journal_path).entries.values()
    journal_path.write_bytes(lines[1])
    assert read_again(journal_path, entries) == []
