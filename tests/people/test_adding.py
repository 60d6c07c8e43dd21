"""New faces cost what is new, and are grouped as if all had been looked at once more."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest

from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from picture_captioner.people.clustering import MIN_SAMPLES
from picture_captioner.people.decisions import Decisions, FaceKey
from picture_captioner.people.faces import Box
from picture_captioner.people.persons import Person, exemplars, unit
from picture_captioner.pipeline.people.regrouping import ASSIGN_FROM, UNSEEN, group_faces
from tests.people.test_clustering import crowd

PEOPLE, FACES, ADDED = 9, 170, 25


def photos_of(rng):
    """Numbers of faces, one to three to a photo."""
    left = iter(range(FACES + ADDED))
    while photo := [*islice(left, rng.choice([1, 1, 2, 3]))]:
        yield photo


def save(library, number, photo, vectors):
    nothing = np.zeros((5, 2), np.float32)
    rows = [
        # Some are too small to be clustered, and some for anything.
        StoredFace(n, box(n), 0.9, [60.0, 60.0, 28.0, 20.0][face % 4], nothing, vectors[face])
        for n, face in enumerate(photo)
    ]
    library.faces.save(f"{number:064x}", "d", "r", rows)


def box(number):
    return Box(100.0 * number, 0.0, 60.0, 60.0)


def decisions(rng, photos, persons):
    """What somebody may have said, in any order, of any faces and of who was found."""
    keys = [str(FaceKey(f"{n:064x}", box(i))) for n, photo in photos for i in range(len(photo))]
    kinds = ["name", "confirm", "member", "not_person", "not_face", "must_link", "cannot_link",
             "apart", "merge", "hide"]  # fmt: skip
    for _ in range(rng.choice([0, 5, 25])):
        one, other = rng.sample(persons, 2)
        few = rng.sample(keys, 2)
        yield {"kind": rng.choice(kinds), "person": one, "into": other, "persons": [one, other],
               "name": "N", "face": few[0], "faces": few}  # fmt: skip


def expected_labels(table, births):
    """HDBSCAN's approximate prediction, one face after the other."""
    known = [i for i, label in enumerate(table.labels) if label >= 0 and not table.since[i]]
    vectors = table.vectors.astype(np.float64)
    for new in np.flatnonzero(table.labels == UNSEEN).tolist():
        distances = {i: (max(0, 2 - 2 * vectors[new] @ vectors[i])) ** 0.5 for i in known}
        own = sorted(distances.values())[MIN_SAMPLES - 1]
        mutual, nearest = min((max(d, own, table.core[i]), i) for i, d in distances.items())
        joins = table.seen[new] >= ASSIGN_FROM and 1 / mutual >= births[table.labels[nearest]]
        yield new, int(table.labels[nearest]) if joins else -1


@pytest.mark.parametrize("seed", range(4))
def test_what_is_added_is_grouped_as_all_would_be(home, seed):
    rng = random.Random(seed)
    _, vectors = crowd(PEOPLE, FACES + ADDED, seed=seed, spread=(0.7, 1.6))
    vectors = vectors[np.random.default_rng(seed).permutation(len(vectors))]
    photos = [*enumerate(photos_of(rng))]
    before = [(n, photo) for n, photo in photos if photo[-1] < FACES]
    with Library.open(home, pytest.fail) as library:
        for number, photo in before:
            save(library, number, photo, vectors)
        persons = [*group_faces(library, Decisions()).people.persons]
        said = Decisions.fold(decisions(rng, before, persons))
        group_faces(library, said)
        for number, photo in photos[len(before) :]:
            save(library, number, photo, vectors)
        unseen, run = library.faces.table(), library.face_runs.active_run()
        grouped = group_faces(library, said)
        assert (grouped.anew, grouped.added) == ("", (unseen.labels == UNSEEN).sum())
        table, people = library.faces.table(), grouped.people
    for face, label in expected_labels(unseen, run.births):
        assert table.labels[face] == label
    assert (table.persons, table.status) == (people.of_face, people.status)
    afresh = {}
    for identity, person in people.persons.items():
        faces = [f for f, of in enumerate(people.of_face) if of == identity]
        assert person.faces == faces
        centre = unit(table.vectors[faces].sum(axis=0)) if faces else np.zeros(0)
        assert np.allclose(person.centroid, centre, atol=1e-6)
        afresh[identity] = Person(identity, faces=faces, centroid=centre)
    owners, centroids = exemplars(people.persons, table.vectors, table.labels)
    assert owners == exemplars(afresh, table.vectors, table.labels)[0]
    assert np.allclose(centroids, exemplars(afresh, table.vectors, table.labels)[1], atol=1e-6)
