"""The file and a server know the same: same answers, and a copy there and back has every row."""

from __future__ import annotations

import itertools
import json
import random
import re
import time

import numpy as np
import pytest

from picture_captioner.errors import LibraryError, UsageError
from picture_captioner.library import copying, postgresql_schema, postgresql_search, searching
from picture_captioner.library.searching import Lookups
from picture_captioner.library.selection import Selection
from picture_captioner.library.store import Library
from tests import needs
from tests.library.filling import nearest
from tests.library.whole import THINGS, fill_whole
from tests.server import PASSWORD
from tests.support import caption, report

needs.need("psycopg")

SEARCHES = [
    *THINGS.split(),
    "dog beach",
    "chil",
    '"dog beach"',
    '"on the beach"',
    "dogs -snow",
    "rock'n",
    "夕日",
    "หมา",
    "собаки",
    "लड़की",
    "exit",
    "text:ausgang",
    "lisboa",
    "keyword",
    "tag:dog",
    'tag:"place"',
    "-tag:dog beach",
    "camera:canon",
    "camera:100%_fake",
    "place:town",
    "2016..2018",
    "-2016",
    "has:face",
    "has:person has:time",
    "-has:caption",
    "has:text",
    "has:place",
    "status:success",
    "status:error_model",
    "status:pending",
    'person:"anna 1"',
    "similar:d4/4.jpg",
    "dog similar:d4/4.jpg",
    "unicorn beach",
    "!!! 🙂",
    *("C++", "c#", ".NET", "A4-", "50%", "AT&T", "R&B", "🎉", "-C++ dog", '"C# on"', "tag:🎉"),
]


@pytest.fixture(scope="module")
def whole(one_server, tmp_path_factory):
    """The same photos in a file and on a server, with the journal beside the file."""
    folder = tmp_path_factory.mktemp("whole")
    with (
        Library.open(folder / "library.db", pytest.fail) as file,
        Library.open(one_server.new_collection(), lambda said: None) as served,
    ):
        for library in (file, served):
            fill_whole(library, folder / "captions.jsonl")
        yield file, served


def every_row(library):
    with library.database.snapshot() as connection:
        return {
            table: [tuple(map(copying._plain, row)) for row in connection.read_rows(*named)]
            for named in copying._tables(connection, connection)
            for table in named[:1]
        }


def test_no_table_is_left_out_of_a_copy(whole):
    for library in whole:
        with library.database.reading() as connection:
            tables = {table for table, _ in connection.columns()}
        assert tables - postgresql_schema.OF_WORKERS == set(copying.TABLES)
        empty = {table for table, rows in every_row(library).items() if not rows}
        # on a server each journal has a place of its own in `journals`
        assert empty - postgresql_schema.OF_WORKERS - {"indexed_journal"} == {"told_pending"}


@pytest.mark.parametrize("typed", SEARCHES)
def test_a_search_has_one_answer(whole, typed):
    selection = Selection.parse(typed)
    found = [library.search(selection, 1000) for library in whole]
    for hits in found:
        assert len({hit.rel_path for hit in hits.photos}) == len(hits.photos)
    assert [(h.rel_path, h.why, h.all_words, h.captured_at) for h in found[0].photos] == [
        (h.rel_path, h.why, h.all_words, h.captured_at) for h in found[1].photos
    ]
    scores = [[h.score for h in hits.photos] for hits in found]
    assert np.allclose(*scores, rtol=1e-9)
    assert found[0].folded == found[1].folded
    assert list(whole[0].select(selection)) == list(whole[1].select(selection))


def test_searches_by_vectors_and_words_have_one_answer(whole):
    vector = np.random.default_rng(1).normal(size=16).astype(np.float32)
    vector /= np.linalg.norm(vector)
    lookups = Lookups(words_vector=("made-up:1", vector))
    found = [library.search(Selection.parse("dog"), 50, lookups) for library in whole]
    assert [h.rel_path for h in found[0].photos] == [h.rel_path for h in found[1].photos]
    near = [nearest(library, "made-up:1", vector, 30) for library in whole]
    assert [key for key, _ in near[0]] == [key for key, _ in near[1]]
    assert np.allclose([c for _, c in near[0]], [c for _, c in near[1]], atol=1e-6)


