"""What a photo's EXIF says of its making: when, with what, where.

Read in the worker processes only, like everything that comes out of a file: it may be huge,
nested, or a lie. What cannot be right is unknown. Nothing here reaches a backend.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from numbers import Real
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from picture_captioner.image_loader.decode_errors import DECODER_ERRORS

MAX_EXIF_BYTES = 1 << 20
"""A larger block is not looked into. Phones write up to 200 KB (maker notes); each of 65,535
entries of a hostile one may claim all of its bytes."""

MAX_CAMERA_CHARACTERS = 100

_FIRST_PHOTOGRAPH = 1826
_CLOCKLESS_DAYS = {(1969, 12, 31), (1970, 1, 1)}
"""A camera or program without a clock writes the Unix epoch, in some time zone."""

_TIME = re.compile(
    r"\s*(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?", re.ASCII
)
_OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)\s*", re.ASCII)
_TIMES = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
    (Base.DateTime, Base.OffsetTime, Base.SubsecTime),
)
"""Time, its distance from UTC and its fraction of a second, the best one first."""

_Tags = Mapping[int, Any]


@dataclass(frozen=True)
class Metadata:
    """What EXIF says; None is unknown.

    `taken_at` is the local time at the place, with a zone only if the file states its offset.
    `latitude` and `longitude` are in degrees, north and east positive; both or none.
    """

    taken_at: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def read_metadata(source: Image.Image) -> Metadata:
    """The metadata of an image that is open; whatever is malformed is unknown."""
    block = source.info.get("exif")
    if isinstance(block, bytes) and len(block) > MAX_EXIF_BYTES:
        return Metadata()
    try:
        # The PNG plugin's own getexif would decode the whole picture to look behind the pixels.
        return metadata_of(Image.Image.getexif(source))
    except (*DECODER_ERRORS, MemoryError):
        return Metadata()


def metadata_of(exif: Image.Exif) -> Metadata:
    """The metadata in parsed EXIF."""
    tags = ChainMap(_directory(exif, IFD.Exif), exif)
    latitude, longitude = _position(_directory(exif, IFD.GPSInfo))
    return Metadata(_taken_at(tags), _camera(tags), latitude, longitude)


def _directory(exif: Image.Exif, which: IFD) -> dict[int, Any]:
    """One part may be broken and the others good."""
    try:
        return dict(exif.get_ifd(which))
    except (*DECODER_ERRORS, MemoryError):
        return {}


def _taken_at(tags: _Tags) -> datetime | None:
    for time_tag, offset_tag, fraction_tag in _TIMES:
        time = parse_exif_time(
            _text(tags.get(time_tag)), _text(tags.get(offset_tag)), _text(tags.get(fraction_tag))
        )
        if time is not None:
            return time
    return None


def parse_exif_time(text: str, offset: str = "", fraction: str = "") -> datetime | None:
    """`2024:01:31 14:22:33` with `+01:00` and `120`; None for what cannot be a capture time.

    A zone is never guessed: most cameras know the local time only.
    """
    found = _TIME.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, inline = found.groups()
    digits = (fraction if fraction.isdecimal() else inline or "")[:6].ljust(6, "0")
    try:
        time = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{digits}")
        time = time.replace(tzinfo=_zone(offset))
    except ValueError:
        return None
    return time if _is_plausible(time) else None


def _is_plausible(time: datetime) -> bool:
    """Whether a photo can have been taken then: not the epoch, not tomorrow."""
    if time.year < _FIRST_PHOTOGRAPH or (time.year, time.month, time.day) in _CLOCKLESS_DAYS:
        return False
    return time.replace(tzinfo=time.tzinfo or UTC) < datetime.now(UTC) + timedelta(days=1)


def _zone(offset: str) -> timezone | None:
    if offset.strip() == "Z":
        return UTC
    found = _OFFSET.fullmatch(offset)
    if found is None:
        return None
    hours, minutes = int(found[2]), int(found[3])
    if hours > 14 or minutes > 59:
        return None
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if found[1] == "-" else distance)


def _camera(tags: _Tags) -> str | None:
    """Make and model; most makers repeat their name in the model."""
    make, model = _text(tags.get(Base.Make)), _text(tags.get(Base.Model))
    first_word = make.split(" ")[0].casefold()
    named = model if model.casefold().startswith(first_word) and model else f"{make} {model}"
    return named.strip()[:MAX_CAMERA_CHARACTERS] or None


def _text(value: object) -> str:
    """A tag's text in one line, without what a terminal would obey."""
    if isinstance(value, bytes):
        value = value[:1000].decode("ascii", "replace")
    if not isinstance(value, str):
        return ""
    text = value[:1000].partition("\0")[0]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _position(tags: _Tags) -> tuple[float, float] | tuple[None, None]:
    latitude = _degrees(tags.get(GPS.GPSLatitude), _text(tags.get(GPS.GPSLatitudeRef)), "N", "S")
    longitude = _degrees(tags.get(GPS.GPSLongitude), _text(tags.get(GPS.GPSLongitudeRef)), "E", "W")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    if latitude == 0 == longitude:  # a receiver without a fix, not the Gulf of Guinea
        return None, None
    return latitude, longitude


def _degrees(value: object, reference: str, positive: str, negative: str) -> float | None:
    """Degrees, minutes and seconds as one number, to 0.1 m; None if a part makes no sense."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    if not all(isinstance(part, Real) for part in value):
        return None
    if reference.upper() not in {positive, negative}:
        return None
    parts = [*map(float, value), 0.0, 0.0]
    if not all(map(math.isfinite, parts)) or min(parts) < 0 or max(parts[1:]) > 60:
        return None
    degrees = round(parts[0] + parts[1] / 60 + parts[2] / 3600, 6)
    return -degrees if reference.upper() == negative else degrees
