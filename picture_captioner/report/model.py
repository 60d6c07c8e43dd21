"""What a report consists of: photos, their clusters, events and duplicates.

Every array has one row per photo, in the order of `Report.photos`; photos are named elsewhere by
their index in it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import Status

NOISE = -1
"""The cluster, event or duplicate group of a photo that has none."""

Indices: TypeAlias = NDArray[np.int64]
"""Photos by their index in `Report.photos`, shape (k,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportPhoto:
    """What is known of one photo; None is unknown.

    `status` is None while the journal has no record of it; with `success`, `last_error` is why a
    later try failed, with `redo_status`; `suspect` says that the caption names what nobody told.
    `day_only`: the day of `taken_at` is known, noon stands for
    its time. `taken_at` is the local time at which
    it was taken, with a zone only if the camera wrote one. `present` says that the walk of the
    photos directory found it: only then may anything link to the file. `text` is what is written in
    it, `more` what a model said besides caption, title and tags, and other programs, in lines;
    `told_people` and `told_places` are names that these gave. `place` is a city with its country,
    `place_detail` its quarter and region. `sharpness` is comparable
    between photos of one report, `perceptual_hash` is 64 bits whose Hamming distance is small
    between pictures that look alike.
    """

    rel_path: str
    status: Status | None = None
    caption: str | None = None
    title: str | None = None
    tags: tuple[str, ...] = ()
    text: str | None = None
    more: str | None = None
    place: str | None = None
    place_detail: str | None = None
    told_people: tuple[str, ...] = ()
    told_places: tuple[str, ...] = ()
    last_error: str | None = None
    redo_status: Status | None = None
    suspect: bool = False
    has_vector: bool = False
    has_face: bool = False
    placeholder: bool = False
    content_sha256: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    taken_at: datetime | None = None
    day_only: bool = False
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    sharpness: float | None = None
    perceptual_hash: int | None = None
    present: bool = False

    @property
    def own_label(self) -> str:
        """The caption that holds, without what surrounds it; empty where there is none."""
        return (self.caption or "").strip() if self.status is Status.SUCCESS else ""


@dataclass(frozen=True, slots=True)
class Clustering:
    """Where each of n photos stands.

    `cluster` is int32, `NOISE` for none. `probability` (of belonging to the cluster) and
    `outlier_score` are 0 to 1, `distance` is the cosine distance to the cluster's centroid; all
    float32, NaN where there is nothing to say. `position` is the map, float32 of shape (n, 2),
    scaled to 0 to 1 with the proportions kept; NaN for a photo without a vector.
    """

    cluster: NDArray[np.int32]
    probability: NDArray[np.float32]
    outlier_score: NDArray[np.float32]
    distance: NDArray[np.float32]
    position: NDArray[np.float32]


class LabelSource(enum.StrEnum):
    """Where a cluster's label comes from."""

    CAPTION = "caption"
    VOCABULARY = "vocabulary"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of photos that look or read alike; `id` stays the same from run to run.

    `name` is a few words and `label` a caption; no two clusters of a report share either.

    `members` begins with the medoid, the photo nearest the centroid, and goes outwards.
    """

    id: int
    label: str
    label_source: LabelSource
    keywords: tuple[str, ...]
    members: Indices
    name: str = ""

    @property
    def medoid(self) -> int:
        """The most typical photo."""
        return int(self.members[0])


class Level(enum.StrEnum):
    """How long a chunk of the timeline is."""

    EVENT = "event"
    DAY = "day"
    TRIP = "trip"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the timeline; `members` are in order of time. `typical` is one of them.

    `parents` are the ids of the chunks of the next level that it lies in. Without `hours` noon
    stands in `start` or `end` for a time that nobody knows, and their days alone are to be told.
    `name` is that of the folder that somebody made for it.
    """

    id: int
    level: Level
    start: datetime
    end: datetime
    members: Indices
    typical: int
    keywords: tuple[str, ...] = ()
    place: str | None = None
    parents: tuple[int, ...] = ()
    hours: bool = True
    name: str | None = None


class Likeness(enum.StrEnum):
    """How the photos of a duplicate group resemble each other."""

    EXACT = "exact"
    NEAR = "near"
    BURST = "burst"


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Photos of which one would do; `keeper` is the sharpest or largest of `members`."""

    id: int
    likeness: Likeness
    members: Indices
    keeper: int


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: `members` are the photos that show them, in order of time.

    `name` is empty while nobody gave one. `faces` counts them, `crop` is a typical one (WebP).
    """

    id: str
    name: str
    members: Indices
    faces: int
    crop: bytes | None = None

    @property
    def called(self) -> str:
        """The name, else the id."""
        return self.name or self.id


class About(enum.StrEnum):
    """What a human is asked about people."""

    FACE = "face"
    PAIR = "pair"
    CROWD = "crowd"
    CONTRADICTION = "contradiction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something about people that a human should decide.

    Attributes:
        text: why it is asked.
        persons: whom it is about, by id.
        photo: with the face that it is about, and `crop` that face.
        cosine: how alike they are.
        answers: what to type for each answer: the answer and the command.
    """

    about: About
    text: str
    persons: tuple[str, ...] = ()
    photo: int | None = None
    crop: bytes | None = None
    cosine: float | None = None
    answers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """Who is on the photos, those with a name and most photos first.

    `faces` has the number of faces in each photo, -1 where nobody looked; `more` questions are left
    out.
    """

    persons: tuple[Person, ...]
    questions: tuple[Question, ...]
    faces: NDArray[np.int32]
    more: int = 0

    def on_photos(self) -> dict[int, list[Person]]:
        """The persons on each photo that shows any."""
        found: dict[int, list[Person]] = {}
        for person in self.persons:
            for i in person.members.tolist():
                found.setdefault(i, []).append(person)
        return found


SUGGESTED = (
    "run",
    "search",
    "people scan",
    "people cluster",
    "people review",
    "people list",
    "people name",
)
"""The commands that a report names."""


@dataclass(frozen=True, slots=True)
class ReportHead:
    """How the report was made, for the head of every output.

    `goes_by` is what makes two photos alike, such as `what the captions say`; `commands` are those
    that the page names, by their names, as this person would type them.
    """

    made_at: datetime
    embedder: str
    embedder_reason: str
    engine: str
    seed: int | None
    min_cluster_size: int
    notes: tuple[str, ...] = ()
    goes_by: str = ""
    commands: Mapping[str, str] = field(
        default_factory=lambda: {name: f"caption.py {name}" for name in SUGGESTED}
    )

    @property
    def themes_go_by(self) -> str:
        """What the themes are made of, in a sentence; empty if there are none."""
        return f"The themes go by {self.goes_by}." if self.goes_by else ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the writers of CSV, Markdown, page and JSON are handed.

    `people` is None where no faces are known, or nobody is to be shown.

    `labels` and `label_sources` have an item per photo: its caption, a term of the vocabulary, or
    nothing. Empty, they stand for the captions.
    """

    head: ReportHead
    photos: tuple[ReportPhoto, ...]
    clustering: Clustering
    clusters: tuple[Cluster, ...]
    chunks: tuple[Chunk, ...]
    duplicates: tuple[DuplicateGroup, ...]
    vocabulary_fallbacks: int = 0
    labels: tuple[str, ...] = ()
    label_sources: tuple[LabelSource, ...] = ()
    people: People | None = None

    def label_of(self, index: int) -> str:
        """What to call a photo; empty if there is nothing to say."""
        return self.labels[index] if self.labels else self.photos[index].caption or ""

    def label_source_of(self, index: int) -> LabelSource:
        """Where that comes from."""
        if self.label_sources:
            return self.label_sources[index]
        return LabelSource.CAPTION if self.label_of(index) else LabelSource.NONE

    def exact_copies(self) -> dict[int, int]:
        """Members of groups, of whatever kind, each with the one before it of the same bytes."""
        found: dict[int, int] = {}
        for group in self.duplicates:
            kept: dict[str, int] = {}
            others = (int(i) for i in group.members if i != group.keeper)
            for i in (group.keeper, *others):
                content = self.photos[i].content_sha256
                if content is not None and kept.setdefault(content, i) != i:
                    found[i] = kept[content]
        return found

    @property
    def noise_share(self) -> float:
        """Of the photos that have a vector, the share that is in no cluster; 0 to 1."""
        placed = ~np.isnan(self.clustering.position[:, 0])
        if not placed.any():
            return 0.0
        return float(np.mean(self.clustering.cluster[placed] == NOISE))


ThumbnailSource: TypeAlias = Callable[[ReportPhoto], bytes | None]
"""The WebP thumbnail of a photo, 320 pixels on its longer side; None if there is none."""
