"""What is known of persons: whose each face is, who is to be asked, what contradicts what."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.people.faces import Vectors


class Status(StrEnum):
    """How a face came to its person."""

    CONFIRMED = "confirmed"
    AUTO = "auto"
    PENDING = "pending"
    UNASSIGNED = "unassigned"
    NOT_A_FACE = "not_a_face"


@dataclass
class Person:
    """Somebody: `faces` are indices. `verified`: a human gave a name or confirmed a face."""

    identity: str
    name: str = ""
    hidden: bool = False
    verified: bool = False
    faces: list[int] = field(default_factory=list)
    centroid: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))
    medoid: int = -1


class Doubt(NamedTuple):
    """A face that a human should look at: who it may be, how near, and why it was not decided."""

    face: int
    person: str
    cosine: float
    why: str


class Suggestion(NamedTuple):
    """Two persons who may be one."""

    one: str
    other: str
    cosine: float


@dataclass
class People:
    """The outcome; `of_face` holds the person of each face, or None."""

    persons: dict[str, Person]
    of_face: list[str | None]
    status: list[Status]
    doubts: list[Doubt]
    suggestions: list[Suggestion]
    violations: list[str]


def describe(
    persons: dict[str, Person],
    of_face: Sequence[str | None],
    vectors: Vectors,
    keep: Container[str] = frozenset(),
) -> None:
    """Bring faces, centroid and medoid of every person up to date; who has no face goes.

    Args:
        keep: who stays also without a face: a human spoke of them.
    """
    names = list(persons)
    number = {name: i for i, name in enumerate(names)}
    of = np.array([-1 if p is None else number[p] for p in of_face], np.int64)
    order = np.flatnonzero(of >= 0)
    order = order[np.argsort(of[order], kind="stable")]
    present, firsts = np.unique(of[order], return_index=True)
    for person in persons.values():
        person.faces, person.centroid, person.medoid = [], np.zeros(0, np.float32), -1
    bounds = [*firsts.tolist(), len(order)]
    for row, index in enumerate(present.tolist()):
        faces = order[bounds[row] : bounds[row + 1]]
        person, own = persons[names[index]], vectors[faces]
        person.faces = faces.tolist()
        person.centroid = unit(own.mean(axis=0))
        person.medoid = int(faces[int(np.argmax(own @ person.centroid))])
    for name in [n for n in names if not persons[n].faces and n not in keep]:
        del persons[name]


def exemplars(
    persons: dict[str, Person], vectors: Vectors, labels: NDArray[np.int64]
) -> tuple[list[str], Vectors]:
    """Centroids of each person's clusters, (n, dim), and whose they are.

    A single face is no cluster, unless the person has no other.
    """
    owners: list[str] = []
    centroids: list[Vectors] = []
    for identity, person in persons.items():
        if not person.faces:
            continue
        faces = np.array(person.faces)
        own = labels[faces]
        parts, counts = np.unique(own[own >= 0], return_counts=True)
        chosen = parts[counts > 1]
        if len(chosen) < 2:
            owners.append(identity)
            centroids.append(person.centroid)
            continue
        for part in chosen.tolist():
            owners.append(identity)
            centroids.append(unit(vectors[faces[own == part]].mean(axis=0)))
    return owners, np.stack(centroids) if centroids else np.zeros(
        (0, vectors.shape[-1]), np.float32
    )


def unit(vector: Vectors) -> Vectors:
    """The vector with length 1."""
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
