"""What is known of a photo besides its caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from picture_captioner.library import told
from picture_captioner.library.encoding import from_key
from picture_captioner.library.times import read_metadata, surest_time
from picture_captioner.metadata import (
    NOTHING_WRITTEN,
    Fact,
    Metadata,
    NamedFace,
    TakenFrom,
    distinct,
)

_SIGN = 1 << 63
"""SQLite's integers are signed, a perceptual hash is not."""


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

    def or_file_time(self, mtime_ns: int) -> PhotoFacts:
        """These facts, with the file's time where no other is known.

        Only for who asks for it: copying, syncing and editing change the time of a file.
        """
        if self.taken_at is not None:
            return self
        # Naive and in this machine's zone, as a camera would have written it.
        time = datetime.fromtimestamp(mtime_ns / 1e9)  # noqa: DTZ006
        return replace(self, taken_at=time, taken_from=TakenFrom.FILE)


def facts_in(row: tuple[Any, ...], rel_path: str) -> PhotoFacts:
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


def signed(bits: int | None) -> int | None:
    """A perceptual hash as it is stored."""
    return None if bits is None else bits - _SIGN
