"""What is known of a photo besides its caption."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from picture_captioner.library import told
from picture_captioner.library.home import Database
from picture_captioner.library.schema import from_key, to_key, to_text
from picture_captioner.library.told import read_metadata, surest_time
from picture_captioner.library.words import FUNCTION_WORDS, words_of
from picture_captioner.metadata.claims import NOTHING_WRITTEN, Metadata, TakenFrom
from picture_captioner.metadata.told import Fact, NamedFace, distinct

_SIGN = 1 << 63
"""SQLite's integers are signed, a perceptual hash is not."""

_FROM_FILE = {TakenFrom.NAME, TakenFrom.DATE, TakenFrom.FILE}
"""Times that are not written in the photo."""

_COLUMNS = (
    "content, width, height, taken_at, camera, latitude, longitude, sharpness, perceptual_hash"
)


_NO_NAME = re.compile(
    r"[\d\W_]*|DCIM|\d{3}(?!\d)[A-Z\d_]{5}|Camera( Roll| Uploads)?|Kamera|Screenshots?"
    r"|Bildschirmfotos?"
    r"|Takeout|Google (Photos|Fotos)|(Photos from|Fotos von) \d{4}|WhatsApp.*|Sent|Downloads?"
    r"|((New|Untitled) folder|(Neuer|Unbenannter) Ordner)[ ()\d]*|i(Phone|Pad)|.*\bBackups?\b.*"
    r"|(My |Meine |Eigene )?(Pictures|Photos|Images|Bilder|Fotos)",
    re.IGNORECASE,
)


def somebody_named(folder: str) -> bool:
    """Whether its name says something of the photos: no camera, program or habit made it."""
    return _NO_NAME.fullmatch(folder) is None


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoFacts:
    """The facts of one photo; None is unknown.

    `width` and `height` are the upright full size in pixels. `taken_at` is the local time at the
    place, with a zone only if the camera wrote its offset. `latitude` and `longitude` are in
    degrees, both or none. `sharpness` is comparable between photos, and the Hamming distance of
    two `perceptual_hash`es, 64 bits each, is small if the pictures look alike. `metadata` is all
    that is written in the photo, `beside` what other programs' files beside it say.
    """

    content_sha256: str
    width: int
    height: int
    taken_at: datetime | None = None
    taken_from: TakenFrom | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    sharpness: float | None = None
    perceptual_hash: int | None = None
    metadata: Metadata = NOTHING_WRITTEN
    beside: Metadata = NOTHING_WRITTEN

    @property
    def told(self) -> tuple[Fact, ...]:
        """All that people and other programs say of the photo, each with where it is from."""
        return distinct((*self.metadata.told(), *self.beside.facts))

    @property
    def named_faces(self) -> tuple[NamedFace, ...]:
        """The faces that other programs named, in the upright picture."""
        faces = (*self.beside.faces, *self.metadata.named_faces())
        orientation = self.metadata.exif.get("Orientation", 1)
        return tuple(face.upright(orientation) for face in faces)

    @property
    def day_only(self) -> bool:
        """Whether the day of the capture is known and its time is not: noon stands for it."""
        return self.taken_from is TakenFrom.DATE

    @property
    def captured_at(self) -> str | None:
        """When the photo was taken, as ISO 8601: the day where no more is known."""
        if self.taken_at is None:
            return None
        return (self.taken_at.date() if self.day_only else self.taken_at).isoformat()


def _facts_in(row: tuple[Any, ...], rel_path: str) -> PhotoFacts:
    """The facts in a row of `photos`, with what is written in the photo and beside it."""
    content, width, height, taken_at, camera, *place, sharpness, bits, written, others = row
    metadata, beside = read_metadata(written), told.beside_of(others)
    best = surest_time(metadata, taken_at, rel_path, beside)
    latitude, longitude = place if place[0] is not None else (beside.latitude, beside.longitude)
    return PhotoFacts(
        content_sha256=from_key(content),
        width=width,
        height=height,
        taken_at=best.time if best else None,
        taken_from=best.source if best else None,
        camera=camera,
        latitude=latitude,
        longitude=longitude,
        sharpness=sharpness,
        perceptual_hash=None if bits is None else bits + _SIGN,
        metadata=metadata,
        beside=beside,
    )


class Place(NamedTuple):
    """Where a photo was taken: a city or town with its country, and what else finds it.

    Attributes:
        name: such as `Lisbon, Portugal`.
        detail: the quarter and the region, such as `Intendente`; perhaps empty.
    """

    name: str
    detail: str = ""


_NAMES = {
    "place": "SELECT name FROM places WHERE name IS NOT NULL",
    "camera": "SELECT camera FROM photos WHERE camera IS NOT NULL",
    "person": "SELECT value FROM told_facts WHERE kind = 'person'",
    "word": "SELECT title FROM captions WHERE title IS NOT NULL UNION ALL "
    "SELECT caption FROM captions WHERE caption IS NOT NULL",
}


