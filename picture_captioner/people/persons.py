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
    """Somebody: `faces` are indices. `verified`: a human gave a name or confirmed a face.

    `parts`: the centroids of their clusters, once `exemplars` was asked.
    """

    identity: str
    name: str = ""
    hidden: bool = False
    verified: bool = False
    faces: list[int] = field(default_factory=list)
    centroid: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))
    parts: list[Vectors] = field(default_factory=list)


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
        person.faces = [f for f in sorted({*person.faces, *faces}) if of_face[f] == name]
        person.centroid, person.parts = np.zeros(0, np.float32), []
        if person.faces:
            person.centroid = unit(np.add.reduce(vectors[person.faces]))
        elif name not in keep:
            del persons[name]


def exemplars(
    persons: dict[str, Person], vectors: Vectors, labels: NDArray[np.int64]
) -> tuple[list[str], Vectors]:
    """Centroids of each person's clusters, (n, dim), and whose they are."""
    owners: list[str] = []
    centroids: list[Vectors] = []
    for identity, person in persons.items():
        if person.faces:
            if not person.parts:
                person.parts = _parts(person, vectors, labels)
            owners += [identity] * len(person.parts)
            centroids += person.parts
    return owners, np.stack(centroids) if centroids else np.zeros(
        (0, vectors.shape[-1]), np.float32
    )


def _parts(person: Person, vectors: Vectors, labels: NDArray[np.int64]) -> list[Vectors]:
    """The centroids of a person's clusters; of a single face only if there is no other."""
    own = labels[person.faces]
    if own[0] >= 0 and (own == own[0]).all():
        return [person.centroid]
    several, counts = np.unique(own[own >= 0], return_counts=True)
    chosen = several[counts > 1].tolist()
    if len(chosen) < 2:
        return [person.centroid]
    faces = np.array(person.faces)
    return [unit(vectors[faces[own == part]].mean(axis=0)) for part in chosen]


def unit(vector: Vectors) -> Vectors:
    """The vector with length 1."""
    length = np.sqrt(vector @ vector)
    return vector / length if length > 0 else vector
