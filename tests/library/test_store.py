"""What is stored comes back as it was, as a whole or not at all."""

import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.ledger import MAX_ATTEMPTS, StageHistory, is_open, standing
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import TakenFrom
from tests.library.filling import fill, nearest

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
ASKED = [("normalize", "1"), ("normalize", "2"), ("normalize", None)]
ASKED += [("embed", "m:1"), ("embed", "m:2"), ("tags", "1")]


@pytest.fixture
def path(home):
    return home


@pytest.fixture
def notices():
    return []


@pytest.fixture
def db(path, notices):
    with Library.open(path, notices.append) as db:
        yield db


def test_facts_come_back_as_they_were(path):
    with Library.open(path, pytest.fail) as db:
        db.facts.save(*FILE, FACTS)
    with Library.open(path, pytest.fail) as db:
        found = db.facts.of_file(*FILE)
        assert found == FACTS
        assert found.taken_at.utcoffset() == timedelta(hours=1)
        assert db.facts.of_file("2024/a.jpg", 101, 7) is None
        assert db.facts.of_file("2024/a.jpg", 100, 8) is None
        assert db.facts.of_file("2024/b.jpg", 100, 7) is None


def test_a_name_tells_the_time_where_exif_does_not(db):
    bare = PhotoFacts(content_sha256=SHA, width=1, height=1)
    names = ("IMG_20240131_142233.jpg", "IMG-20240131-WA0001.jpg", "beach.jpg")
    for name in names:
        db.facts.save(name, 1, 1_706_711_001_000_000_000, bare)
    found = [db.facts.of_file(name, 1, 1_706_711_001_000_000_000) for name in names]
    assert [f.taken_from for f in found] == [TakenFrom.NAME, TakenFrom.DATE, None]


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
        db.facts.save(rel_path, 1, 2, facts)
        found = db.facts.of_file(rel_path, 1, 2)
        assert (found.content_sha256, found.perceptual_hash) == (sha, bits)
        assert db.paths_of(sha) == [rel_path]


def test_surrogates_of_names_that_are_not_utf8(db):
    db.facts.save("caf\udce9.jpg", 1, 1, FACTS)
    assert db.facts.of_file("caf\udce9.jpg", 1, 1) == FACTS
    assert db.paths_of(SHA) == ["caf\udce9.jpg"]


def test_the_ledger_knows_what_was_done_to_a_file_and_to_its_bytes(db):
    assert db.ledger.of_file(*FILE) == []
    db.facts.save(*FILE, FACTS)
    db.save_thumbnail(SHA, b"webp")
    db.ledger.note(SHA, "normalize", "1", took=0.5)
    db.ledger.note(SHA, "embed", "m:1", error="not_finite")
    rows = db.ledger.of_file(*FILE)
    assert rows == db.ledger.of_content(SHA)
    assert db.ledger.of_file("2024/a.jpg", 100, 8) == []
    found = {(stage, version): standing(rows, stage, version) for stage, version in ASKED}
    assert list(found.values()) == ["done", "stale", "done", "failed", "stale", "pending"]
    assert [is_open(rows, *asked) for asked in ASKED] == [False, True, True, True, True, True]
    for attempts in (2, 3):
        db.ledger.note(SHA, "embed", "m:1", error="not_finite")
        assert is_open(db.ledger.of_content(SHA), "embed", "m:1") == (attempts < MAX_ATTEMPTS)
    db.ledger.note(SHA, "embed", "m:2", took=1.0)
    assert db.ledger.history() == {
        "normalize": StageHistory("1", 0.5),
        "embed": StageHistory("m:2", 1.0),
    }


def test_a_photo_has_its_thumbnail(db):
    db.save_thumbnail(SHA, b"webp")
    assert db.thumbnail(SHA) == b"webp"
    assert db.thumbnail("b" * 64) is None


@given(
    array=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.integers(1, 8)),
        elements=st.floats(-1, 1, width=16),
    ),
    order=st.randoms(),
)
def test_vectors_come_back_for_any_order_of_keys(array, order):
    keys = [f"{n:064x}" for n in range(len(array))]
    with Library.in_memory(pytest.fail) as db:
        db.save_vectors("m:1", keys, array)
        rows = [order.randrange(len(array) + 2) for _ in range(order.randrange(1, 20))]
        known, found = db.vectors("m:1", [f"{n:064x}" for n in rows])
        for row, is_known, vector in zip(rows, known, found, strict=True):
            assert is_known == (row < len(array))
            assert np.array_equal(vector, array[row] if is_known else np.zeros(array.shape[1]))
        assert found.dtype == np.float32


def test_vectors_come_back_for_many_keys_out_of_many_more(db):
    keys = [f"{n:064x}" for n in range(1300)]
    array = (np.arange(2600) % 2003).astype(np.float32).reshape(1300, 2)  # exact in 16 bits
    db.save_vectors("other", keys, -array)
    db.save_vectors("m:1", keys, array)
    known, found = db.vectors("m:1", keys[::-2][:600])
    assert known.all()
    assert np.array_equal(found, array[::-2][:600])


def test_half_precision_keeps_the_angles(db):
    rng = np.random.default_rng(1)
    array = rng.normal(size=(600, 768)).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    keys = [f"{n:064x}" for n in range(600)]
    db.save_vectors("m:1", keys, array)
    known, found = db.vectors("m:1", keys)
    assert known.all()
    assert np.abs(found @ array.T - array @ array.T).max() < 1e-3
    best = nearest(db, "m:1", array[123], 3)
    assert best[0][0] == keys[123]
    assert best[0][1] == pytest.approx(1, abs=1e-3)
    assert [score for _, score in best] == sorted((s for _, s in best), reverse=True)


def test_an_unknown_embedder_has_no_vectors(db):
    known, found = db.vectors("none", [SHA, SHA])
    assert (known.tolist(), found.shape) == ([False, False], (2, 0))
    assert nearest(db, "none", np.ones(3, np.float32), 5) == []
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
    assert not db.ledger.of_content(f"{0:064x}")
    with db.transaction():
        fill(db)
    assert len(db.ledger.of_content(f"{2:064x}")) == 3


def test_threads_share_a_library(db):
    errors = []

    def work(start):
        try:
            for i in range(start, start + 50):
                sha = f"{i:064x}"
                with db.transaction():
                    facts = PhotoFacts(content_sha256=sha, width=1, height=1)
                    db.facts.save(f"{i}.jpg", i, i, facts)
                    db.save_thumbnail(sha, b"x")
                assert db.facts.of_file(f"{i}.jpg", i, i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
