"""library.db of every version that was released comes to this one, whatever happens on the way."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from picture_captioner.errors import LibraryError
from picture_captioner.library import schema
from picture_captioner.library.ledger import Standing, standing
from picture_captioner.library.store import Library
from tests.library import dying_migrations
from tests.library.dying_migrations import with_made_up
from tests.library.filling import fill

RELEASED = [
    "974469c9", "aaea3b4a", "11036689", "a18cb336", "8325995a", "2750d5d9", "e5552566", "88e4a2b4",
    "5b02c50a", "2c4cc58f", "58a1a4da", "34268cca",
]  # fmt: skip
"""Of the SQL of each released migration, the beginning of its SHA-256. Add, never change."""

LAST = len(RELEASED) + len(dying_migrations.MADE_UP)
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_migrations(monkeypatch):
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "library.db"


def of_version(path, version, photos=3):
    """A file as the program of that version left it."""
    known, schema.MIGRATIONS = schema.MIGRATIONS, schema.MIGRATIONS[:version]
    with Library.open(path, pytest.fail) as db:
        assert version_in(path) == version
        fill(db, photos, ledger=version > 2)
    schema.MIGRATIONS = known
    return path


def version_in(path):
    connection = sqlite3.connect(path)
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return found


def assert_all_is_there(path, notice, photos=3):
    with Library.open(path, notice) as db:
        keys = [f"{n:064x}" for n in range(photos)]
        rows = db.ledger.of_file("0.jpg", 0, 0)
        assert standing(rows, "embed", "m:1") is Standing.DONE
        assert standing(rows, "normalize", "1") is Standing.DONE
        assert [db.thumbnail(key) for key in keys] == [b"webp"] * photos
        found, vectors = db.vectors("m:1", keys)
        assert found.all()
        assert np.array_equal(vectors, np.full((photos, 4), 0.5, np.float32))
        fill(db, photos)


def test_what_was_released_is_never_edited():
    digests = [hashlib.sha256(sql.encode()).hexdigest()[:8] for sql in schema.MIGRATIONS]
    assert digests == RELEASED


@pytest.mark.parametrize("version", range(1, len(RELEASED) + 1))
def test_every_released_version_comes_to_this_one(path, version):
    notices = []
    of_version(path, version)
    with Library.open(path, notices.append) as db:
        fill(db)
    assert version_in(path) == len(schema.MIGRATIONS)
    assert len(notices) == (version < len(schema.MIGRATIONS))


def test_hours_of_work_survive_five_migrations_and_a_copy_is_kept(path):
    of_version(path, 1)
    with_made_up()
    notices = []
    assert_all_is_there(path, notices.append)
    assert version_in(path) == LAST
    (notice,) = notices
    assert f"from version 1 to {LAST}" in notice
    assert "library.db.version-1, which can be deleted" in notice
    copy = path.with_name("library.db.version-1")
    assert (version_in(copy), copy.stat().st_mode & 0o777) == (1, 0o600)
    assert_all_is_there(copy, lambda _: None)


def test_a_later_copy_takes_the_place_of_an_earlier_one(path):
    of_version(path, 1)
    with_made_up()
    every = schema.MIGRATIONS
    for known in (5, LAST):
        schema.MIGRATIONS = every[:known]
        assert_all_is_there(path, lambda _: None)
    kept = {file.name for file in path.parent.iterdir()}
    assert kept == {"library.db", "library.db.version-5"}


def test_a_process_killed_at_any_statement_loses_nothing(path):
    of_version(path, 1)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "tests.library.dying_migrations", str(path)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    outcomes = [line.split() for line in done.stdout.splitlines()]
    assert [killed for _, killed in outcomes] == ["1"] * (len(outcomes) - 1) + ["0"]
    assert len(outcomes) > 40
    with_made_up()
    left = set()
    for name, _ in outcomes:
        dead = path.with_name(name)
        left.add(version_in(dead))
        assert_all_is_there(dead, lambda _: None)
        assert version_in(dead) == LAST
    assert left == set(range(1, LAST + 1))


def test_several_processes_may_find_an_old_file_at_once(path):
    of_version(path, 1, photos=300)
    code = (
        "import sys; from pathlib import Path\n"
        "from picture_captioner.library.store import Library\n"
        "from tests.library.dying_migrations import with_made_up\n"
        "with_made_up(); Library.open(Path(sys.argv[1]), lambda _: None).close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    running = [
        subprocess.Popen([sys.executable, "-c", code, path], cwd=REPOSITORY, env=environment)
        for _ in range(4)
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    with_made_up()
    assert_all_is_there(path, pytest.fail, 300)


def test_a_step_that_fails_leaves_the_file_as_it_was(path):
    of_version(path, 1)
    every = schema.MIGRATIONS
    schema.MIGRATIONS = (*every, "DROP TABLE photos;\nNONSENSE;\n")
    for _ in range(2):
        with pytest.raises(LibraryError, match="NONSENSE") as caught:
            Library.open(path, lambda _: None)
        assert caught.value.exit_code == 74
    assert version_in(path) == len(every)
    schema.MIGRATIONS = every
    assert_all_is_there(path, pytest.fail)


def test_a_step_that_leaves_vectors_without_their_model_is_taken_back(path):
    of_version(path, 1)
    known = schema.MIGRATIONS
    schema.MIGRATIONS = (*known, "DELETE FROM models;\n")
    with pytest.raises(LibraryError, match="table vectors refers to rows of models"):
        Library.open(path, lambda _: None)
    schema.MIGRATIONS = known
    assert_all_is_there(path, pytest.fail)


def test_without_room_for_a_copy_it_goes_on_and_says_so(path, monkeypatch):
    of_version(path, 1)
    with_made_up()
    usage = namedtuple("usage", "free")(path.stat().st_size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    notices = []
    assert_all_is_there(path, notices.append)
    assert ["without a copy" in notice for notice in notices] == [True, False]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.torture
def test_the_vectors_and_thumbnails_of_44000_photos_survive(path):
    of_version(path, 1, photos=44_000)
    with_made_up()
    assert_all_is_there(path, lambda _: None, 44_000)
