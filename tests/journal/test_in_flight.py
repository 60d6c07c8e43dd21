"""Who was there when the process died: noted without a sync, read by the next process."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from picture_captioner.journal import InFlight, Sent
from tests.support import ROOT

A = Sent("2024/caf\udce9.jpg", "a" * 64, 100, 7)
B = Sent("b.jpg", "b" * 64, 200, 8)
COPY_OF_A = Sent("copy.jpg", "a" * 64, 100, 9)

DIES = """
import os, signal, sys
from pathlib import Path
from picture_captioner.journal import InFlight
from tests.journal.test_in_flight import A, B, COPY_OF_A
notes = InFlight(Path(sys.argv[1]), "local", "m-1", print)
exec(sys.argv[2])
os.kill(os.getpid(), signal.Signals[sys.argv[3]])
"""


def die(journal_path, work, number=signal.SIGKILL):
    """A process that does this work with its notes, then dies of the signal."""
    words = [sys.executable, "-c", DIES, str(journal_path), work, number.name]
    done = subprocess.run(words, cwd=ROOT, timeout=30, check=False, stderr=subprocess.PIPE)
    assert done.returncode == -number, done.stderr


def reopened(journal_path):
    with InFlight(journal_path, "local", "m-1", pytest.fail) as notes:
        return notes


def held_against(notes):
    return {(s.photo, s.deaths, s.alone, s.last_alone, s.crashed) for s in notes.suspicions}


def test_an_orderly_end_leaves_no_file_even_with_photos_out(journal_path):
    with InFlight(journal_path, "local", "m-1", pytest.fail) as notes:
        notes.sent([A, B])
        assert stat.S_IMODE(notes.path.stat().st_mode) == 0o600
        assert notes.path.name == "captions.jsonl.inflight"
    assert os.listdir(journal_path.parent) == []
    notes.back(notes.sent([A]), [True])
    assert os.listdir(journal_path.parent) == [], "after the end nothing is noted"


def test_a_run_that_asks_nobody_leaves_no_file(journal_path):
    reopened(journal_path)
    assert os.listdir(journal_path.parent) == []


def test_who_was_out_is_known_after_a_death_and_who_was_back_is_not(journal_path):
    die(journal_path, "notes.back(notes.sent([B]), [True]); notes.sent([A])")
    notes = reopened(journal_path)
    assert notes.death.photos == (A,)
    assert (notes.death.reason, notes.death.trace) == ("", "")
    assert held_against(notes) == {(A, 1, 1, True, False)}
    again = reopened(journal_path)
    assert again.death is None, "it is told once"
    assert held_against(again) == {(A, 1, 1, True, False)}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, "Segmentation fault"),
        (signal.SIGBUS, "Bus error"),
        (signal.SIGABRT, "Aborted"),
    ],
)
def test_a_crash_leaves_its_trace(journal_path, number, reason):
    die(journal_path, "notes.sent([A, B])", number)
    notes = reopened(journal_path)
    assert notes.death.reason == reason
    assert "most recent call first" in notes.death.trace
    assert held_against(notes) == {(A, 1, 0, False, True), (B, 1, 0, False, True)}


def test_a_second_start_watches_for_crashes_too(journal_path):
    die(journal_path, "notes.sent([A])")
    die(journal_path, "notes.sent([A])", signal.SIGSEGV)
    assert held_against(reopened(journal_path)) == {(A, 2, 2, True, True)}


def test_deaths_add_up_and_an_answer_clears_copies_too(journal_path):
    die(journal_path, "notes.sent([A, B])")
    die(journal_path, "notes.sent([COPY_OF_A]); notes.back(notes.sent([B]), [False])")
    expected = {(A, 1, 0, False, False), (B, 1, 0, False, False), (COPY_OF_A, 1, 1, True, False)}
    assert held_against(reopened(journal_path)) == expected
    with InFlight(journal_path, "local", "m-1", pytest.fail) as notes:
        notes.back(notes.sent([COPY_OF_A]), [True])
    assert held_against(reopened(journal_path)) == {(B, 1, 0, False, False)}
    with InFlight(journal_path, "local", "m-1", pytest.fail) as notes:
        notes.forget(notes.suspicions)
    assert os.listdir(journal_path.parent) == []


def test_an_answer_of_another_model_clears_nobody(journal_path):
    die(journal_path, "notes.sent([A])")
    with InFlight(journal_path, "local", "m-2", pytest.fail) as notes:
        notes.back(notes.sent([A]), [True])
    assert held_against(reopened(journal_path)) == {(A, 1, 1, True, False)}


def test_the_file_stays_small_and_keeps_what_counts(journal_path, monkeypatch):
    monkeypatch.setattr("picture_captioner.journal.in_flight.MOST_BYTES", 2000)
    die(journal_path, "notes.sent([A])")
    with InFlight(journal_path, "local", "m-1", pytest.fail) as notes:
        stays = notes.sent([A])
        for _ in range(100):
            notes.back(notes.sent([B]), [True])
            assert notes.path.stat().st_size < 3000
        data = notes.path.read_bytes()
        notes.back(stays, [False])
    journal_path.with_name("captions.jsonl.inflight").write_bytes(data)  # as if it had died
    assert held_against(reopened(journal_path)) == {(A, 2, 2, True, False)}


def test_notes_that_were_cut_or_damaged_anywhere_are_read_as_far_as_they_go(journal_path):
    die(journal_path, "notes.back(notes.sent([B]), [True]); notes.sent([A])", signal.SIGSEGV)
    path = journal_path.with_name("captions.jsonl.inflight")
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        for damaged in (whole[:at], whole[:at] + b"\0" * 9 + whole[at + 9 :], whole[at:]):
            path.write_bytes(damaged)
            assert {s.photo for s in reopened(journal_path).suspicions} <= {A, B}
    path.write_bytes(b'{"note":"sent","number":"x"}\n[]\n{"note":"other"}\n\xff\n' + b"[" * 9999)
    assert reopened(journal_path).suspicions == []


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_is_no_file_is_told_and_left_alone(journal_path, kind, tmp_path):
    path = journal_path.with_name("captions.jsonl.inflight")
    {
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("/etc/passwd"),
    }[kind]()
    before, said = path.lstat().st_ino, []
    with InFlight(journal_path, "local", "m-1", said.append) as notes:
        notes.back(notes.sent([A]), [True])
    assert len(said) == 1
    assert "captions.jsonl.inflight" in said[0]
    assert path.lstat().st_ino == before


def test_a_full_disk_is_told_once_and_leaves_nobody_suspect(journal_path, monkeypatch):
    said = []
    with InFlight(journal_path, "local", "m-1", said.append) as notes:
        notes.sent([A])

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        notes.sent([B])
        notes.sent([B])
        monkeypatch.undo()
    assert len(said) == 1
    assert "No space left" in said[0]
    assert reopened(journal_path).suspicions == []
