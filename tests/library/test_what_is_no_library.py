"""What is no library keeps its name and its bytes, and a library that is copied is only read."""

import hashlib
import os
import sqlite3

import pytest

from picture_captioner.library.store import Library
from tests.library.filling import fill
from tests.support import caption


def state(folder):
    """Every file's bytes, without SQLite's own files and those of a run."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.is_file() and not file.name.endswith(("-wal", "-shm", ".lock", ".log"))
    }


def foreign_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE pictures (name)")
    connection.commit()
    connection.close()


@pytest.fixture
def here(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "captions.jsonl").write_text("")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo" * 900)
    (tmp_path / "short").write_bytes(b"x")
    foreign_database(tmp_path / "catalogue.sqlite")
    with Library.open(tmp_path / "mine.db", pytest.fail) as library:
        fill(library)
    return tmp_path


@pytest.mark.parametrize("name", ["photo.jpg", "short", "catalogue.sqlite"])
@pytest.mark.parametrize(
    "command",
    [
        ("status", "--photos-dir=photos"),
        ("search", "dog"),
        ("run", "--photos-dir=photos", "--backend=mock"),
        ("library", "copy", "--from=mine.db"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_of_another_kind_is_left_as_it_is(here, name, command):
    (here / "photos" / "a.jpg").write_bytes(b"")
    before = state(here)
    flag = "--to" if command[0] == "library" else "--library-db"
    done = caption(*command, f"{flag}={name}", cwd=here)
    assert done.returncode == 78, done.stderr
    assert f"{name} is no library of this program and is left as it is" in done.stderr
    assert state(here) == before


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("photo.jpg", "is no library"),
        ("catalogue.sqlite", "is no library of this program"),
        ("empty", "there is no library to copy from"),
        ("nowhere.db", "there is no library to copy from"),
        ("photos", "there is no library to copy from"),
        ("damaged.db", "damaged"),
        ("library.db", "is no library"),
        ("old.db", "is of an older version (1, this program has"),
    ],
)
def test_what_cannot_be_copied_is_said_and_nothing_is_made(here, name, word):
    (here / "empty").touch()
    (here / "library.db").write_bytes(b"garbage" * 1000)
    for other in ("damaged.db", "old.db"):
        (here / other).write_bytes((here / "mine.db").read_bytes())
    os.truncate(here / "damaged.db", (here / "damaged.db").stat().st_size // 2)
    with sqlite3.connect(here / "old.db") as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    before = state(here)
    done = caption("library", "copy", f"--from={name}", "--to=new.db", cwd=here)
    assert done.returncode == 74, done.stderr
    assert word in done.stderr
    assert "Copied" not in done.stderr
    assert state(here) == before


def test_a_copy_leaves_its_source_as_it_was(here):
    before = state(here)
    done = caption("library", "copy", "--from=mine.db", "--to=new.db", cwd=here)
    assert (done.returncode, "Copied" in done.stderr) == (0, True), done.stderr
    after = state(here)
    del after["new.db"]
    assert after == before
    with Library.open(here / "new.db", pytest.fail) as copy:
        assert copy.identities() == {"m:1": 3}


def test_a_collection_that_is_not_there_is_not_made_by_copying_it(here, one_server):
    address = one_server.new_collection()
    collection = f"--collection={address.collection}"
    done = caption("library", "copy", f"--from={address.url}", "--to=new.db", collection, cwd=here)
    assert done.returncode == 74, done.stderr
    assert f"there is no collection '{address.collection}' in postgresql://club@" in done.stderr
    assert one_server.sql(f"SELECT to_regnamespace('{address.collection}')") == [(None,)]
    assert not (here / "new.db").exists()


def test_doctor_advises_nobody_to_delete_a_photo(here):
    done = caption("doctor", cwd=here, CAPTION_LIBRARY_DB="photo.jpg")
    assert "photo.jpg: file is not a database; it is no library: name another file" in done.stdout
