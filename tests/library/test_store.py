"""library.db: private, checked, moved aside when it is not what it should be, never half saved."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import library.database
from errors import ExitCode, LibraryError, LibraryLockedError
from library import Library, PhotoFacts, TakenFrom
from library.schema import APPLICATION_ID, VERSION

REPOSITORY = Path(__file__).parents[2]
SHA = "a" * 64
FACTS = PhotoFacts(
    content_sha256=SHA,
    width=4032,
    height=3024,
    taken_at=datetime(2024, 1, 31, 14, 22, 33, 120_000, timezone(timedelta(hours=1))),
    taken_from=TakenFrom.EXIF,
    camera="Canon EOS 5D",
    latitude=52.520139,
    longitude=-13.405,
    sharpness=801.915,
    perceptual_hash=2**64 - 1,
)
FILE = ("2024/a.jpg", 100, 7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library.db"


@pytest.fixture
def notices():
    return []


@pytest.fixture
def db(path, notices):
    with Library.open(path, notices.append) as db:
        yield db


def fill(db, number=3):
    for i in range(number):
        sha = f"{i:064x}"
        facts = PhotoFacts(content_sha256=sha, width=i + 1, height=1)
        db.save_facts(f"{i}.jpg", i, i, facts)
        db.save_thumbnail(sha, b"webp")
        db.save_vectors("m:1", [sha], np.full((1, 4), 0.5, np.float32))


# --- what is stored ------------------------------------------------------------------------


def test_facts_come_back_as_they_were(path):
    with Library.open(path, pytest.fail) as db:
        db.save_facts(*FILE, FACTS)
    with Library.open(path, pytest.fail) as db:
        found = db.facts(*FILE)
        assert found == FACTS
        assert found.taken_at.utcoffset() == timedelta(hours=1)
        assert db.facts("2024/a.jpg", 101, 7) is None
        assert db.facts("2024/a.jpg", 100, 8) is None
        assert db.facts("2024/b.jpg", 100, 7) is None


def test_a_name_tells_the_time_where_exif_does_not_and_the_file_only_if_asked(db):
    bare = PhotoFacts(content_sha256=SHA, width=1, height=1)
    names = ("IMG_20240131_142233.jpg", "IMG-20240131-WA0001.jpg", "beach.jpg")
    for name in names:
        db.save_facts(name, 1, 1_706_711_001_000_000_000, bare)
    found = [db.facts(name, 1, 1_706_711_001_000_000_000) for name in names]
    assert [f.taken_from for f in found] == [TakenFrom.NAME, TakenFrom.DATE, None]
    dated = found[2].or_file_time(1_706_711_001_000_000_000)
    assert dated.taken_from is TakenFrom.FILE
    assert dated.taken_at.timestamp() == 1_706_711_001
    assert found[0].or_file_time(0) == found[0]


@given(
    rel_path=st.text(st.characters(), min_size=1),
    sha=st.text(max_size=70),
    camera=st.none() | st.text(),
    bits=st.none() | st.integers(0, 2**64 - 1),
)
def test_odd_names_and_values_survive(rel_path, sha, camera, bits):
    with Library.in_memory(pytest.fail) as db:
        facts = PhotoFacts(
            content_sha256=sha, width=1, height=2, camera=camera or None, perceptual_hash=bits
        )
        db.save_facts(rel_path, 1, 2, facts)
        found = db.facts(rel_path, 1, 2)
        assert (found.content_sha256, found.perceptual_hash) == (sha, bits)
        assert db.paths_of(sha) == [rel_path]


def test_surrogates_of_names_that_are_not_utf8(db):
    db.save_facts("caf\udce9.jpg", 1, 1, FACTS)
    assert db.facts("caf\udce9.jpg", 1, 1) == FACTS
    assert db.paths_of(SHA) == ["caf\udce9.jpg"]


def test_a_photo_is_complete_with_facts_thumbnail_and_the_asked_for_vector(db):
    assert not db.has_file(*FILE, None)
    db.save_facts(*FILE, FACTS)
    assert not db.has_file(*FILE, None)
    db.save_thumbnail(SHA, b"webp")
    assert db.has_file(*FILE, None)
    assert not db.has_file(*FILE, "m:1")
    db.save_vectors("m:1", [SHA], np.eye(1, 3))
    assert db.has_file(*FILE, "m:1")
    assert db.has_content(SHA, "m:1")
    assert not db.has_content(SHA, "m:2")
    assert not db.has_file("2024/a.jpg", 100, 8, None)
    assert db.thumbnail(SHA) == b"webp"
    assert db.thumbnail("b" * 64) is None


@given(
    array=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 40)),
        elements=st.floats(-1, 1, width=16),
    ),
    order=st.randoms(),
)
def test_vectors_come_back_for_any_order_of_keys(array, order):
    keys = [f"{n:064x}" for n in range(len(array))]
    with Library.in_memory(pytest.fail) as db:
        db.save_vectors("m:1", keys, array)
        rows = [order.randrange(len(array) + 2) for _ in range(10)]
        known, found = db.vectors("m:1", [f"{n:064x}" for n in rows])
        for row, is_known, vector in zip(rows, known, found, strict=True):
            assert is_known == (row < len(array))
            assert np.array_equal(vector, array[row] if is_known else np.zeros(array.shape[1]))
        assert found.dtype == np.float32


def test_half_precision_keeps_the_angles(db):
    rng = np.random.default_rng(1)
    array = rng.normal(size=(600, 768)).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    keys = [f"{n:064x}" for n in range(600)]
    db.save_vectors("m:1", keys, array)
    known, found = db.vectors("m:1", keys)
    assert known.all()
    assert np.abs(found @ array.T - array @ array.T).max() < 1e-3
    best = db.nearest("m:1", array[123], 3)
    assert best[0][0] == keys[123]
    assert best[0][1] == pytest.approx(1, abs=1e-3)
    assert [score for _, score in best] == sorted((s for _, s in best), reverse=True)


def test_an_unknown_embedder_has_no_vectors(db):
    known, found = db.vectors("none", [SHA, SHA])
    assert (known.tolist(), found.shape) == ([False, False], (2, 0))
    assert db.nearest("none", np.ones(3, np.float32), 5) == []
    assert db.identities() == {}


def test_a_changed_dimension_replaces_the_old_vectors_aloud(db, notices):
    fill(db)
    db.save_vectors("m:1", [SHA], np.ones((1, 5)))
    assert db.identities() == {"m:1": 1}
    assert db.vectors("m:1", [SHA, f"{1:064x}"])[0].tolist() == [True, False]
    assert ["another dimension" in notice for notice in notices] == [True]


@pytest.mark.parametrize("array", [np.ones((2, 3)), np.ones(3), np.full((1, 3), np.nan)])
def test_what_is_no_vector_for_each_key_is_refused(db, array):
    with pytest.raises(ValueError, match="finite"):
        db.save_vectors("m:1", [SHA], array)
    assert db.identities() == {}


def test_a_transaction_is_kept_as_a_whole_or_not_at_all(db):
    with pytest.raises(KeyError), db.transaction():
        fill(db)
        raise KeyError
    assert not db.has_content(f"{0:064x}", None)
    with db.transaction():
        fill(db)
    assert db.has_content(f"{2:064x}", "m:1")


def test_threads_share_a_library(db):
    errors = []

    def work(start):
        try:
            for i in range(start, start + 50):
                sha = f"{i:064x}"
                with db.transaction():
                    facts = PhotoFacts(content_sha256=sha, width=1, height=1)
                    db.save_facts(f"{i}.jpg", i, i, facts)
                    db.save_thumbnail(sha, b"x")
                assert db.has_file(f"{i}.jpg", i, i, None)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# --- the file ------------------------------------------------------------------------------


def test_only_its_owner_can_read_it(path):
    before = os.umask(0)
    try:
        with Library.open(path, pytest.fail) as db:
            fill(db)
            modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("library.db", "library.db-wal", "library.db-shm"), 0o600)


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
        owner, version = {
            "foreign": (1234, VERSION),
            "newer": (APPLICATION_ID, VERSION + 1),
            "older": (APPLICATION_ID, VERSION - 1),
        }[how]
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA application_id = {owner}")
            connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("text", "damaged"),
        ("cut short", "damaged"),
        ("overwritten", "damaged"),
        ("foreign", "another program"),
        ("newer", "a newer version"),
        ("older", "an older version"),
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


@pytest.mark.parametrize("where", ["missing/library.db", "."])
def test_a_place_that_cannot_be_written(tmp_path, where):
    with pytest.raises(LibraryError, match="--library-db") as caught:
        Library.open(tmp_path / where, pytest.fail)
    assert caught.value.exit_code == ExitCode.IO_FAILED


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
        db.database._connection.execute("PRAGMA max_page_count = 40")
        with pytest.raises(LibraryError, match="free some space"):
            for n in range(100):
                db.save_thumbnail(f"t{n}", bytes(10_000))
    with Library.open(path, pytest.fail) as db:
        assert db.identities() == {"m:1": 3}
        assert db.thumbnail("t0") == bytes(10_000)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from errors import LibraryError
from library import Library
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Library.open(Path(sys.argv[1]), sys.exit) as db:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
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
    monkeypatch.setattr(library.database, "BUSY_SECONDS", 0.1)
    with Library.open(path, pytest.fail) as one, Library.open(path, pytest.fail) as other:
        fill(one)
        with one.transaction():
            one.save_thumbnail("t", b"new")
            assert other.thumbnail("t") is None
            assert other.has_content(f"{0:064x}", "m:1")
            with pytest.raises(LibraryLockedError, match="another process") as caught:
                other.save_thumbnail("u", b"x")
            assert caught.value.exit_code == ExitCode.LOCKED
        assert other.thumbnail("t") == b"new"
        other.save_thumbnail("u", b"x")


KILLED = """
import os, signal, sys
from pathlib import Path
from library import Library
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
