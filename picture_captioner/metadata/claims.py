"""One view of a photo out of all that is written in it: each value with where it is from.

Every reader (EXIF, XMP, IPTC; sidecars and others can be added) returns claims; nothing is thrown
away here but what cannot be. Who wins is decided in one place, `best_time` and `Metadata`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from picture_captioner.metadata.told import Fact, NamedFace, distinct, faces_in, written_facts


class TakenFrom(enum.StrEnum):
    """How a capture time is known, the surest way first.

    `DATE` is a text that states the day alone: the time is then unknown, and noon stands for it.
    `TAKEOUT` is what Google knows, in UTC: a name in the phone's own time comes before it.
    `EDITED` is EXIF's DateTime, which editors overwrite: the last resort.
    """

    EXIF = "exif"
    DIGITIZED = "digitized"
    XMP = "xmp"
    IPTC = "iptc"
    GPS = "gps"
    NAME = "name"
    TAKEOUT = "takeout"
    DATE = "date"
    EDITED = "edited"
    FILE = "file"


_RANK = {source: rank for rank, source in enumerate(TakenFrom)}
_INDEPENDENT = {TakenFrom.GPS, TakenFrom.NAME, TakenFrom.DATE}
"""What does not come from the camera's clock."""

_MOST_BYTES = 100_000
"""Of one reader's values as JSON; a photo with regions of 40 faces has 20,000."""

_AGREES_WITHIN_SECONDS = 86400 * 1.5


class TimeClaim(msgspec.Struct, frozen=True):
    """A capture time that something states; `at` is in ISO 8601, with a zone only if stated."""

    at: str
    source: TakenFrom

    @property
    def time(self) -> datetime:
        """The time itself."""
        return datetime.fromisoformat(self.at)


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is written in a photo; None, or absent, is unknown.

    `latitude` and `longitude` are in degrees, north and east positive, both or none; `altitude` in
    metres. `sources` says which reader a value is from. `facts` and `faces` are what people and
    other programs say of the photo in files beside it (what they wrote inside is in `xmp` and
    `iptc`, see `told`). `exif`, `xmp` and `iptc` hold all that was
    read, by the names of the standards, as numbers, texts and lists of them.
    """

    times: tuple[TimeClaim, ...] = ()
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    iso: int | None = None
    aperture: float | None = None
    exposure_seconds: float | None = None
    focal_length: float | None = None
    sources: dict[str, str] = {}
    exif: dict[str, Any] = {}
    xmp: dict[str, Any] = {}
    iptc: dict[str, Any] = {}
    facts: tuple[Fact, ...] = ()
    faces: tuple[NamedFace, ...] = ()

    def told(self, source: str = "the photo") -> tuple[Fact, ...]:
        """All that is said of the photo in words, what is written inside the first."""
        inside = written_facts(self.exif, self.xmp, self.iptc, source)
        return distinct((*inside, *self.facts))

    def named_faces(self, source: str = "the photo") -> tuple[NamedFace, ...]:
        """The faces that somebody named, as areas of the stored picture."""
        return (*faces_in(self.xmp, source), *self.faces)

    @property
    def taken_at(self) -> datetime | None:
        """The best time that the photo itself states."""
        best = best_time(self.times)
        return best.time if best else None


NOTHING_WRITTEN = Metadata()

_SINGLE = ("camera", "lens", "altitude", "iso", "aperture", "exposure_seconds", "focal_length")


def merged(parts: dict[str, Metadata]) -> Metadata:
    """One view of what several readers found, by their names, the most trusted first."""
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for reader, part in parts.items():
        for name in _SINGLE:
            if name not in found and (value := getattr(part, name)) is not None:
                found[name], sources[name] = value, reader
        if "position" not in sources and part.latitude is not None:
            found |= {"latitude": part.latitude, "longitude": part.longitude}
            sources["position"] = reader
        for name in ("exif", "xmp", "iptc"):
            found[name] = found.get(name, {}) | _bounded(getattr(part, name))
    times = tuple(claim for part in parts.values() for claim in part.times)
    facts = distinct(one for part in parts.values() for one in part.facts)
    faces = tuple(one for part in parts.values() for one in part.faces)
    return Metadata(times=times, sources=sources, facts=facts, faces=faces, **found)


def _bounded(values: dict[str, Any]) -> dict[str, Any]:
    """None of them where they are too many to be about one photo."""
    return values if len(msgspec.json.encode(values)) <= _MOST_BYTES else {}


def best_time(claims: Iterable[TimeClaim]) -> TimeClaim | None:
    """The surest claim; what a clock says that was reset counts only if something else agrees."""
    ranked = sorted(claims, key=lambda claim: _RANK[claim.source])
    others = [claim for claim in ranked if claim.source in _INDEPENDENT]
    for claim in ranked:
        if not is_reset_clock(claim.time) or any(_agree(claim, other) for other in others):
            return claim
    return None


def _agree(one: TimeClaim, other: TimeClaim) -> bool:
    a, b = one.time.replace(tzinfo=None), other.time.replace(tzinfo=None)
    return one is not other and abs((a - b).total_seconds()) <= _AGREES_WITHIN_SECONDS


_RESET_DAYS = {date(1904, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)}
"""What a Mac, Unix (in some time zone) or DOS takes for the beginning: whole days, since a camera
whose clock was reset goes on from there."""

_RESETS = (datetime(2000, 1, 1, 0, 0), datetime(2002, 12, 8, 12, 0))  # noqa: DTZ001
"""Where cameras begin that were without a battery. Real photos have such dates, too: only the
first hours count, and only while nothing else says so."""

_HOURS_AFTER_RESET = timedelta(hours=6)


def is_reset_clock(time: datetime) -> bool:
    """Whether a clock that was never set, or lost its battery, says this."""
    local = time.replace(tzinfo=None)
    if local.date() in _RESET_DAYS:
        return True
    return any(start <= local < start + _HOURS_AFTER_RESET for start in _RESETS)
