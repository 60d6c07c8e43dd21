"""compact and merge: what stays, what wins, and that a second time changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import JournalError, JournalLockedError, Status
from picture_captioner.journal.lines import MAX_LINE_BYTES
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from tests.journal.support import append, caption_of, failure, paths_in, photo, write_lines

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def record(
    rel_path: str,
    status: Status,
    placeholder: bool,
    cents: int | None,
    priced: bool,
    minute: int | None,
) -> Record:
    good = status is Status.SUCCESS
    created_at = None if minute is None else f"2026-11-21T07:{minute:02}:00Z"
    cost = None if cents is None or not priced else cents / 4  # quarters add up exactly
    return photo(rel_path, "c" if good else None, status=status, placeholder=placeholder,
                 cost_usd=cost, requests=cents, created_at=created_at)  # fmt: skip


histories = st.lists(
    st.builds(
        record, st.sampled_from(["a", "b", "\udce9"]), st.sampled_from(Status), st.booleans(),
        st.none() | st.integers(0, 9), st.booleans(), st.none() | st.integers(0, 9),
    ),
    max_size=8,
)  # fmt: skip


def effective(path: Path) -> dict[str, tuple[object, ...]]:
    entries = read_index(path).entries
    return {p: (e.status, e.placeholder, e.created_at) for p, e in entries.items()}


def captions(path: Path) -> dict[str, str | None]:
    return {e.rel_path: e.created_at for e in read_index(path).captions()}


# -- compact ---------------------------------------------------------------------------------------


@given(histories)
def test_compact_keeps_effective_records_captions_and_sums(history: list[Record]):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "captions.jsonl")
        write_lines(path, *history)
        before, was = read_index(path), (effective(path), captions(path))
        result = compact(path)
        once = path.read_bytes()
        after = read_index(path)
        compact(path)
        assert ((effective(path), captions(path)), path.read_bytes()) == (was, once)
    assert (after.cost_usd, after.requests) == (before.cost_usd, before.requests)
    assert after.unpriced == before.unpriced
    assert (result.kept, result.dropped) == (after.records, before.records - after.records)
    captioned = {r.rel_path for r in history if r.caption and not r.placeholder}
    kept = {r["rel_path"] for r in map(json.loads, once.splitlines()) if r["caption"]}
    assert captioned <= kept
    assert after.records <= 2 * len(after.entries)


def test_compact_keeps_unknown_fields_and_untouched_lines_byte_for_byte(journal_path: Path):
    untouched = b'{ "rel_path" : "1", "caption" : "a", "status" : "success", "x" : 1.10 }\n'
    changed = photo("2", "b", extra={"tags": ["é"], "offset": "?"}, cost_usd=0.5)
    write_lines(journal_path, untouched, failure("2", cost_usd=0.25), changed)
    compact(journal_path)
    first, second = journal_path.read_bytes().splitlines(keepends=True)
    assert first == untouched
    assert json.loads(second) == json.loads(changed.to_line()) | {"cost_usd": 0.75}


def test_compact_leaves_a_cost_that_nobody_reported_unknown(journal_path: Path):
    write_lines(journal_path, photo("1"), photo("1", "b"))
    compact(journal_path)
    assert journal_path.read_bytes() == photo("1", "b").to_line()


def test_compact_does_not_change_numbers_that_python_cannot_hold_into_no_json(journal_path: Path):
    odd = b'{"rel_path":"1","caption":"a","status":"success","x":1e999,"y":' + b"9" * 5000 + b"}\n"
    write_lines(journal_path, failure("1", cost_usd=1.0), odd)
    compact(journal_path)
    index = read_index(journal_path)
    assert (index.records, index.damage, index.cost_usd) == (1, [], 1.0)


def test_compact_moves_damaged_lines_whole_into_the_broken_file(journal_path: Path):
    long = b"x" * (MAX_LINE_BYTES + 5000)
    write_lines(journal_path, b"one\n", photo("1"), long + b"\n", b"\0\xff\n", photo("2"), b"torn")
    assert compact(journal_path).damaged == 3
    assert journal_path.read_bytes() == photo("1").to_line() + photo("2").to_line()
    broken = journal_path.with_name("captions.jsonl.broken")
    assert broken.read_bytes() == b"torn\none\n" + long + b"\n\0\xff\n"
    assert stat.S_IMODE(broken.stat().st_mode) == 0o600


def test_compact_drops_the_byte_order_mark_and_keeps_the_mode(journal_path: Path):
    write_lines(journal_path, BYTE_ORDER_MARK + photo("1").to_line(), photo("2"), photo("1", "b"))
    journal_path.chmod(0o644)
    compact(journal_path)
    assert journal_path.read_bytes() == photo("2").to_line() + photo("1", "b").to_line()
    assert stat.S_IMODE(journal_path.stat().st_mode) == 0o644


def test_compact_through_a_link_replaces_the_real_file(tmp_path: Path):
    link, real = tmp_path / "link", tmp_path / "real"
    write_lines(real, photo("1"), photo("1", "b"))
    link.symlink_to(real)
    assert compact(link).dropped == 1
    assert link.is_symlink()
    assert real.read_bytes() == photo("1", "b").to_line()


def test_what_a_killed_compact_left_behind_is_replaced(journal_path: Path):
    leftover = journal_path.with_name(".captions.jsonl.new")
    leftover.write_bytes(b"half")
    write_lines(journal_path, photo("1"), photo("1", "b"))
    compact(journal_path)
    assert caption_of(journal_path, "1") == "b"
    assert not leftover.exists()


def test_a_mistyped_name_does_not_become_an_empty_journal(journal_path: Path):
    with pytest.raises(JournalError, match="No such file"):
        compact(journal_path)
    append(journal_path, photo("1"))
    with pytest.raises(JournalError, match="No such file"):
        merge(journal_path.with_name("new"), journal_path.with_name("typo"))
    assert {p.name for p in journal_path.parent.iterdir()} == {
        "captions.jsonl",
        "captions.jsonl.lock",
    }


def test_upkeep_waits_for_no_writer_and_a_writer_for_no_upkeep(journal_path: Path):
    other = journal_path.with_name("other")
    write_lines(other, photo("2"))
    with Journal(journal_path) as journal:
        for work in (lambda: compact(journal_path), lambda: merge(journal_path, other)):
            with pytest.raises(JournalLockedError):
                work()
        journal.append(photo("1"))
    compact(journal_path)
    append(journal_path, photo("3"))
    assert paths_in(journal_path) == {"1", "3"}


def test_a_lock_taken_before_compacting_still_guards_after_it(journal_path: Path):
    write_lines(journal_path, photo("1"), photo("1"))
    compact(journal_path)
    inode = journal_path.stat().st_ino
    with Journal(journal_path) as journal:
        with pytest.raises(JournalLockedError):
            compact(journal_path)
        journal.append(photo("2"))
    assert journal_path.stat().st_ino == inode


def test_an_upkeep_that_cannot_write_leaves_the_file_as_it_was(journal_path: Path):
    write_lines(journal_path, photo("1"), photo("1", "b"))
    before = journal_path.read_bytes()
    journal_path.with_name(".captions.jsonl.new").mkdir()  # in the way of the new file
    other = journal_path.with_name("other")
    write_lines(other, photo("2"))
    for work in (lambda: compact(journal_path), lambda: merge(journal_path, other)):
        with pytest.raises(JournalError, match="it is as it was"):
            work()
    assert journal_path.read_bytes() == before


# -- merge -----------------------------------------------------------------------------------------


def rank(history: list[Record], rel_path: str) -> tuple[object, ...]:
    """How good what one side knows is, and its caption or, without one, its last attempt."""
    mine = [r for r in history if r.rel_path == rel_path]
    mine = [r for r in mine if not r.placeholder] or mine
    good = [r for r in mine if r.status is Status.SUCCESS]
    best = (good or mine or [None])[-1]
    if best is None:
        return (False, False, ""), None
    return (not best.placeholder, bool(good), best.created_at or ""), best


@given(histories, histories)
def test_merge_takes_the_better_caption_of_each_path(here: list[Record], there: list[Record]):
    here = [Record(**{f: getattr(r, f) for f in r.__slots__} | {"model": "ours"}) for r in here]
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = Path(directory, "ours"), Path(directory, "theirs")
        write_lines(ours, *here)
        write_lines(theirs, *there)
        result = merge(ours, theirs)
        merged, index = ours.read_bytes(), read_index(ours)
        again = merge(ours, theirs)
        assert (again.lines_added, again.paths_superseded) == (0, 0)
        assert ours.read_bytes() == merged
    for rel_path in {r.rel_path for r in here + there}:
        (rank_here, mine), (rank_there, other) = rank(here, rel_path), rank(there, rel_path)
        holds = other if mine is None or (other and rank_there > rank_here) else mine
        entry = index.caption(rel_path) or index.entries[rel_path]
        assert (entry.model, entry.created_at) == (holds.model, holds.created_at)
    lines = sorted(r.to_line() for r in here + there)
    assert sorted(merged.splitlines(keepends=True)) == lines
    assert result.lines_added == len(there)


def test_an_edit_wins_over_younger_captions_and_a_withdrawal_over_what_it_took_back(
    tmp_path: Path,
):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    edit = photo("1", "mine", edited=True, created_at="2026-01-01")
    young = photo("1", "young", created_at="2026-01-03")
    for here, there in ((edit, young), (young, edit)):
        write_lines(ours, here)
        write_lines(theirs, there)
        merge(ours, theirs)
        assert caption_held(ours) == "mine"
    taken_back = failure("1", withdrawn=True, created_at="2026-01-02")
    write_lines(ours, edit)
    write_lines(theirs, edit, taken_back)
    merge(ours, theirs)
    assert read_index(ours).fold("1").attempt is None
    write_lines(ours, edit, taken_back)
    write_lines(theirs, edit, failure("1", created_at="2026-01-03"))
    merge(ours, theirs)
    assert read_index(ours).fold("1").attempt is None, "taken back in the knowledge of the edit"
    write_lines(ours, photo("1", "another", edited=True, created_at="2026-01-01"))
    write_lines(theirs, edit, taken_back)
    merge(ours, theirs)
    assert caption_held(ours) == "another"


def test_a_later_failure_elsewhere_comes_along_and_hides_no_caption(tmp_path: Path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    both = photo("1", "good", created_at="2026-01-01")
    write_lines(ours, both)
    write_lines(theirs, both, failure("1", created_at="2026-01-02"))
    merge(ours, theirs)
    assert caption_held(ours) == "good"
    assert read_index(ours).fold("1").redo_failed


def caption_held(path: Path) -> str | None:
    with Journal(path) as journal:
        entry = journal.index.caption("1")
        return None if entry is None else journal.read_record(entry).caption


@pytest.mark.parametrize(
    ("ours", "theirs", "wins"),
    [
        (failure("1", created_at="2026-01-02"), photo("1", created_at="2026-01-01"), True),
        (photo("1", created_at="2026-01-01"), failure("1", created_at="2026-01-02"), False),
        (photo("1", created_at="2026-01-01"), photo("1", "b", created_at="2026-01-02"), True),
        (photo("1", created_at="2026-01-02"), photo("1", "b", created_at="2026-01-01"), False),
        (photo("1", created_at="2026-01-01T12:00:00+14:00"),
         photo("1", "b", created_at="2026-01-01T00:00:00Z"), True),
        (photo("1", placeholder=True, created_at="2026-01-02"), failure("1"), True),
        (failure("1"), photo("1", placeholder=True, created_at="2026-01-02"), False),
        (photo("1"), photo("1", "b", created_at="last Tuesday"), False),
    ],
)  # fmt: skip
def test_which_record_wins(tmp_path: Path, ours: Record, theirs: Record, wins: bool):
    write_lines(tmp_path / "ours", ours)
    write_lines(tmp_path / "theirs", theirs)
    result = merge(tmp_path / "ours", tmp_path / "theirs")
    assert (result.lines_added, result.paths_added, result.paths_superseded) == (1, 0, wins)
    with Journal(tmp_path / "ours") as journal:
        held = journal.index.caption("1") or journal.index.entries["1"]
        assert journal.read_record(held) == (theirs if wins else ours)


def test_merging_again_after_working_on_does_not_bring_the_past_back(tmp_path: Path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_lines(theirs, photo("1", "old"))
    merge(ours, theirs)
    append(ours, failure("1"))  # asked again, in the knowledge of the old caption
    was = ours.read_bytes()
    merge(ours, theirs)
    assert ours.read_bytes() == was
    write_lines(theirs, failure("1", created_at="2020-01-01"), photo("1", "old"))
    merge(ours, theirs)
    assert read_index(ours).entries["1"].created_at is None


def test_merge_carries_lines_byte_for_byte_and_byte_order_marks_nowhere(tmp_path: Path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    odd = '{"status":"success", "rel_path":"é", "caption":"a\u2028b", "x":{"y":[]}}\r\n'.encode()
    write_lines(ours, BYTE_ORDER_MARK + photo("1").to_line(), b"damage\n", b"\n")
    write_lines(theirs, BYTE_ORDER_MARK + failure("1").to_line(), odd, b"damage\n", b"torn")
    result = merge(ours, theirs)
    assert (result.lines_added, result.damaged, result.torn_bytes) == (2, 1, 4)
    assert ours.read_bytes() == (
        failure("1").to_line() + photo("1").to_line() + b"damage\n\n" + odd
    )


def test_merge_does_not_lose_a_damaged_line_that_is_too_long_to_hold(tmp_path: Path):
    long = b"x" * (MAX_LINE_BYTES + 5) + b"\n"
    write_lines(tmp_path / "ours", photo("1"), long)
    write_lines(tmp_path / "theirs", photo("2"))
    merge(tmp_path / "ours", tmp_path / "theirs")
    assert long in (tmp_path / "ours").read_bytes()


def test_merging_into_nothing_is_a_copy(tmp_path: Path):
    write_lines(tmp_path / "theirs", photo("1"), failure("2"))
    assert merge(tmp_path / "ours", tmp_path / "theirs").paths_added == 2
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("same", [os.link, os.symlink, None])
def test_a_journal_is_not_merged_into_itself(tmp_path: Path, same):
    write_lines(tmp_path / "ours", photo("1"))
    other = tmp_path / "ours"
    if same:
        other = tmp_path / "also"
        same(tmp_path / "ours", other)
    with pytest.raises(JournalError, match="is the journal itself"):
        merge(tmp_path / "ours", other)


@pytest.mark.parametrize(
    ("name", "said"), [("a.jpg", "it is no journal"), ("a.jobs.jsonl", "a ledger of batch jobs")]
)
def test_what_has_no_record_is_not_merged(tmp_path: Path, name, said):
    write_lines(tmp_path / "ours", photo("1"))
    before = (tmp_path / "ours").read_bytes()
    (tmp_path / name).write_bytes(b'\xff\xd8 bytes\n{"job": "pc1", "state": "created"}\n')
    with pytest.raises(JournalError, match=said):
        merge(tmp_path / "ours", tmp_path / name)
    assert (tmp_path / "ours").read_bytes() == before


def test_a_copy_of_the_journal_brings_nothing(tmp_path: Path):
    write_lines(tmp_path / "ours", photo("1"), failure("1"))
    shutil.copy(tmp_path / "ours", tmp_path / "copy")
    assert merge(tmp_path / "ours", tmp_path / "copy").lines_added == 0


@pytest.mark.parametrize(
    "spelled",
    [
        lambda line: line.replace(b"\n", b"\r\n"),
        lambda line: json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n",
        lambda line: json.dumps(dict(reversed(json.loads(line).items()))).encode() + b"\n",
    ],
    ids=["line ends", "spaces and letters", "order"],
)
def test_a_copy_that_another_program_saved_brings_no_cost(tmp_path: Path, spelled):
    lines = [photo("é.jpg", cost_usd=0.5).to_line(), failure("2", cost_usd=0.25).to_line()]
    write_lines(tmp_path / "ours", *lines)
    write_lines(tmp_path / "copy", *map(spelled, lines), photo("3", cost_usd=1.0))
    assert merge(tmp_path / "ours", tmp_path / "copy").lines_added == 1
    assert read_index(tmp_path / "ours").cost_usd == 1.75
    write_lines(tmp_path / "copy", *lines)
    write_lines(tmp_path / "ours", *map(spelled, lines))
    assert merge(tmp_path / "ours", tmp_path / "copy").lines_added == 0
