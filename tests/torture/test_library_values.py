"""Values in library.db that the program never wrote: each command says a sentence, no traceback."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import shutil
import sqlite3

import numpy as np
import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.cli.report_app import execute as execute_report
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from tests.images import exif, noise, write
from tests.people.test_clustering import crowd

ODD = ["x", b"\xff\xfe", 9e999, -1, 2**62, None, '{"a": [1, 1e999]}', "[3]", b"", 0.5, ""]
COMMANDS = {
    "search": ["search", "dog", "from:2010", "--json"],
    "search like": ["search", "--similar", "0.jpg", "--all"],
    "search people": ["search", "place:Lisbon", "tag:dog"],
    "status": ["status", "--json"],
    "people list": ["people", "list", "--all", "--json"],
    "people review": ["people", "review"],
    "export": ["export", "--out", "export.csv"],
    "read": ["read", "--dry-run"],
    "forget": ["forget", "0.jpg", "--dry-run"],
}
LONG = {
    "write": ["write", "--dry-run"],
    "process": ["process"],
    "run": ["run", "--backend", "template", "--force"],
    "people cluster": ["people", "cluster"],
}
REPORT = {"report": []}
"""It takes as long as all others together: each column has it with one of the values."""

PARTS = 8


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A folder with a library.db that has a row in every table."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "photos").mkdir()
    for i in range(3):
        taken = exif(1, description="A dog in Lisbon")
        taken[0x0132] = f"2019:07:2{i} 10:00:00"
        write(folder / "photos" / f"{i}.jpg", noise(120 + i, 90), "JPEG", exif=taken)
    with contextlib.chdir(folder):
        (folder / "config.env").write_text(f"PHOTOS_DIR={folder / 'photos'}\n")
        assert call(["run", "--backend", "template"])[0] == 0
        with open("captions.jsonl") as journal:
            record = json.loads(journal.readline())
        record |= {"caption": "A dog.", "tags": ["dog"], "title": "Dog", "placeholder": False}
        with open("captions.jsonl", "a") as journal:
            journal.write(json.dumps(record) + "\n")
        assert call(["process"])[0] == 0
        fill(folder)
        assert call(["people", "cluster"])[0] == 0
        assert call(["search", "photo", "from:1990"])[0] == 0
        fill_what_is_empty(folder / "library.db")
    return folder


def fill(folder):
    _, vectors = crowd(4, 24, seed=5)
    with Library.open(folder / "library.db", pytest.fail) as library:
        with library.database.transaction() as connection:
            contents = [row[0].decode() for row in connection.execute("SELECT content FROM photos")]
            connection.execute("UPDATE photos SET latitude = 38.7, longitude = -9.1")
            connection.execute(
                "INSERT INTO photo_tags SELECT content, 'm', 'c', 'dog', .5 FROM photos"
            )
            connection.execute(
                "INSERT INTO places SELECT content, latitude, longitude, 'Lisbon', 'Belém' "
                "FROM photos"
            )
        for place, content in enumerate(contents):
            corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
            library.texts.save(content, "reader", [("INVOICE", 0.9, corners)])
            faces = [
                StoredFace(
                    number=n,
                    box=(10.0 * n, 5.0, 50.0, 50.0),
                    score=0.9,
                    seen=50.0,
                    landmarks=np.zeros((5, 2), np.float32),
                    vector=vectors[8 * place + n],
                )
                for n in range(8)
            ]
            library.faces.save(content, "detector", "recogniser", faces)
            library.save_vectors("words:1", [content], np.full((1, 4), 0.5, np.float32))


def fill_what_is_empty(path):
    """A row of something in each table that came later than this test."""
    example = {"TEXT": "x", "BLOB": b"x", "INTEGER": 1, "REAL": 0.5}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table in dict.fromkeys(table for table, _ in columns(path)):
            if not connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]:
                rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
                marks = ",".join("?" * len(rows))
                values = [example[row[2]] for row in rows]
                connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        connection.commit()


def call(arguments, program=execute):
    """Exit code, and all that was said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = program(arguments)
    return code, said.getvalue()


def columns(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if "_words" not in name and not name.startswith("sqlite_")
        ]
        return [
            (table, row[1])
            for table in tables
            for row in connection.execute(f"PRAGMA table_info({table})")
        ]


def spoil(path, table, column, value):
    """Whether SQLite takes the value there, in one row or in all."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        except sqlite3.IntegrityError:
            return False
        connection.commit()
    return True


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_command_has_a_sentence_for_every_value(
    full, tmp_path, share, tried, monkeypatch, part
):
    places = enumerate(columns(full / "library.db"))
    every = list(itertools.product(places, enumerate(ODD)))[part::PARTS]
    chosen = share(every[::31], every)
    bad, times = [], 0
    for (number, place), (kind, value) in chosen:
        report = REPORT if number % len(ODD) == kind else {}
        folder = tmp_path / "spoiled"
        shutil.copytree(full, folder)
        if spoil(folder / "library.db", *place, value):
            for name, arguments in share(COMMANDS, COMMANDS | LONG | report).items():
                fresh = shutil.copytree(folder, tmp_path / "fresh")
                monkeypatch.chdir(fresh)
                if name == "report":
                    code, said = call(["--out", "report"], execute_report)
                else:
                    code, said = call(arguments)
                times += 1
                if code == 1 or "Traceback" in said or "internal error" in said:
                    bad.append((place, value, name, said[-300:]))
                monkeypatch.chdir(tmp_path)
                shutil.rmtree(fresh)
        shutil.rmtree(folder)
    tried("odd values in columns of library.db, through every command", times, lost=len(bad))
    assert not bad, bad[:5]
