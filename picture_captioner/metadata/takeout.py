"""What Google Takeout writes beside each photo, and of each album, as JSON.

Times are UTC; a position of 0, 0 is none. Which file is about which photo of a folder:

    IMG_1.jpg          IMG_1.jpg.json, IMG_1.jpg.supplemental-metadata.json, IMG_1.jpg.suppl.json
    IMG_1(2).jpg       IMG_1.jpg(2).json, IMG_1.jpg.supplemental-metadata(2).json
    IMG_1-edited.jpg   that of IMG_1.jpg; the word is in the language of the account
    a long name        cut to 46 characters before `.json`, and a (2) comes after the cut

Names alone can mislead: two long names may begin alike. Each file states the title that the photo
had, and where that says otherwise the names are no pair. What stays in doubt has no pair.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, NamedTuple

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


CUT = 46
"""Characters before `.json` that Takeout keeps of a name."""

_KEPT_OF_PHOTOS = 47
"""Characters that it keeps of a photo's own name before its ending."""

_SUFFIX = ".supplemental-metadata"
_NUMBER = re.compile(r"\((\d{1,5})\)$")
_EDITED = (
    "-edited", "-bearbeitet", "-modifié", "-modifie", "-editado", "-ha editado", "-editada",
    "-editat", "-modificato", "-bewerkt", "-edytowane", "-redigerad", "-redigeret", "-redigert",
    "-muokattu", "-upraveno", "-upravené", "-szerkesztve", "-düzenlendi", "-изменено", "-змінено",
    "-editat", "-編集済み", "-已修改", "-已編輯", "-편집됨", "-effects", "-smile", "-mix",
    "-collage", "-animation", "-effets",
)  # fmt: skip


class _Name(NamedTuple):
    """A photo's name without its number and without what says that it was edited."""

    full: str
    number: str
    edited: bool


class _Json(NamedTuple):
    name: str
    base: str
    number: str
    title: str


def pairs(photos: Iterable[str], titles: Mapping[str, str]) -> dict[str, str]:
    """For each photo of a folder the name of the JSON file that is about it.

    Args:
        photos: names of all photos and videos of one folder.
        titles: names of its JSON files, each with the title that it states, or "".
    """
    files = [_json(name, title) for name, title in titles.items()]
    by_start: dict[str, list[_Json]] = {}
    for file in files:
        by_start.setdefault(_start(file.base), []).append(file)
    found: dict[str, str] = {}
    for photo in photos:
        for name in _readings(_nfc(photo)):
            chosen = _best(name, by_start.get(_start(name.full), ()))
            if chosen is not None:
                found[photo] = chosen.name
                break
    return _without_rivals(found, titles)


def _json(name: str, title: str) -> _Json:
    base, number = _split_number(_nfc(name)[: -len(".json")])
    return _Json(name, base, number, _nfc(title))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _start(name: str) -> str:
    """What no reading of a name differs in; keeps large folders from being compared all to all."""
    return name[:4].casefold()


def _split_number(text: str) -> tuple[str, str]:
    found = _NUMBER.search(text)
    return (text[: found.start()], found[1]) if found else (text, "")


def _readings(photo: str) -> list[_Name]:
    """How the name may be read: its own number may be a part of the title."""
    path = PurePosixPath(photo)
    stem, ending = path.stem, path.suffix
    bare, number = _split_number(stem)
    readings = [_Name(f"{bare}{ending}", number, edited=False)]
    if number:
        readings.append(_Name(photo, "", edited=False))
    for word in _EDITED:
        for shown in _cut_words(word, len(bare)):
            if bare.endswith(shown):
                original = f"{bare.removesuffix(shown)}{ending}"
                readings.append(_Name(original, number, edited=True))
    return list(dict.fromkeys(readings))


