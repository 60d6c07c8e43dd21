"""What is known of persons: whose each face is, who is to be asked, what contradicts what."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

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
