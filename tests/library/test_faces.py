"""Faces, runs and assignments in library.db: what is saved comes back, and goes with its photo."""

from __future__ import annotations

import numpy as np
import pytest

from picture_captioner.library.face_runs import RunRow
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library

A, B = "a" * 64, "b" * 64


def face(number, x=10.0, seed=None):
    rng = np.random.default_rng(number if seed is None else seed)
    marks = rng.normal(size=(5, 2)).astype(np.float32)
    return StoredFace(
        number, (x, 20.0, 30.0, 40.0), 0.9, 40.0, marks, rng.normal(size=8).astype(np.float32)
    )


@pytest.fixture
def db(home):
    with Library.open(home, pytest.fail) as library:
        library.faces.save(A, "d", "r", [face(0), face(1, 100.0)])
        library.faces.save(B, "d", "r", [face(0, seed=7)])
        library.facts.save_file("a.jpg", 1, 1, A)
        library.facts.save_file("copy.jpg", 1, 1, A)
        yield library


def run_of(table, labels):
    table.labels[:] = labels
    table.core[:] = 0.5
    clusters = max(labels) + 1
    return RunRow(
        recogniser="r",
        parameters={"min_cluster_size": 3},
        faces=len(table),
        noise=0,
        births=np.full(clusters, 1.5, np.float32),
        persistence=np.full(clusters, 0.5, np.float32),
        centroids=np.ones((clusters, 8), np.float32),
        sizes=np.full(clusters, 2),
        tree=np.arange(10.0).reshape(2, 5),
    )


def test_faces_and_a_run_come_back(db):
    table = db.faces.table("r")
    assert (table.contents, table.numbers.tolist()) == ([A, A, B], [0, 1, 0])
    assert np.allclose(np.linalg.norm(table.vectors, axis=1), 1, atol=1e-5)
    assert set(table.labels.tolist()) == {-2}
    db.face_runs.save_run(run_of(table, [0, 1, 0]), table)
    db.faces.save_persons(
        table, range(3), ["p", None, "p"], ["auto", "pending", "auto"], np.ones(3)
    )
    again, run = db.faces.table("r"), db.face_runs.active_run()
    assert again.labels.tolist() == [0, 1, 0]
    assert again.persons == ["p", None, "p"]
    assert run.parameters == {"min_cluster_size": 3}
    assert np.array_equal(db.face_runs.tree(run.number), np.arange(10.0).reshape(2, 5))
    assert [p.status for p in db.faces.placed()] == ["auto", "pending", "auto"]
    assert db.faces.files() == {A: ["a.jpg", "copy.jpg"]}


def test_a_face_that_is_found_again_stays_in_its_cluster_and_one_that_is_gone_does_not(db):
    table = db.faces.table("r")
    db.face_runs.save_run(run_of(table, [0, 1, 0]), table)
    db.faces.save(A, "d2", "r", [face(1, 101.0), face(2, 300.0)])
    again = db.faces.table("r")
    assert dict(zip(again.numbers.tolist()[:2], again.labels.tolist()[:2], strict=True)) == {
        1: 1,
        2: -2,
    }
    db.faces.save(A, "d2", "another recogniser", [face(1, 101.0)])
    assert db.faces.table("another recogniser").labels.tolist() == [-2]


def test_forgetting_a_photo_takes_its_faces_and_what_was_computed_from_them(db):
    table = db.faces.table("r")
    db.face_runs.save_run(run_of(table, [0, 1, 0]), table)
    db.forget(["a.jpg"], [A], [])
    with db.database.reading() as connection:
        for name in ("faces", "face_assignments"):
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (1,)
        assert connection.execute("SELECT tree FROM face_runs").fetchall() == [(None,)]
        assert {c for (c,) in connection.execute("SELECT centroid FROM face_clusters")} == {None}
    assert db.face_runs.active_run().centroids.shape == (2, 0)