class Facts:
    """The facts of photos. Thread-safe; a call is a transaction, or part of an open one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_file(self, rel_path: str, size: int, mtime_ns: int) -> PhotoFacts | None:
        """What is known of a file that has not changed since it was looked at.

        A capture time that EXIF does not state is taken from the file's name.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT photos.*, written.metadata, beside.metadata "
                "FROM files JOIN photos USING (content) LEFT JOIN written USING (content) "
                "LEFT JOIN beside ON beside.rel_path = files.rel_path "
                "WHERE files.rel_path = ? AND size = ? AND mtime_ns = ?",
                (to_key(rel_path), size, mtime_ns),
            ).fetchone()
        return _facts_in(row, rel_path) if row is not None else None

    def of_content(self, rel_path: str, content_sha256: str) -> PhotoFacts | None:
        """What is known of a file that has this content, whenever it was looked at."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT photos.*, written.metadata, "
                "(SELECT metadata FROM beside WHERE rel_path = ?) "
                "FROM photos LEFT JOIN written USING (content) WHERE photos.content = ?",
                (to_key(rel_path), to_key(content_sha256)),
            ).fetchone()
        return _facts_in(row, rel_path) if row is not None else None

    def save(self, rel_path: str, size: int, mtime_ns: int, facts: PhotoFacts) -> None:
        """Keep the facts of the content, and that this file has it."""
        written = facts.taken_at if facts.taken_from not in _FROM_FILE else None
        bits = facts.perceptual_hash
        row = (
            to_key(facts.content_sha256),
            facts.width,
            facts.height,
            written.isoformat() if written else None,
            to_text(facts.camera) if facts.camera else None,
            facts.latitude,
            facts.longitude,
            facts.sharpness,
            None if bits is None else bits - _SIGN,
        )
        marks = ",".join("?" * len(row))
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO photos ({_COLUMNS}) VALUES ({marks})",  # noqa: S608
                row,
            )
            if facts.metadata != NOTHING_WRITTEN:
                connection.execute(
                    "INSERT OR REPLACE INTO written VALUES (?, ?)",
                    (row[0], msgspec.json.encode(facts.metadata).decode()),
                )
                told.tell_written(connection, row[0], facts.metadata)
            self.save_file(rel_path, size, mtime_ns, facts.content_sha256)

    def save_file(self, rel_path: str, size: int, mtime_ns: int, content_sha256: str) -> None:
        """Keep that this file has content that is known from another one."""
        row = (to_key(rel_path), size, mtime_ns, to_key(content_sha256))
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def names_of(self, kind: str) -> list[str]:
        """The cities (`place`), cameras, told persons or words, the most frequent first."""
        names: Counter[str] = Counter()
        with self._database.reading() as connection:
            for (name,) in connection.execute(_NAMES[kind]):
                if kind == "word":
                    names.update(w for w in words_of(name) if w not in FUNCTION_WORDS)
                else:
                    names[name.partition(",")[0] if kind == "place" else name] += 1  # no country
        return [name for name, _ in names.most_common()]

    def unknown(self) -> list[str]:
        """The captioned photos of which nobody found out any facts, or tried to in vain."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT rel_path FROM (SELECT captions.rel_path, "
                "coalesce(files.content, captions.content) AS content "
                "FROM captions LEFT JOIN files ON files.rel_path = captions.rel_path "
                "WHERE caption IS NOT NULL OR title IS NOT NULL) AS known "
                "WHERE NOT EXISTS (SELECT 1 FROM photos WHERE photos.content = known.content) "
                "AND NOT EXISTS (SELECT 1 FROM stages WHERE stages.content = known.content "
                "AND stage = 'metadata' AND status = 'failed')"
            ).fetchall()
        return [from_key(path) for (path,) in rows]

    def name_places(
        self, names: Callable[[Sequence[tuple[float, float]]], Sequence[Place | None]]
    ) -> None:
        """Let searches know the places of photos whose position is new.

        The position is the photo's, or what lies beside it says it. A place without a detail, not
        even an empty one, was named by an older version: it is named anew.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(_UNNAMED).fetchall()
            if not rows:
                return
            found = names([(latitude, longitude) for _, latitude, longitude in rows])
            connection.executemany(
                "INSERT OR REPLACE INTO places (content, latitude, longitude, name, detail) "
                "VALUES (?, ?, ?, ?, ?)",
                [(*row, *(place or (None, ""))) for row, place in zip(rows, found, strict=True)],
            )


_UNNAMED = (
    "SELECT content, photos.latitude, photos.longitude FROM photos "
    "LEFT JOIN places USING (content) WHERE photos.latitude IS NOT NULL "
    "AND photos.longitude IS NOT NULL AND (places.latitude IS NOT photos.latitude "
    "OR places.longitude IS NOT photos.longitude OR detail IS NULL) UNION "
    "SELECT content, south.latitude, south.longitude FROM "
    "(SELECT files.content, beside.latitude, beside.longitude, row_number() OVER "
    "(PARTITION BY files.content ORDER BY beside.latitude, beside.longitude) AS place "
    "FROM beside JOIN files USING (rel_path) LEFT JOIN photos USING (content) "
    "WHERE photos.latitude IS NULL AND beside.latitude IS NOT NULL) AS south "
    "LEFT JOIN places USING (content) WHERE place = 1 "
    "AND (south.latitude IS NOT places.latitude OR detail IS NULL)"
)