def _cut_words(word: str, length: int) -> list[str]:
    """The word; where a photo's name was cut, its beginnings as well, the longest first."""
    if length < _KEPT_OF_PHOTOS:
        return [word]
    return [word[:end] for end in range(len(word), 2, -1)]


def _best(photo: _Name, files: Iterable[_Json]) -> _Json | None:
    fitting = [f for f in files if f.number == photo.number and _fits(f.base, photo.full)]
    told = [file for file in fitting if file.title]
    agreeing = [file for file in told if _agrees(file.title, photo.full)]
    if not agreeing:
        agreeing = [file for file in fitting if not file.title]
    if len(agreeing) > 1:
        exact = [file for file in agreeing if file.base.startswith(photo.full)]
        agreeing = exact or agreeing
    if not agreeing and len(photo.full) > CUT:
        # The photos differ after the cut, so that only their files have numbers.
        titled = (f for f in files if f.title and _fits(f.base, photo.full))
        agreeing = [f for f in titled if not photo.number and _shown(f.title) == _shown(photo.full)]
    return agreeing[0] if len(agreeing) == 1 else None


def _fits(base: str, photo: str) -> bool:
    """Whether a file of that name, without its number, may be about the photo."""
    if base == photo:
        return True
    whole = f"{photo}{_SUFFIX}"
    if len(base) > len(photo) and whole.startswith(base):
        return True
    if len(base) >= CUT - 1 and photo.startswith(base):
        return True
    stem, dot, ending = photo.rpartition(".")
    if base == stem and dot:  # the title had no ending
        return True
    # An ending that was cut, and the word after it: `….JP.supplemental-meta`.
    head, mark, tail = base.partition(".s")
    return bool(
        mark
        and len(base) >= CUT - 1
        and _SUFFIX.startswith(f".s{tail}")
        and photo.startswith(head)
        and len(head) > len(stem)
        and ending
    )


def _agrees(title: str, photo: str) -> bool:
    """Whether the photo may have had that title: signs are replaced and long names cut."""
    shown, name = _shown(title), _shown(photo)
    if shown == name:
        return True
    stem, _, ending = name.rpartition(".")
    title_stem, dot, title_ending = shown.rpartition(".")
    if not dot or len(title_ending) > 5:
        return shown in {stem, stem[: len(shown)] if len(stem) >= CUT else stem}
    if title_ending != ending and {title_ending, ending} - _SAME_PICTURE:
        return False
    return title_stem == stem or (len(stem) >= CUT - 1 and title_stem.startswith(stem))


_SAME_PICTURE = {"jpg", "jpeg", "heic", "heif"}
"""Google gives out a HEIC as a JPEG, too."""


def _shown(name: str) -> str:
    """As a name in a zip: what file systems refuse became an underscore."""
    return re.sub(r"[\\/:*?\"<>|&%'#+@$!;=~`^,\s_]", "_", _nfc(name)).casefold()


def _without_rivals(found: dict[str, str], titles: Mapping[str, str]) -> dict[str, str]:
    """Only one photo and its edits may have a file: that which is called so, or none."""
    claimed: dict[str, dict[str, list[str]]] = {}
    for photo, name in found.items():
        claimed.setdefault(name, {}).setdefault(_family(photo), []).append(photo)
    kept: dict[str, str] = {}
    for name, families in claimed.items():
        title = _shown(titles[name])
        exact = [f for f in families.values() if title in map(_shown, f)]
        chosen = exact if len(families) > 1 else list(families.values())
        if len(chosen) == 1:
            kept |= dict.fromkeys(chosen[0], name)
    return kept


def _family(photo: str) -> str:
    """What a photo and its edits have in common."""
    path = PurePosixPath(_nfc(photo))
    stem, number = _split_number(path.stem)
    for word in _EDITED:
        for shown in _cut_words(word, len(stem)):
            stem = stem.removesuffix(shown)
    counted = f"({number})" if number else ""
    return f"{stem}{counted}{path.suffix.casefold()}"
