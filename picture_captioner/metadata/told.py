"""What other programs and people say of a photo in words: facts, each with where it is from.

Keywords, names, albums and descriptions stand in XMP, IPTC and EXIF under many names, and in the
files that lie beside photos. Here they become one list. Named faces are areas of the picture as it
is stored, which is how programs write them (Metadata Working Group, 5.9); `upright` turns them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_LEVELS = (("digiKam:TagsList", "/"), ("lr:hierarchicalSubject", "|"))
"""Lists of keywords with levels, and what parts these."""

MOST_FACTS = 500
_MOST_CHARACTERS = 2000

_CAMERA_TEXT = re.compile(
    r"OLYMPUS DIGITAL CAMERA|(?:KONICA )?MINOLTA DIGITAL CAMERA|SONY DSC|SAMSUNG"
    r"(?: CAMERA PICTURES)?|Digital Camera|DIGITAL CAMERA|KENOX .*|Exif_JPEG_PICTURE"
    r"|DCIM.*|AppleMark|hdrpl|s?dr|hdr|cof"
    r"|oznor(?:WO)?|rhdr|dav|LEAD Technologies.*|<.*>|(?:binary|charset=).*|default",
    re.IGNORECASE,
)
"""What cameras write where a description belongs; nobody wrote it."""

# XML 1.0 has no way to say these, and a line break in a keyword ends it for some readers.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NOBODY = {"_unknown_", "unknown", "unconfirmed", "ignored", ""}
_OF_PEOPLE = {"people", "personen", "personnes", "personas", "persone", "pessoas", "люди", "人物"}
"""The tag of digiKam under which the names are, in the language of its user."""


class Kind(enum.StrEnum):
    """What a fact is about."""

    DESCRIPTION = "description"
    TITLE = "title"
    KEYWORD = "keyword"
    PERSON = "person"
    ALBUM = "album"
    PLACE = "place"
    FAVOURITE = "favourite"


class Fact(msgspec.Struct, frozen=True):
    """Something that is said of a photo; `guessed` if a program found it out by itself."""

    kind: Kind
    value: str
    source: str
    guessed: bool = False


class NamedFace(msgspec.Struct, frozen=True):
    """A face with a name: its middle and size, as shares of the stored picture's sides."""

    name: str
    x: float
    y: float
    width: float
    height: float
    source: str

    def scaled(self, width: float, height: float) -> NamedFace:
        """The face in a picture of that size, in pixels."""
        return NamedFace(
            self.name,
            self.x * width,
            self.y * height,
            self.width * width,
            self.height * height,
            self.source,
        )

    def upright(self, orientation: object) -> NamedFace:
        """The face in the picture as it is seen, by EXIF's eight orientations."""
        x, y, width, height = self.x, self.y, self.width, self.height
        if orientation in {5, 6, 7, 8}:
            width, height = height, width
        places = {
            2: (1 - x, y),
            3: (1 - x, 1 - y),
            4: (x, 1 - y),
            5: (y, x),
            6: (1 - y, x),
            7: (1 - y, 1 - x),
            8: (y, 1 - x),
        }
        if isinstance(orientation, int) and orientation in places:
            x, y = places[orientation]
        return NamedFace(self.name, x, y, width, height, self.source)


def is_camera_text(text: str) -> bool:
    """Whether a camera or a program wrote it, and nobody meant it."""
    return not text.strip() or _CAMERA_TEXT.fullmatch(text.strip()) is not None


def fact(kind: Kind, value: object, source: str, *, guessed: bool = False) -> list[Fact]:
    """One fact, or none where there is no text that says something."""
    text = " ".join(value.split())[:_MOST_CHARACTERS] if isinstance(value, str) else ""
    if not text or (kind is Kind.DESCRIPTION and is_camera_text(text)):
        return []
    if kind is Kind.PERSON and text.casefold() in _NOBODY:
        return []
    return [Fact(kind, text, source, guessed)]


def texts(value: object) -> list[str]:
    """The texts in a property that is one or a list of them."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def descriptions(
    exif: Mapping[str, Any], xmp: Mapping[str, Any], iptc: Mapping[str, Any]
) -> tuple[Any, ...]:
    """What may be the description of a photo, by the order in which readers look for it."""
    return (
        xmp.get("dc:description"),
        iptc.get("Caption-Abstract"),
        xmp.get("tiff:ImageDescription"),
        exif.get("ImageDescription"),
    )


def keywords(xmp: Mapping[str, Any], iptc: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The levels of each keyword."""
    flat = [*texts(xmp.get("dc:subject")), *texts(iptc.get("Keywords"))]
    listed = [(texts(xmp.get(name)), separator) for name, separator in _LEVELS]
    return keyword_paths([*listed, (flat, "")])


