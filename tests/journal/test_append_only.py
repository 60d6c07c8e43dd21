"""The same torture for every kind of append-only file: the journal, and rows by their key."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from picture_captioner.errors import ConfigurationError, JournalError, JournalLockedError
from picture_captioner.journal.maintenance import compact
from picture_captioner.journal.rows import RowFile
from picture_captioner.journal.writing import Journal
from tests.journal.support import photo


class People(RowFile):
    noun, setting, key = "people file", "--people FILE", "id"


class Captions:
    """The journal, with the words of this test."""

    name = "captions.jsonl"
    open = Journal
    compact = staticmethod(lambda path: compact(path).dropped)

    @staticmethod
    def put(file, key, text):
        file.append(photo(key, text))

    @staticmethod
    def texts(file):
        return {e.rel_path: file.read_record(e).caption for e in file.index.captions()}

    @staticmethod
    def line(key, text):
        return photo(key, text).to_line()


class Rows:
    """Rows by their key, likewise."""

    name = "people.jsonl"
    open = People
    compact = staticmethod(People.compact)

    @staticmethod
    def put(file, key, text):
        file.put({"name": text, "id": key, "later": {"version": [1]}})

    @staticmethod
    def texts(file):
        return {key: row["name"] for key, row in file.last().items()}

    @staticmethod
    def line(key, text):
        return b'{"id":"%b","name":"%b"}\n' % (key.encode(), text.encode())


@pytest.fixture(params=[Captions, Rows])
def kind(request):
    return request.param


@pytest.fixture
def path(kind, tmp_path):
    return tmp_path / kind.name


def read(kind, path):
    with kind.open(path) as file:
        return kind.texts(file)


def test_the_last_line_of_a_key_wins_now_and_after_reopening(kind, path):
    with kind.open(path) as file:
        assert file.begun
        for key, text in (("a", "one"), ("b", "two"), ("a", "three")):
            kind.put(file, key, text)
        assert kind.texts(file) == {"a": "three", "b": "two"}
    assert read(kind, path) == {"a": "three", "b": "two"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_cut_at_any_byte_resumes_and_loses_no_whole_line(kind, path):
    lines = [kind.line(key, f"text of {key}") for key in "abc"]
    whole = b"".join(lines)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with kind.open(path) as file:
            assert bool(file.repairs) == (not whole[:cut].endswith(b"\n") and cut > 0)
            kind.put(file, "z", "after")
        left = whole[:cut].count(b"\n")
        assert read(kind, path) == {k: f"text of {k}" for k in "abc"[:left]} | {"z": "after"}


def test_a_damaged_line_is_told_and_costs_no_other(kind, path):
    path.write_bytes(kind.line("a", "one") + b"\xff\0damage\n" + kind.line("b", "two"))
    with kind.open(path) as file:
        damage = file.damage if kind is Rows else file.index.damage
        assert [d.line for d in damage] == [2]
        assert kind.texts(file) == {"a": "one", "b": "two"}
    assert kind.compact(path) == (1 if kind is Rows else 0)
    assert read(kind, path) == {"a": "one", "b": "two"}
    assert b"damage" in path.with_name(f"{path.name}.broken").read_bytes()


def test_compacting_keeps_the_last_lines_whole(kind, path):
    with kind.open(path) as file:
        for n in range(9):
            kind.put(file, f"{n % 3}", f"text {n}")
    assert kind.compact(path) == 6
    assert path.read_bytes().count(b"\n") == 3
    assert read(kind, path) == {"0": "text 6", "1": "text 7", "2": "text 8"}
    assert b"later" in path.read_bytes() or kind is Captions, "unknown fields stay"


def test_a_second_writer_is_refused_at_once(kind, path):
    with kind.open(path):
        started = time.monotonic()
        with pytest.raises(JournalLockedError):
            kind.open(path)
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("content", [b"Dear diary,\nMilk", b'{"x": 1}\n', b"one line"])
def test_another_file_is_refused_as_it_is(kind, path, content):
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        kind.open(path)
    assert path.read_bytes() == content


def test_threads_share_syncs_and_lose_nothing(kind, path):
    with kind.open(path) as file:

        def work(thread):
            for n in range(25):
                kind.put(file, f"{thread}/{n}", "text")

        threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read(kind, path)) == 200


@pytest.mark.parametrize("wait", [0.002, 0.01, 0.03])
def test_what_was_acknowledged_survives_sigkill(kind, path, wait):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with kind.open(path) as file:
                for n in range(10_000):
                    kind.put(file, f"{n}", "text")
                    os.write(writer, b".")
        finally:
            os._exit(0)
    os.close(writer)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        acknowledged = len(pipe.read())
    assert len(read(kind, path)) - acknowledged in (0, 1)


def test_a_write_that_fails_stops_it_and_leaves_no_half_line(kind, path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with kind.open(path) as file:
        kind.put(file, "a", "one")
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
        try:
            for _ in range(2):
                with pytest.raises(JournalError):
                    kind.put(file, "b", "two")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        with pytest.raises(JournalError):  # what is on the disk is not known any more
            kind.put(file, "c", "three")
    assert read(kind, path) == {"a": "one"}


def test_the_lock_is_let_go_of_when_it_is_closed(kind, path):
    with kind.open(path) as file:
        kind.put(file, "a", "one")
    with Path(f"{path}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_every_row_holds_compacting_drops_none(tmp_path):
    class Decisions(RowFile):
        noun, setting, key, last_wins = "people file", "--people FILE", "kind", False

    path = tmp_path / "people.jsonl"
    said = [{"kind": "name", "person": "p1", "name": n} for n in ("Ann", "Anne")]
    with Decisions(path) as file:
        file.put(*said)
    path.write_bytes(path.read_bytes() + b"damage\n")
    assert Decisions.compact(path) == 1
    with Decisions(path) as file:
        assert file.rows == said


@pytest.mark.parametrize("row", [{}, {"id": ""}, {"id": 7}, {"id": "a", "x": float("nan")}])
def test_a_row_that_no_reader_would_take_is_not_written(tmp_path, row):
    with People(tmp_path / "people.jsonl") as file:
        with pytest.raises(ValueError):
            file.put(row)
        assert (tmp_path / "people.jsonl").read_bytes() == b""


def test_a_lock_file_that_went_away_with_its_journal_locks_nothing(tmp_path, monkeypatch):
    path = tmp_path / "captions.jsonl"
    lock = tmp_path / "captions.jsonl.lock"
    really = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda *_: lock.unlink())
    with pytest.raises(JournalLockedError, match=r"somebody deletes captions\.jsonl\.lock"):
        Journal(path)
    assert not path.exists()
    gone = iter([True, False, False])  # another run gives up its journal, then nobody does
    monkeypatch.setattr(fcntl, "flock", lambda *a: lock.unlink() if next(gone) else really(*a))
    with Journal(path) as taken:
        assert lock.exists()
        taken.discard_if_unused()
    monkeypatch.undo()
    Journal(path).discard_if_unused()
    assert list(tmp_path.iterdir()) == []
    path.touch()
    Journal(path).discard_if_unused()
    assert path.exists(), "somebody else made it"
