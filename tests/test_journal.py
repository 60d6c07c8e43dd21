"""The journal's contract, from the first record to upkeep; details are in tests/journal/."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    JournalError,
    JournalLockedError,
    Status,
)
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.summary import summarize
from picture_captioner.journal.writing import Journal
from tests.journal.support import append, caption_of, failure, is_done, paths_in, photo, write_lines
from tests.support import caption as cli


def test_a_journal_that_does_not_exist_is_empty(journal_path: Path):
    index = read_index(journal_path)
    assert (index.entries, index.records, index.warnings("j")) == ({}, 0, [])
    assert not journal_path.exists()


def test_a_record_is_one_line_of_ascii_json(journal_path: Path):
    append(journal_path, photo("été/1.jpg", "a café\u2028by the\nsea", cost_usd=0.001))
    line = journal_path.read_bytes()
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "rel_path": "été/1.jpg",
        "caption": "a café\u2028by the\nsea",
        "status": "success",
        "cost_usd": 0.001,
    }


def test_what_was_appended_is_there_at_once_and_after_reopening(journal_path: Path):
    with Journal(journal_path) as journal:
        journal.append(photo("1.jpg", "a boat"))
        assert is_done(journal, "1.jpg")
        assert paths_in(journal_path) == {"1.jpg"}
    with Journal(journal_path) as journal:
        assert is_done(journal, "1.jpg")
        assert not is_done(journal, "2.jpg")
        assert journal.read_record(journal.index.entries["1.jpg"]).caption == "a boat"


def test_the_last_real_record_counts(journal_path: Path):
    append(journal_path, photo("1.jpg", "first"), photo("1.jpg", "second"), failure("1.jpg"))
    assert read_index(journal_path).entries["1.jpg"].status is Status.ERROR_MODEL
    append(journal_path, photo("1.jpg", "third"))
    assert caption_of(journal_path, "1.jpg") == "third"


def test_a_placeholder_neither_supersedes_nor_blocks_a_real_record(journal_path: Path):
    mock = photo("1.jpg", "a mock caption", placeholder=True)
    append(journal_path, mock)
    index = read_index(journal_path)
    assert not is_done(index, "1.jpg")
    assert is_done(index, "1.jpg", placeholders_count=True)
    append(journal_path, photo("1.jpg", "real"), mock)
    assert caption_of(journal_path, "1.jpg") == "real"


def test_a_torn_last_line_is_discarded_with_a_warning_even_if_it_parses(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), photo("2.jpg").to_line()[:-1])
    index = read_index(journal_path)
    assert set(index.entries) == {"1.jpg"}
    [warning] = index.warnings("captions.jsonl")
    assert "discarded 1 malformed line" in warning


def test_a_writer_cuts_the_torn_line_off_and_keeps_its_bytes(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), b'{"rel_path":"2.j')
    with Journal(journal_path) as journal:
        [repair] = journal.repairs
        assert "discarded 1 malformed line" in repair
        assert journal_path.read_bytes() == photo("1.jpg").to_line()
        journal.append(photo("3.jpg"))
    assert paths_in(journal_path) == {"1.jpg", "3.jpg"}
    assert journal_path.with_name("captions.jsonl.broken").read_bytes() == b'{"rel_path":"2.j\n'


def test_damage_in_the_middle_is_named_by_its_line_and_passed_over(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), b"\n", b"not a record\n", photo("2.jpg"))
    index = read_index(journal_path)
    assert set(index.entries) == {"1.jpg", "2.jpg"}
    assert [damage.line for damage in index.damage] == [3]
    assert "line 3 (byte " in index.warnings("captions.jsonl")[0]


def test_only_one_process_or_object_writes_at_a_time(journal_path: Path):
    with Journal(journal_path):
        with pytest.raises(JournalLockedError, match=f"process {os.getpid()} on ") as raised:
            Journal(journal_path)
        assert raised.value.exit_code is ExitCode.LOCKED
    Journal(journal_path).close()


def test_files_are_readable_by_their_owner_only(journal_path: Path):
    write_lines(journal_path, b'{"rel_path":"to')
    os.chmod(journal_path, 0o600)
    append(journal_path, photo("1.jpg"))
    journal_path.unlink()
    append(journal_path, photo("1.jpg"))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in journal_path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ["captions.jsonl", "captions.jsonl.broken", "captions.jsonl.lock"], 0o600
    )


def test_threads_append_at_once_and_nothing_is_lost(journal_path: Path):
    def work(thread: int) -> None:
        for number in range(25):
            journal.append(photo(f"{thread}/{number}.jpg"))

    with Journal(journal_path) as journal:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        in_memory = {p: e.offset for p, e in journal.index.entries.items()}
    on_disk = {p: e.offset for p, e in read_index(journal_path).entries.items()}
    assert len(on_disk) == 400
    assert in_memory == on_disk


@pytest.mark.parametrize("take_away", ["unlink", "rename", "replace", "directory"])
def test_a_journal_that_goes_away_during_the_run_is_an_error(tmp_path: Path, take_away: str):
    path = tmp_path / "d" / "captions.jsonl"
    path.parent.mkdir()
    with Journal(path) as journal:
        journal.append(photo("1.jpg"))
        if take_away == "unlink":
            path.unlink()
        elif take_away == "rename":
            path.rename(tmp_path / "elsewhere")
        elif take_away == "replace":
            write_lines(tmp_path / "other", photo("1.jpg"))
            (tmp_path / "other").replace(path)
        else:
            path.parent.rename(tmp_path / "elsewhere")
        for _ in range(2):
            with pytest.raises(JournalError, match="deleted, moved or replaced"):
                journal.append(photo("2.jpg"))
        assert not is_done(journal, "2.jpg")


def test_a_missing_directory_is_named_with_the_cure(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"mkdir -p .*no/such"):
        Journal(tmp_path / "no" / "such" / "captions.jsonl")


def test_compact_keeps_captions_and_sums(journal_path: Path):
    append(
        journal_path,
        photo("1.jpg", "old", cost_usd=0.25, requests=1),
        photo("1.jpg", "new", cost_usd=0.5, requests=2),
        failure("1.jpg", requests=4),
    )
    result = compact(journal_path)
    assert (result.kept, result.dropped) == (2, 1)
    index = read_index(journal_path)
    assert (index.cost_usd, index.requests) == (0.75, 7)
    assert b'"new"' in journal_path.read_bytes()


def test_merge_brings_the_other_machines_lines_once(tmp_path: Path):
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    write_lines(ours, photo("1.jpg"), failure("2.jpg"))
    write_lines(theirs, photo("2.jpg", "theirs"), photo("3.jpg"))
    assert merge(ours, theirs).lines_added == 2
    merged = ours.read_bytes()
    assert paths_in(ours) == {"1.jpg", "2.jpg", "3.jpg"}
    assert caption_of(ours, "2.jpg") == "theirs"
    assert merge(ours, theirs).lines_added == 0
    assert ours.read_bytes() == merged


def test_a_cut_off_last_line_of_the_other_journal_is_told(tmp_path: Path):
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    write_lines(ours, photo("1.jpg"))
    write_lines(theirs, photo("2.jpg"), photo("3.jpg").to_line()[:-9])
    merged = cli("journal", "merge", theirs, "--captions-jsonl", ours, cwd=tmp_path)
    assert (merged.returncode, paths_in(ours)) == (0, {"1.jpg", "2.jpg"})
    assert "theirs.jsonl: discarded 1 malformed line (" in merged.stderr
    write_lines(theirs, b"\x89PNG, a picture")
    refused = cli("journal", "merge", theirs, "--captions-jsonl", ours, cwd=tmp_path)
    assert (refused.returncode, "it is no journal" in refused.stderr) == (74, True)


def test_lines_that_lead_out_of_the_photos_directory_are_named_and_not_merged(tmp_path: Path):
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    write_lines(ours, photo("1.jpg"))
    write_lines(theirs, photo("../2.jpg"), photo("/3.jpg"), photo("4.jpg"))
    result = merge(ours, theirs)
    assert (result.lines_added, result.damaged) == (1, 2)
    assert paths_in(ours) == {"1.jpg", "4.jpg"}
    checked = cli("journal", "check", "--captions-jsonl", theirs, cwd=tmp_path)
    assert checked.returncode == ExitCode.IO_FAILED
    assert "line 1 (byte 0) is not a record: rel_path '../2.jpg' is no path" in checked.stdout
    assert "line 2 " in checked.stdout
    assert "line 3 " not in checked.stdout


def test_a_check_of_what_is_no_journal_names_no_command_that_refuses_it(tmp_path: Path):
    text = photo("1.jpg").to_line() + photo("2.jpg").to_line()
    write_lines(tmp_path / "c.jsonl", text.decode().encode("utf-16"))
    checked = cli("journal", "check", "--captions-jsonl=c.jsonl", cwd=tmp_path)
    assert checked.returncode == ExitCode.IO_FAILED
    assert "0 records of 0 photos in c.jsonl. It is no journal: name another" in checked.stderr
    assert "compact" not in checked.stderr
    assert "the next run cuts it off" not in checked.stderr


def test_stats_count_effective_records_and_every_cent(journal_path: Path):
    append(journal_path, failure("1.jpg", cost_usd=0.5), photo("1.jpg", cost_usd=0.25))
    summary, _ = summarize(journal_path)
    assert (summary.photos, summary.records, summary.by_status) == (1, 2, {"success": 1})
    assert summary.cost_usd == 0.75