def test_what_is_alike_is_the_same_in_pieces(whole, monkeypatch):
    selection = Selection.parse("similar:d4/4.jpg -camera:canon")
    found = [library.search(selection, 1000) for library in whole]
    monkeypatch.setattr(searching, "_AT_ONCE", 7)
    assert [library.search(selection, 1000) for library in whole] == found
    assert len(found[0].photos) > 50


def test_an_index_finds_the_nearest_and_the_rest_is_found_exactly(one_server, monkeypatch):
    monkeypatch.setattr(postgresql_search, "LEAST_VECTORS", 500)
    monkeypatch.setattr(postgresql_search, "_BY_INDEX", 50)
    monkeypatch.setattr(postgresql_search, "_CANDIDATES", 100)
    number = 2_000
    array = np.random.default_rng(2).normal(size=(number, 16)).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    keys = [f"{i:064x}" for i in range(number)]
    address = one_server.new_collection()
    with Library.open(address, lambda said: None) as served:
        served.save_vectors("few:1", keys[:100], array[:100])
        served.save_vectors("many:1", keys, array)
        exact = nearest(served, "many:1", array[7], number)
    said = list(postgresql_search.index_vectors(address))
    assert "no index needed" in said[0]
    assert "indexing 2,000 vectors" in said[1]
    assert "are indexed" in list(postgresql_search.index_vectors(address))[1]
    with Library.open(address, pytest.fail) as served:
        found = nearest(served, "many:1", array[7], number)
    assert len(set(found[:50]) & set(exact[:50])) >= 48
    assert sorted(found) == sorted(exact)
    index = f"'{address.collection}.vectors_near_2'::regclass"
    scans = f"SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelid = {index}"
    deadline = time.monotonic() + 10  # a connection that ends tells what it did
    while one_server.sql(scans) == [(0,)] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert one_server.sql(scans) == [(1,)]
    # One that a killed process left half made.
    one_server.sql(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = {index}")
    with Library.open(address, pytest.fail) as served:
        assert nearest(served, "many:1", array[7], number) == exact
    assert "indexing 2,000 vectors" in list(postgresql_search.index_vectors(address))[1]


def test_all_else_has_one_answer(whole):
    file, served = whole
    assert file.texts.words() == served.texts.words()
    assert file.tags.counts() == served.tags.counts()
    assert file.identities() == served.identities()
    assert file.tags.pending("made-up:1", "v2") == served.tags.pending("made-up:1", "v2")
    assert file.faces.placed() == served.faces.placed()
    assert file.faces.bodies() == served.faces.bodies()
    assert file.faces.files() == served.faces.files()
    assert file.others.named_faces() == served.others.named_faces()
    assert file.facts.unknown() == served.facts.unknown()
    runs = [library.face_runs.active_run() for library in whole]
    assert runs[0].parameters == runs[1].parameters
    assert np.array_equal(runs[0].centroids, runs[1].centroids)
    for photo in range(0, 120, 7):
        content = f"{photo:064x}"
        assert file.facts.of_content("x.jpg", content) == served.facts.of_content("x.jpg", content)
        assert file.texts.of_content(content) == served.texts.of_content(content)
        assert file.ledger.of_content(content) == served.ledger.of_content(content)


@pytest.mark.parametrize("seed", range(3))
def test_any_words_have_one_answer(whole, seed):
    chance = random.Random(seed)
    words = sorted(
        {w for said in whole[0].texts.words().told.values() for s in said for w in s.split()}
    )
    pool = [*THINGS.split(), *words[:20], "strand", "пляж", "海滩", "title", "1", "jpg", "d1"]
    for _ in range(15):
        typed = " ".join(chance.sample(pool, 3))
        found = [library.search(Selection.parse(typed), 30) for library in whole]
        assert [h.rel_path for h in found[0].photos] == [h.rel_path for h in found[1].photos], typed


def copied(source, target):
    with source.database.snapshot() as connection:
        return copying.copy(connection, target.database)


def test_a_copy_there_and_back_has_every_row(whole, one_server, tmp_path):
    file, _ = whole
    before = every_row(file)
    with (
        Library.open(one_server.new_collection(), lambda said: None) as served,
        Library.open(tmp_path / "back.db", pytest.fail) as back,
    ):
        counts = copied(file, served)
        assert counts == {table: len(rows) for table, rows in before.items()}
        assert every_row(served) == before
        assert copied(served, back) == counts
        assert every_row(back) == before
        for typed in ("dog beach", "has:person", "similar:d4/4.jpg"):
            answers = [library.search(Selection.parse(typed), 20) for library in (served, back)]
            assert answers[0] == answers[1] or typed == "dog beach"
        # Ids go on after those that were copied.
        for library in (served, back):
            library.texts.save("f" * 64, "ocr", [("new", 0.9, ((0.0, 0.0),))])
            library.save_vectors("another:1", ["f" * 64], np.ones((1, 4), np.float32))
        with pytest.raises(UsageError, match="holds rows in photos: name an empty one"):
            copied(file, served)


def test_a_row_that_comes_out_differently_ends_the_copy(whole, one_server):
    with Library.open(one_server.new_collection(), lambda said: None) as served:
        with served.database.transaction() as connection:
            connection.execute(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN new.error = 'spoiled'; RETURN new; END $$"
            )
            connection.execute(
                "CREATE TRIGGER spoil BEFORE INSERT ON stages FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
        with pytest.raises(LibraryError, match=r"stages came out differently \(\d+ rows read"):
            copied(whole[0], served)
        assert not any(every_row(served).values())


@pytest.fixture
def both(one_server, tmp_path):
    """A folder with a library in a file, and the environment that names a copy on a server."""
    with Library.open(tmp_path / "library.db", pytest.fail) as file:
        fill_whole(file, tmp_path / "captions.jsonl", 24)
    address = one_server.new_collection()
    served = {"CAPTION_LIBRARY": address.url, "CAPTION_COLLECTION": address.collection}
    copy = ("library", "copy", "--from=library.db", f"--to={address.url}")
    done = caption(*copy, cwd=tmp_path, CAPTION_COLLECTION=address.collection)
    assert done.returncode == 0, done.stderr
    assert "each table has the same rows" in done.stderr
    again = caption(*copy, f"--collection={address.collection}", cwd=tmp_path)
    assert (again.returncode, "name an empty one" in again.stderr) == (64, True)
    assert PASSWORD not in done.stderr + again.stderr
    return tmp_path, served


def test_the_commands_answer_alike_from_both(both):
    folder, served = both
    for arguments in (
        ("search", "--json", "dog", "beach"),
        ("people", "list", "--all", "--json"),
        ("tags", "list", "--json"),
    ):
        answers = [caption(*arguments, cwd=folder, **env) for env in ({}, served)]
        assert [a.returncode for a in answers] == [0, 0], answers
        assert json.loads(answers[0].stdout)
        assert answers[0].stdout == answers[1].stdout or _alike(*(a.stdout for a in answers))
        assert PASSWORD not in answers[1].stderr


def test_a_report_is_the_same_from_both(both):
    folder, served = both
    for place, env in (("file", {}), ("server", served)):
        done = report(f"--out={place}", cwd=folder, **env)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stderr
    names = sorted(p.name for p in (folder / "file").iterdir())
    assert names == sorted(p.name for p in (folder / "server").iterdir())
    for name in names:
        if name.endswith((".csv", ".md")):
            pages = [(folder / place / name).read_text() for place in ("file", "server")]
            file, server = (re.sub(r"made 2\S+ \S+ ", "", page) for page in pages)
            assert file == server.replace("--out=server", "--out=file"), name


def _alike(first, second):
    """Scores may differ in the last digit."""
    for one, other in itertools.zip_longest(json.loads(first), json.loads(second)):
        score, same = one.pop("score", 0), other.pop("score", 0)
        if one != other or abs(score - same) > 1e-9:
            return False
    return True
