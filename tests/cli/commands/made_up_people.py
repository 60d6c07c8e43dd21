"""A library of made-up faces, and what the people commands say of it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from tests.people.test_clustering import crowd

PEOPLE, FACES = 6, 60


WHO, VECTORS = crowd(PEOPLE, FACES, seed=5)


SIZE = 50.0


def content_of(number):
    return hashlib.sha256(b"%d" % number).hexdigest()


def fill(home, faces=range(FACES), *, shift=0.0):
    """A library with these faces, two in each photo, of two persons."""
    order = np.random.default_rng(3).permutation(FACES)
    photos = [order[i : i + 2] for i in range(0, FACES, 2)]
    with Library.open(home, pytest.fail) as library:
        for number, photo in enumerate(photos):
            content = content_of(number)
            library.facts.save_file(f"{number:03d}.jpg", 1, number, content)
            library.faces.save(
                content,
                "detector",
                "recogniser",
                [
                    StoredFace(
                        place,
                        (100.0 * place + shift, 10.0, SIZE, SIZE),
                        0.9,
                        SIZE,
                        np.zeros((5, 2), np.float32),
                        VECTORS[face],
                    )
                    for place, face in enumerate(photo)
                    if face in faces
                ],
            )


def rewrite(home, rel_path, *, shift=0.0, besides=()):
    """Other bytes with the same faces, there or, after an edit, elsewhere in the picture.

    `besides`: faces that a lower threshold found this time, before the others.
    """
    number = int(rel_path[:3])
    new = hashlib.sha256(b"new %d" % number).hexdigest()
    with Library.open(home, pytest.fail) as library:
        library.facts.save_file(rel_path, 2, number, new)
        faces = library.faces.where(lost=True)[content_of(number)]
        rows = [
            StoredFace(place, box, 0.9, SIZE, np.zeros((5, 2), np.float32), vector)
            for place, (box, vector) in enumerate(
                [
                    *besides,
                    *(((f.box[0] + shift, *f.box[1:]), f.vector) for f in faces.values()),
                ]
            )
        ]
        library.faces.save(new, "detector", "recogniser", rows)


def listed(people):
    code, out, _ = people("list", "--all", "--json")
    assert code == 0
    return json.loads(out)


def largest(people):
    return max(listed(people)["persons"], key=lambda person: len(person["faces"]))


def faces_of(people, person):
    code, out, _ = people("show", person, "--json")
    assert code == 0
    return json.loads(out)["faces"]


def sizes(people):
    return {p["id"]: len(p["faces"]) for p in listed(people)["persons"]}


def maintain(*arguments):
    return execute(["maintain", *arguments])
