"""What is known of persons: whose each face is, who is to be asked, what contradicts what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    moved: Mapping[str, Collection[int]],
    keep: Collection[str] = frozenset(),
) -> None:
    """Bring faces and centroid of some persons up to date; who has no face goes.

    Args:
        moved: faces that came to these persons or left them; the others stay as they are, since
            going through everybody takes 0.3 s for 10,000 persons.
        keep: who stays also without a face: a human spoke of them.
    """
    for name, faces in moved.items():
        if (person := persons.get(name)) is None:
            continue
        person.faces = sorted(f for f in {*person.faces, *faces} if of_face[f] == name)
        person.centroid = np.zeros(0, np.float32)
        if person.faces:
            person.centroid = unit(np.add.reduce(vectors[person.faces]))
        elif name not in keep:
            del persons[name]


def exemplars(
    persons: dict[str, Person], vectors: Vectors, labels: NDArray[np.int64]
) -> tuple[list[str], Vectors]:
    """Centroids of each person's clusters, (n, dim), and whose they are.

    A single face is no cluster, unless the person has no other.
    """
    owners: list[str] = []
    centroids: list[Vectors] = []
    label_of = labels.tolist()
    for identity, person in persons.items():
        if not person.faces:
            continue
        parts = [*map(label_of.__getitem__, person.faces)]
        several = [part for part in {*parts} if part >= 0]
        chosen = [part for part in several if parts.count(part) > 1] if len(several) > 1 else []
        if len(chosen) < 2:
            owners.append(identity)
            centroids.append(person.centroid)
            continue
        faces = np.array(person.faces)
        for part in sorted(chosen):
            owners.append(identity)
            centroids.append(unit(vectors[faces[labels[faces] == part]].mean(axis=0)))
    return owners, np.stack(centroids) if centroids else np.zeros(
        (0, vectors.shape[-1]), np.float32
    )


def unit(vector: Vectors) -> Vectors:
    """The vector with length 1."""
    length = np.sqrt(vector @ vector)
    return vector / length if length > 0 else vector
