"""What EXIF says of a photo's making: when, with what, how, where; and all of it as data.

Pillow reads the directories. Files with directories that it does not find by itself (Fujifilm,
Canon CR3, Panasonic, Olympus) are taken apart here: exifread, the library that is kept up for this,
reads RAF and CR3 no better than Pillow does (3.5.1 knows neither head).

    CR3        boxes: CMT1 the camera, CMT2 the capture, CMT4 the place (Canon)
    RAF        a whole JPEG inside, at the offset in byte 84 (Fujifilm)
    RW2, ORF   a TIFF under another magic number (Panasonic; Olympus)

What cannot be right is unknown.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
from collections import ChainMap
from collections.abc import Mapping
from numbers import Real
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, GPSTAGS, IFD, TAGS, Base

from picture_captioner.metadata.boxes import find
from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim
from picture_captioner.metadata.times import parse_time

MAX_EXIF_BYTES = 1 << 20
"""A larger block is not looked into. Phones write up to 200 KB (maker notes); each of 65,535
entries of a hostile one may claim all of its bytes."""

MAX_CAMERA_CHARACTERS = 100
_MOST_CHARACTERS = 1000
_MOST_NUMBERS = 64

PARSE_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    MemoryError,
    struct.error,
)
"""All that was seen coming out of parsers of other people's bytes."""

_TIMES = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal, TakenFrom.EXIF),
    (
        Base.DateTimeDigitized,
        Base.OffsetTimeDigitized,
        Base.SubsecTimeDigitized,
        TakenFrom.DIGITIZED,
    ),
    (Base.DateTime, Base.OffsetTime, Base.SubsecTime, TakenFrom.EDITED),
)
"""Time, its distance from UTC, its fraction of a second, and what it stands for."""

_NOT_KEPT = {
    *range(254, 270), *range(273, 274), *range(277, 282), *range(284, 293), *range(301, 305),
    *range(317, 348), *range(512, 533), 700, 33723, 34377, 34675, 34665, 34853, 40965, 37500, 50341,
    50740, 59932,
}  # fmt: skip
"""How the pixels lie, pointers, makers' notes, and blocks that are read by themselves."""

_Tags = Mapping[int, Any]


def from_exif(exif: Image.Exif) -> Metadata:
    """The metadata in parsed EXIF; one part may be broken and the others good."""
    return from_directories(dict(exif), _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo))


def from_directories(main: _Tags, exif: _Tags, gps: _Tags) -> Metadata:
    """The metadata in the three directories of EXIF."""
    tags = ChainMap(dict(exif), dict(main))
    latitude, longitude = _position(gps)
    return Metadata(
        times=tuple(_claims(tags, gps)),
        camera=_name(tags.get(Base.Make), tags.get(Base.Model)),
        lens=_name(tags.get(Base.LensMake), tags.get(Base.LensModel)),
        latitude=latitude,
        longitude=longitude,
        altitude=_altitude(gps),
        iso=_iso(tags.get(Base.ISOSpeedRatings)),
        aperture=_number(tags.get(Base.FNumber)),
        exposure_seconds=_number(tags.get(Base.ExposureTime)),
        focal_length=_number(tags.get(Base.FocalLength)),
        exif=_as_data(tags, TAGS) | _as_data(gps, GPSTAGS),
    )


def _directory(exif: Image.Exif, which: IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(which))
    except PARSE_ERRORS:
        return {}


def _claims(tags: _Tags, gps: _Tags) -> list[TimeClaim]:
    found = []
    for time_tag, offset_tag, fraction_tag, source in _TIMES:
        offset = text_of(tags.get(offset_tag)) or _offset_of_the_same(tags, time_tag)
        time = parse_time(text_of(tags.get(time_tag)), offset, text_of(tags.get(fraction_tag)))
        if time is not None:
            found.append(TimeClaim(time.isoformat(), source))
    return [*found, *_gps_claim(gps)]


def _offset_of_the_same(tags: _Tags, time_tag: int) -> str:
    """OffsetTime is DateTime's; it holds for the capture too, as long as nobody edited the file."""
    same = text_of(tags.get(time_tag)) == text_of(tags.get(Base.DateTime))
    return text_of(tags.get(Base.OffsetTime)) if same else ""


def _gps_claim(gps: _Tags) -> list[TimeClaim]:
    """The satellites' time, in UTC."""
    day, clock = text_of(gps.get(GPS.GPSDateStamp)), gps.get(GPS.GPSTimeStamp)
    if not isinstance(clock, tuple) or len(clock) != 3:
        return []
    parts = [_number(part) for part in clock]
    if any(part is None or part < 0 for part in parts):
        return []
    hours, minutes, seconds = (int(part or 0) for part in parts)
    time = parse_time(f"{day} {hours:02}:{minutes:02}:{seconds:02}", "Z")
    return [TimeClaim(time.isoformat(), TakenFrom.GPS)] if time else []


def _name(maker: object, product: object) -> str | None:
    """Make and model; most makers repeat their name in the model."""
    make, model = text_of(maker), text_of(product)
    first_word = make.split(" ")[0].casefold()
    named = model if model.casefold().startswith(first_word) and model else f"{make} {model}"
    return named.strip()[:MAX_CAMERA_CHARACTERS] or None


