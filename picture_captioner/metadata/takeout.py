"""What Google Takeout writes beside each photo, and of each album, as JSON.

Times are UTC; a position of 0, 0 is none. Which file is about which photo: takeout_names.py.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from picture_captioner.metadata.claims import Metadata, TakenFrom, TimeClaim
from picture_captioner.metadata.exif import checked_position
from picture_captioner.metadata.times import is_plausible
from picture_captioner.metadata.told import Kind, distinct, fact

SOURCE = "takeout"
MAX_JSON_BYTES = 4 << 20

_YEAR_FOLDER = re.compile(
    r"(?:photos? (?:from|de|d'|du)|fotos? (?:von|vom|aus|de|do|da|del|uit|från|fra|z)|foto dal?"
    r"|zdjęcia z|bilder (?:från|fra|aus)|billeder fra|kuvia vuodelta|fotky z|fotografie z|фото за"
    r"|fényképek -|fotoğraflar)?\s*(?:19|20)\d\d(?:年の写真|年的照片|년 사진)?",
    re.IGNORECASE,
)
"""Folders that Google makes of each year: nobody's album."""


def read_json(data: bytes) -> Any:
    """The value, or None where it is none or too large."""
    if len(data) > MAX_JSON_BYTES:
        return None
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def is_about_a_photo(value: object) -> bool:
    """Whether the file is one that Takeout writes for a photo."""
    return isinstance(value, dict) and ("photoTakenTime" in value or "creationTime" in value)


def title_of(value: object) -> str:
    """What the photo was called before its name was cut; empty if the file does not say."""
    title = value.get("title") if isinstance(value, dict) else None
    return title if isinstance(title, str) else ""


def from_takeout(value: dict[str, Any]) -> Metadata:
    """What it says of its photo."""
    latitude, longitude, altitude = _position(value)
    people = value.get("people")
    shown = people if isinstance(people, list) else []
    named = [person.get("name") for person in shown if isinstance(person, dict)]
    facts = [
        *fact(Kind.DESCRIPTION, value.get("description"), SOURCE),
        *(one for name in named for one in fact(Kind.PERSON, name, SOURCE)),
        *(fact(Kind.FAVOURITE, "yes", SOURCE) if value.get("favorited") is True else ()),
    ]
    return Metadata(
        times=_times(value.get("photoTakenTime")),
        latitude=latitude,
        longitude=longitude,
        altitude=altitude,
        facts=distinct(facts),
    )


def _times(stated: object) -> tuple[TimeClaim, ...]:
    seconds = stated.get("timestamp") if isinstance(stated, dict) else None
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(str(seconds)))
    except (ValueError, OverflowError):
        return ()
    return (TimeClaim(time.isoformat(), TakenFrom.TAKEOUT),) if is_plausible(time) else ()


def _position(value: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
    """Where somebody put the photo, else where the camera said it was."""
    for name in ("geoData", "geoDataExif"):
        stated = value.get(name)
        if not isinstance(stated, dict):
            continue
        numbers = [_number(stated.get(n)) for n in ("latitude", "longitude", "altitude")]
        latitude, longitude = checked_position(numbers[0], numbers[1])
        if latitude is not None:
            return latitude, longitude, numbers[2] or None
    return None, None, None


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e6 else None  # type: ignore[arg-type]


def album_of(value: object) -> str:
    """The album that a file speaks of, whatever it is called in which language; else empty."""
    if not isinstance(value, dict) or "photoTakenTime" in value:
        return ""
    inner = value.get("albumData", value)
    if not isinstance(inner, dict) or not {"access", "date", "sharedAlbumComments"} & set(inner):
        return ""
    title = title_of(inner).strip()
    return "" if _YEAR_FOLDER.fullmatch(title) else title