def written_facts(
    exif: Mapping[str, Any], xmp: Mapping[str, Any], iptc: Mapping[str, Any], source: str
) -> tuple[Fact, ...]:
    """What EXIF, XMP and IPTC say in words; the first description that somebody meant."""
    found: list[Fact] = []
    for text in descriptions(exif, xmp, iptc):
        if one := fact(Kind.DESCRIPTION, text, source):
            found += one
            break
    for text in (xmp.get("dc:title"), iptc.get("ObjectName")):
        if one := fact(Kind.TITLE, text, source):
            found += one
            break
    regions = [one.name for one in faces_in(xmp, source)]
    for name in (*texts(xmp.get("Iptc4xmpExt:PersonInImage")), *regions):
        found += fact(Kind.PERSON, name, source)
    # digiKam writes both; `write` puts Lightroom's People|Children into the first one.
    by_digikam, beside = (
        {tag.casefold() for tag in texts(xmp.get(name))}
        for name in ("digiKam:TagsList", "MicrosoftPhoto:LastKeywordXMP")
    )
    for path in keywords(xmp, iptc):
        named = (
            path[0].casefold() in _OF_PEOPLE and "/".join(path).casefold() in by_digikam & beside
        )
        kind = Kind.PERSON if named and len(path) > 1 else Kind.KEYWORD
        found += fact(kind, path[-1], source)
    city = xmp.get("photoshop:City") or iptc.get("City")
    country = xmp.get("photoshop:Country") or iptc.get("Country-PrimaryLocationName")
    where = [part for part in (city, country) if isinstance(part, str) and part.strip()]
    found += fact(Kind.PLACE, ", ".join(where), source)
    return distinct(found)


def keyword_paths(
    lists: Iterable[tuple[Iterable[str], str]], known: Iterable[tuple[str, ...]] = ()
) -> list[tuple[str, ...]]:
    """The keywords of lists as their levels, each list with what parts levels in it.

    A separator may be a part of a word, as in AC/DC or 24/7. Another list, of which it parts no
    levels, then has the keyword with fewer of them; that is the one that was meant.

    Args:
        known: keywords that are known from elsewhere.
    """
    found = []
    for values, separator in lists:
        for value in values:
            levels = [clean(v) for v in (value.split(separator) if separator else [value])]
            if path := tuple(level for level in levels if level):
                found.append((path, clean(value), separator))
    fewest: dict[tuple[str, str], tuple[str, ...]] = {}
    for path in sorted({*known, *(path for path, _, _ in found)}, key=len, reverse=True):
        for separator in {separator for _, _, separator in found}:
            fewest[separator, separator.join(path)] = path
    return [fewest.get((separator, value), path) for path, value, separator in found]


def clean(text: str) -> str:
    """On one line, without what XML cannot hold."""
    return " ".join(_FORBIDDEN.sub("", text).split())


def distinct(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Each fact once, of whoever said it first; a keyword that is somebody's name is no keyword."""
    found = list(facts)
    names = {one.value.casefold() for one in found if one.kind is Kind.PERSON}
    kept: dict[tuple[Kind, str], Fact] = {}
    for one in found:
        if one.kind is Kind.KEYWORD and one.value.casefold() in names:
            continue
        kept.setdefault((one.kind, one.value.casefold()), one)
    return tuple(kept.values())[:MOST_FACTS]


def faces_in(xmp: Mapping[str, Any], source: str) -> tuple[NamedFace, ...]:
    """The named faces in the regions of an XMP packet."""
    regions = xmp.get("mwg-rs:Regions")
    if not isinstance(regions, dict) or not isinstance(regions.get("mwg-rs:RegionList"), list):
        return ()
    found = []
    for item in regions["mwg-rs:RegionList"]:
        if not isinstance(item, dict) or item.get("mwg-rs:Type", "Face") != "Face":
            continue
        name, area = item.get("mwg-rs:Name"), item.get("mwg-rs:Area")
        if isinstance(name, str) and isinstance(area, dict):
            numbers = [area.get(f"stArea:{side}") for side in "xywh"]
            found += face(name, numbers, source)
    return tuple(found)


def face(name: str, numbers: Iterable[object], source: str) -> list[NamedFace]:
    """One named face from x, y, width and height; none if they make no sense."""
    try:
        x, y, width, height = (float(number) for number in numbers)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    if name.strip().casefold() in _NOBODY or not all(0 <= v <= 1 for v in (x, y, width, height)):
        return []
    return [NamedFace(" ".join(name.split()), x, y, width, height, source)]
