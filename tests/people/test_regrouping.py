"""What others write into the library while faces are grouped is neither held up nor lost."""

from __future__ import annotations

import numpy as np
import pytest

from picture_captioner.errors import LibraryLockedError
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from picture_captioner.people.decisions import Decisions
from picture_captioner.pipeline.people import regrouping
from tests.people.test_clustering import crowd

FACES = 30
_, VECTORS = crowd(5, FACES + 5, seed=4)


def save(library, photo):
    nothing = np.zeros((5, 2), np.float32)
    face = StoredFace(0, (0.0, 0.0, 60.0, 60.0), 0.9, 60.0, nothing, VECTORS[photo])
    library.faces.save(f"{photo:064x}", "d", "r", [face])


@pytest.fixture
def home(tmp_path):
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        for photo in range(FACES):
            save(library, photo)
        yield library


@pytest.fixture
def meanwhile(home, tmp_path, monkeypatch):
    """Lets another process's writes happen while faces are clustered."""
    deeds, cluster = [], regrouping.cluster

    def clustered(vectors, **options):
        with Library.open(tmp_path / "library.db", pytest.fail) as other:
            if deeds:
                deeds.pop(0)(other)
        return cluster(vectors, **options)

    monkeypatch.setattr(regrouping, "cluster", clustered)
    return deeds


def test_a_face_that_comes_meanwhile_waits_for_the_next_time(home, meanwhile):
    meanwhile.append(lambda other: save(other, FACES))
    grouped = regrouping.group_faces(home, Decisions())
    assert len(grouped.table) == FACES
    labels = home.faces.table().labels
    assert (labels == regrouping.UNSEEN).tolist() == [False] * FACES + [True]
    assert regrouping.group_faces(home, Decisions()).added == 1


def forget(photo):
    return lambda other: other.forget([], [f"{photo:064x}"], [])


def test_a_face_that_is_forgotten_meanwhile_leaves_nothing(home, meanwhile):
    meanwhile.append(forget(3))
    grouped = regrouping.group_faces(home, Decisions())
    assert len(grouped.table) == FACES - 1
    assert f"{3:064x}" not in grouped.table.contents
    assert home.face_runs.active_run().faces == FACES - 1


def test_who_never_comes_to_an_end_changes_nothing(home, meanwhile):
    meanwhile += map(forget, range(regrouping.ATTEMPTS))
    with pytest.raises(LibraryLockedError, match="run this again"):
        regrouping.group_faces(home, Decisions())
    assert home.face_runs.active_run() is None
    assert set(home.faces.table().labels.tolist()) == {regrouping.UNSEEN}


def test_another_clustering_meanwhile_holds(home, meanwhile):
    meanwhile.append(lambda other: regrouping.group_faces(other, Decisions()))
    regrouping.group_faces(home, Decisions())
    with home.database.reading() as connection:
        [(active,)] = connection.execute("SELECT sum(active) FROM face_runs").fetchall()
    assert active == 1