def text_of(value: object) -> str:
    """A tag's text in one line, without what a terminal would obey."""
    if isinstance(value, bytes):
        value = decoded(value.partition(b"\0")[0])
    if not isinstance(value, str):
        return ""
    text = value[:_MOST_CHARACTERS].partition("\0")[0]
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def decoded(text: bytes, *, is_utf8: bool = False) -> str:
    """A text of which EXIF and old IPTC do not say how it is encoded.

    Text in another encoding is next to never valid UTF-8. Where it is not, Windows wrote it, or
    what follows Latin-1; a replacement character would destroy what somebody wrote.

    Args:
        is_utf8: the file says so; then a last character that was cut off is left out.
    """
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_utf8 and error.end == len(text) and error.reason == "unexpected end of data":
            return text[: error.start].decode("utf-8")
    try:
        return text.decode("cp1252")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _number(value: object) -> float | None:
    with contextlib.suppress(*PARSE_ERRORS):
        if isinstance(value, Real) and math.isfinite(number := float(value)):
            return round(number, 9)
    return None


def _iso(value: object) -> int | None:
    number = _number(value[0] if isinstance(value, tuple) and value else value)
    return int(number) if number and 0 < number < 1e8 else None


def _position(tags: _Tags) -> tuple[float, float] | tuple[None, None]:
    latitude = _degrees(tags.get(GPS.GPSLatitude), text_of(tags.get(GPS.GPSLatitudeRef)), "NS")
    longitude = _degrees(tags.get(GPS.GPSLongitude), text_of(tags.get(GPS.GPSLongitudeRef)), "EW")
    return checked_position(latitude, longitude)


def checked_position(
    latitude: float | None, longitude: float | None
) -> tuple[float, float] | tuple[None, None]:
    """Both or none; (0, 0) is a receiver without a fix and not the Gulf of Guinea."""
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    return (None, None) if latitude == 0 == longitude else (latitude, longitude)


def _degrees(value: object, reference: str, letters: str) -> float | None:
    """Degrees, minutes and seconds as one number, to 0.1 m; None if a part makes no sense."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    parts = [_number(part) for part in value]
    if reference.upper() not in set(letters) or any(part is None or part < 0 for part in parts):
        return None
    degrees, minutes, seconds = [*(part or 0.0 for part in parts), 0.0, 0.0][:3]
    if max(minutes, seconds) > 60:
        return None
    number = round(degrees + minutes / 60 + seconds / 3600, 6)
    return -number if reference.upper() == letters[1] else number


def _altitude(tags: _Tags) -> float | None:
    metres = _number(tags.get(GPS.GPSAltitude))
    below = tags.get(GPS.GPSAltitudeRef) in {b"\x01", 1, "\x01"}
    return None if metres is None else -metres if below else metres


def _as_data(tags: _Tags, names: Mapping[int, str]) -> dict[str, Any]:
    """Everything that has a name and says something, in what JSON can hold."""
    kept = {}
    for tag, value in tags.items():
        if names is TAGS and tag in _NOT_KEPT:
            continue
        plain = _plain(value)
        if tag in names and plain not in (None, "", []):
            kept[names[tag]] = plain
    return kept


def _plain(value: object) -> Any:
    if isinstance(value, bool | int) and abs(value) < 1 << 63:
        return value
    if isinstance(value, Real):
        return _number(value)
    if isinstance(value, str):
        with contextlib.suppress(UnicodeEncodeError):
            value = value.encode("latin-1")  # as which Pillow reads every text
    if isinstance(value, str | bytes):
        return text_of(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value[:_MOST_NUMBERS]]
    return None


_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_OTHER_MAGIC = {b"IIU\0", b"IIRO", b"IIRS", b"MMOR"}
_MOST_SEGMENTS = 64


def from_raw(data: bytes) -> Metadata:
    """The EXIF of a RAW file; empty if there is none that can be read."""
    try:
        if data.startswith(b"FUJIFILMCCD-RAW"):
            start, size = struct.unpack_from(">II", data, 84)
            return from_exif(_parsed(_exif_of_jpeg(data[start : start + size])))
        if data[4:12] == b"ftypcrx ":
            return _from_cr3(data)
        if data[:4] in _OTHER_MAGIC:
            data = (b"II*\0" if data[:1] == b"I" else b"MM\0*") + data[4:]
        return from_exif(_parsed(data))
    except PARSE_ERRORS:
        return Metadata()


def _parsed(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load_from_fp(io.BytesIO(block))
    return exif


def _exif_of_jpeg(jpeg: bytes) -> bytes:
    """The TIFF block in a JPEG's APP1; b"" if it has none."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, size = struct.unpack_from(">HH", jpeg, at)
        if marker == 0xFFE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            return jpeg[at + 10 : at + 2 + size]
        if not 0xFFC0 <= marker <= 0xFFFE or marker == 0xFFDA:
            break
        at += 2 + size
    return b""


def _from_cr3(data: bytes) -> Metadata:
    movie = find(data, b"moov")
    canon = find(data, b"uuid", movie.body, movie.end) if movie else None
    if canon is None or data[canon.body : canon.body + 16] != _CANON:
        return Metadata()
    parts: list[dict[int, Any]] = []
    for kind in (b"CMT1", b"CMT2", b"CMT4"):
        box = find(data, kind, canon.body + 16, canon.end)
        try:
            parts.append(dict(_parsed(data[box.body : box.end])) if box else {})
        except PARSE_ERRORS:
            parts.append({})
    return from_directories(*parts)
