"""library.db as a file: private, checked, moved aside when it is broken, never half written."""

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from picture_captioner.errors import (
    ExitCode,
    LibraryError,
    LibraryLockedError,
    LibraryNewerError,
)
from picture_captioner.library import database
from picture_captioner.library.file_access import closed_well, sentence
from picture_captioner.library.schema import MIGRATIONS
from picture_captioner.library.store import Library
from tests.library.filling import fill

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library.db"


@pytest.fixture
def notices():
    return []


def test_only_its_owner_can_read_it(path):
    before = os.umask(0)
    try:
        with Library.open(path, pytest.fail) as db:
            fill(db)
            modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("library.db", "library.db-wal", "library.db-shm"), 0o600)


def write(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def spoiled(path, how):
    with Library.open(path, pytest.fail) as db:
        fill(db, 300)
    if how == "text":
        path.write_bytes(b"captions and more captions\n" * 500)
    elif how == "cut short":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "overwritten":
        data = bytearray(path.read_bytes())
        data[8192 : len(data) - 4096] = b"\xa5" * (len(data) - 12288)
        path.write_bytes(data)
    else:
        pragma = {"foreign": "application_id = 1234", "without a version": "user_version = 0"}
        write(path, f"PRAGMA {pragma[how]}")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("text", "damaged"),
        ("cut short", "damaged"),
        ("overwritten", "damaged"),
        ("foreign", "another program"),
        ("without a version", "damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_moved_aside_and_begun_anew_aloud(path, notices, how, word):
    before = spoiled(path, how)
    with Library.open(path, notices.append) as db:
        assert db.identities() == {}
        fill(db)
    (notice,) = notices
    assert word in notice
    assert "library.db.broken" in notice
    assert path.with_name("library.db.broken").read_bytes() == before
    with Library.open(path, pytest.fail) as db:
        assert db.identities() == {"m:1": 3}


def test_a_file_of_a_newer_version_is_left_alone_and_the_way_out_is_said(path):
    with Library.open(path, pytest.fail) as db:
        fill(db)
    write(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(LibraryNewerError, match="update the program, or name") as caught:
            Library.open(path, pytest.fail)
        assert (caught.value.exit_code, str(path) in str(caught.value)) == (78, True)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_that_was_moved_aside_is_overwritten(path, notices):
    for number in range(3):
        path.write_bytes(b"%d" % number * 5000)
        Library.open(path, notices.append).close()
    names = ("library.db.broken", "library.db.broken-2", "library.db.broken-3")
    assert [path.with_name(name).read_bytes()[:1] for name in names] == [b"0", b"1", b"2"]


def test_an_empty_file_is_a_new_library(path):
    path.touch()
    with Library.open(path, pytest.fail) as db:
        fill(db)


def test_damage_that_comes_to_light_later_says_what_to_do(path, notices):
    with Library.open(path, pytest.fail) as db, db.transaction():
        for n in range(600):  # more than SQLite keeps in memory
            db.save_thumbnail(f"t{n}", bytes(10_000))
    with Library.open(path, notices.append) as db:
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xa5" * (len(data) - 4096)
        path.write_bytes(data)
        with pytest.raises(LibraryError, match="Run the same command again") as caught:
            for n in range(600):
                db.thumbnail(f"t{n}")
        assert caught.value.exit_code == ExitCode.IO_FAILED
    with Library.open(path, notices.append) as db:
        assert db.identities() == {}


def test_a_file_that_was_closed_well_is_not_read_through_at_the_next_opening(path, monkeypatch):
    looked = []
    monkeypatch.setattr(database, "drop_unsound_rows", lambda c: looked.append(c) or {})
    for _ in range(3):
        with Library.open(path, pytest.fail) as db:
            fill(db, 3)
    assert len(looked) == 1, "the first, which began it"
    write(path, "UPDATE models SET identity = 'other'")  # by somebody else
    with Library.open(path, pytest.fail), Library.open(path, pytest.fail):
        assert len(looked) == 3, "the second found it open"
    with Library.open(path, pytest.fail):
        assert len(looked) == 3
    os.utime(path)  # as a copy has it
    with Library.open(path, pytest.fail):
        assert len(looked) == 4


@pytest.mark.parametrize("lines", ["[3]", '["A"]', "[[]]", "[[1, 0.5, []]]", "[null]", "[{}]"])
def test_lines_of_a_photo_that_are_none_are_dropped_at_the_next_opening(path, lines, notices):
    with Library.open(path, pytest.fail) as db:
        db.texts.save("a", "reader", [("A sign", 0.9, ((0.0, 0.0),))])
        db.texts.save("b", "reader", [("B sign", 0.9, ((0.0, 0.0),))])
    write(path, f"UPDATE texts SET lines = '{lines}' WHERE content = CAST('a' AS BLOB)")
    with Library.open(path, notices.append) as db:
        assert db.texts.words().text == {"b": "B sign"}
    assert len(notices) == 1
    assert "(1 in texts)" in notices[0]


def test_a_file_that_failed_or_was_not_closed_is_read_through(path):
    with Library.open(path, pytest.fail) as db:
        fill(db, 3)
        assert not closed_well(path), "its -wal is there"
    assert closed_well(path)
    with (
        pytest.raises(LibraryError),
        Library.open(path, pytest.fail) as db,
        db.database.transaction() as connection,
    ):
        connection.execute("SELECT * FROM no_such_table")
    assert not closed_well(path)


@pytest.mark.parametrize("where", ["missing/library.db", "."])
def test_a_place_that_cannot_be_written(tmp_path, where):
    with pytest.raises(LibraryError, match="--library-db") as caught:
        Library.open(tmp_path / where, pytest.fail)
    assert caught.value.exit_code == ExitCode.IO_FAILED


@pytest.mark.parametrize(("free", "said"), [(0, "no room to write"), (1 << 30, "disk failed")])
def test_a_disk_that_is_full_is_not_called_broken(path, monkeypatch, free, said):
    """SQLite calls it an I/O error where there is no room for its -shm."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    error = sqlite3.OperationalError("disk I/O error")
    assert said in str(sentence(path, sqlite3.SQLITE_IOERR, error))


def test_a_fifo_is_no_library(path):
    os.mkfifo(path)
    with pytest.raises(LibraryError, match="not a regular file"):
        Library.open(path, pytest.fail)


def test_a_library_that_cannot_be_changed(path):
    with Library.open(path, pytest.fail) as db:
        fill(db)
        db.database._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(LibraryError, match="check its permissions"):
            fill(db)


def test_a_full_disk_keeps_what_was_saved(path):
    with Library.open(path, pytest.fail) as db:
        fill(db)
        db.database._connection.execute("PRAGMA max_page_count = 100")
        with pytest.raises(LibraryError, match="free some space"):
            for n in range(100):
                db.save_thumbnail(f"t{n}", bytes(10_000))
    with Library.open(path, pytest.fail) as db:
        assert db.identities() == {"m:1": 3}
        assert db.thumbnail("t0") == bytes(10_000)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from types import SimpleNamespace
from picture_captioner.errors import LibraryError
from picture_captioner.library.store import Library
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Library.open(Path(sys.argv[1]), sys.exit) as db:
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    saved = 0
    try:
        while True:
            db.save_thumbnail(f"t{saved}", bytes(20_000))
            saved += 1
    except LibraryError as error:
        sys.stdout.write(f"{saved} {int(error.exit_code)} {error}")
"""


def test_a_write_that_the_disk_refuses_keeps_what_was_saved(path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    saved, code, sentence = done.stdout.split(" ", 2)
    assert int(saved) > 3
    assert (code, str(path) in sentence) == ("74", True)
    with Library.open(path, pytest.fail) as db:
        assert db.thumbnail(f"t{int(saved) - 1}") == bytes(20_000)


def test_one_writer_at_a_time_and_readers_meanwhile(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with Library.open(path, pytest.fail) as one, Library.open(path, pytest.fail) as other:
        fill(one)
        with one.transaction():
            one.save_thumbnail("t", b"new")
            assert other.thumbnail("t") is None
            assert other.ledger.of_content(f"{0:064x}")
            with pytest.raises(LibraryLockedError, match="another process") as caught:
                other.save_thumbnail("u", b"x")
            assert caught.value.exit_code == ExitCode.LOCKED
        assert other.thumbnail("t") == b"new"
        other.save_thumbnail("u", b"x")


def test_a_file_that_another_program_holds_is_waited_for_aloud(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 1.0)
    monkeypatch.setattr(database, "_TELL_SECONDS", 0.2)
    Library.open(path, pytest.fail).close()
    said = []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Library.open(path, said.append) as db:
            for _ in range(2):
                with pytest.raises(LibraryLockedError, match=r"close it \('lsof .*' names it\)"):
                    db.save_thumbnail("u", b"x")
            assert said == [
                f"Waiting for {path}, which another program has locked: for 1 seconds at most"
            ]
            other.execute("ROLLBACK")
            db.save_thumbnail("u", b"x")
        other.execute("PRAGMA journal_mode = DELETE").fetchone()
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(LibraryLockedError):
            Library.open(path, said.append)
        assert len(said) == 2
        assert time.monotonic() - started < 10


OPENED = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from picture_captioner.library.store import Library
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
with Library.open(Path(sys.argv[1]), sys.exit) as db:
    db.save_thumbnail(sys.argv[3], b"x")
"""


def test_several_may_make_the_file_at_once(path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    at = str(time.time() + 1)
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENED, path, at, str(n)], env=environment)
        for n in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    with Library.open(path, pytest.fail) as db:
        assert [db.thumbnail(str(n)) for n in range(4)] == [b"x"] * 4


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from picture_captioner.library.store import Library
db = Library.open(Path(sys.argv[1]), sys.exit)
db.save_thumbnail("kept", b"x")
with db.transaction():
    for n in range(100):
        db.save_thumbnail(f"t{n}", bytes(10_000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_whole_transactions(path):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", KILLED, path], env=environment, check=False)
    with Library.open(path, pytest.fail) as db:
        assert db.thumbnail("kept") == b"x"
        assert db.thumbnail("t0") is None


def test_deleting_the_file_is_no_loss_but_time(path):
    with Library.open(path, pytest.fail) as db:
        fill(db)
    path.unlink()
    with Library.open(path, pytest.fail) as db:
        assert db.identities() == {}
