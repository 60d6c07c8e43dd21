"""What osxphotos wrote of photos from Apple's library: `--sidecar json`, and `dump --json`.

The sidecar is a list with one object, by exiftool's names, with or without groups; a dump is a list
of many, by osxphotos' own. (`--sidecar xmp` is read by xmp.py.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim
from picture_captioner.metadata.exif import checked_position, text_of
from picture_captioner.metadata.times import is_plausible, parse_time
from picture_captioner.metadata.told import Fact, Kind, NamedFace, distinct, face, fact, texts

SOURCE = "osxphotos"
MAX_DUMP_BYTES = 1 << 29


def from_sidecar(value: object) -> Metadata | None:
    """What a `--sidecar json` (or `exiftool`) says; None if the value is none."""
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return None
    tags = {name.rpartition(":")[2]: said for name, said in value[0].items()}
    if "SourceFile" not in tags:
        return None
    zone = text_of(tags.get("OffsetTimeOriginal"))
    time = parse_time(text_of(tags.get("DateTimeOriginal")), zone)
    latitude, longitude = checked_position(
        _signed(tags.get("GPSLatitude"), tags.get("GPSLatitudeRef"), "S"),
        _signed(tags.get("GPSLongitude"), tags.get("GPSLongitudeRef"), "W"),
    )
    people = [*texts(tags.get("PersonInImage"))]
    keywords = [word for n in ("TagsList", "Subject", "Keywords") for word in texts(tags.get(n))]
    facts = [
        *_first(Kind.DESCRIPTION, tags, "Description", "Caption-Abstract", "ImageDescription"),
        *_first(Kind.TITLE, tags, "Title", "ObjectName"),
        *_all(Kind.PERSON, people),
        *_all(Kind.KEYWORD, keywords),
    ]
    return Metadata(
        times=(TimeClaim(time.isoformat(), TakenFrom.XMP),) if time else (),
        latitude=latitude,
        longitude=longitude,
        facts=distinct(facts),
        faces=_regions(tags),
    )


def _first(kind: Kind, tags: Mapping[str, Any], *names: str) -> list[Fact]:
    found = (one for name in names for one in fact(kind, tags.get(name), SOURCE))
    return [one for one, _ in zip(found, range(1), strict=False)]


def _all(kind: Kind, values: Iterable[object], *, guessed: bool = False) -> list[Fact]:
    return [one for value in values for one in fact(kind, value, SOURCE, guessed=guessed)]


def _signed(value: object, reference: object, negative: str) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return -abs(value) if text_of(reference)[:1].upper() == negative else float(value)


def _regions(tags: Mapping[str, Any]) -> tuple[NamedFace, ...]:
    columns = [tags.get(f"Region{what}") for what in ("Name", "AreaX", "AreaY", "AreaW", "AreaH")]
    lists = [column for column in columns if isinstance(column, list)]
    if len(lists) < len(columns):
        return ()
    rows = zip(*lists, strict=False)
    return tuple(one for n, *area in rows if isinstance(n, str) for one in face(n, area, SOURCE))


class Dumped(msgspec.Struct, frozen=True):
    """What is taken of a photo in a dump; somebody else's types are checked where they are used."""

    uuid: str
    original_filename: str | None
    filename: Any = None
    original_filesize: Any = None
    date: Any = None
    description: Any = None
    title: Any = None
    favorite: Any = None
    location: Any = None
    latitude: Any = None
    longitude: Any = None
    persons: Any = None
    keywords: Any = None
    albums: Any = None
    labels: Any = None
    faces: Any = None
    face_info: Any = None

    @property
    def names(self) -> set[str]:
        """What it may be called where it was exported, in lower case."""
        names = (self.original_filename, self.filename)
        return {name.casefold() for name in names if isinstance(name, str)}

    @property
    def size(self) -> int | None:
        """The bytes of the original, if it says."""
        size = self.original_filesize
        return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def read_dump(data: bytes) -> list[Dumped]:
    """The photos of a dump; none if it is no such file."""
    if len(data) > MAX_DUMP_BYTES or data.lstrip()[:1] != b"[":
        return []
    try:
        return msgspec.json.decode(data, type=list[Dumped])
    except msgspec.MsgspecError:
        return []


def from_dump(item: Dumped) -> Metadata:
    """What a dump says of one photo. Labels are Apple's guesses."""
    pair = item.location if isinstance(item.location, list) else [item.latitude, item.longitude]
    latitude, longitude = (
        checked_position(_signed(pair[0], "", "S"), _signed(pair[1], "", "W"))
        if len(pair) == 2
        else (None, None)
    )
    faces = item.face_info or item.faces
    facts = [
        *fact(Kind.DESCRIPTION, item.description, SOURCE),
        *fact(Kind.TITLE, item.title, SOURCE),
        *_all(Kind.PERSON, texts(item.persons)),
        *_all(Kind.KEYWORD, texts(item.keywords)),
        *_all(Kind.ALBUM, texts(item.albums)),
        *(fact(Kind.FAVOURITE, "yes", SOURCE) if item.favorite is True else ()),
        *_all(Kind.KEYWORD, texts(item.labels), guessed=True),
    ]
    return Metadata(
        times=_time(item.date),
        latitude=latitude,
        longitude=longitude,
        facts=distinct(facts),
        faces=tuple(_faces(faces if isinstance(faces, list) else [])),
    )


def _time(text: object) -> tuple[TimeClaim, ...]:
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return ()
    known = time is not None and is_plausible(time)
    return (TimeClaim(time.isoformat(), TakenFrom.XMP),) if time and known else ()


def _faces(items: Iterable[object]) -> Iterable[NamedFace]:
    for item in items:
        area = item.get("mwg_rs_area") if isinstance(item, dict) else None
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and isinstance(area, dict):
            yield from face(name, [area.get(side) for side in "xywh"], SOURCE)
