"""A photo's sidecar: where it lies for which reader, and our words merged into what it holds.

A reader takes the first list of keywords that it finds, so every list that some reader looks into
first gets the union of the photo's own keywords and ours: else a sidecar would hide the photo's own
(Immich's metadata.service.ts takes TagsList, then hierarchicalSubject, then IPTC; digiKam's
dmetadatasettingscontainer.cpp TagsList, LastKeywordXMP, hierarchicalSubject, ..., dc:subject). It
takes tiff:ImageDescription before dc:description, so a description goes into both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from picture_captioner.image_loader.formats import RAW_EXTENSIONS
from picture_captioner.metadata.told import clean, is_camera_text, keyword_paths
from picture_captioner.metadata.xmp_packet import XmpError, XmpPacket
from picture_captioner.writeback.regions import REGIONS, add_people, take_out_people
from picture_captioner.writeback.words import Own, Words

TAGS = "digiKam:TagsList"
HIERARCHY = "lr:hierarchicalSubject"
SUBJECT = "dc:subject"
LISTS = {TAGS: ("Seq", "/"), HIERARCHY: ("Bag", "|"), SUBJECT: ("Bag", "")}
"""The lists that are always written: kind, and what parts levels (nothing: the last one alone)."""
FOREIGN_LISTS = {
    "MicrosoftPhoto:LastKeywordXMP": ("Bag", "/"),
    "mediapro:CatalogSets": ("Bag", "|"),
}
"""Lists that some programs write and digiKam reads first: joined where they are there already."""
DESCRIPTIONS = ("dc:description", "tiff:ImageDescription")
TITLE, ALT_TEXT = "dc:title", "Iptc4xmpCore:AltTextAccessibility"
WRITTEN_TEXT = "Iptc4xmpCore:ExtDescrAccessibility"
"""The extended description: where a screen reader finds what is written in the picture."""

_OF_ONE_FILE = frozenset(
    {
        "http://ns.adobe.com/camera-raw-settings/1.0/",
        "http://ns.adobe.com/camera-raw-saved-settings/1.0/",
        "http://darktable.sf.net/",
        "http://ns.adobe.com/xap/1.0/mm/",
    }
)
"""Develop settings and identities of files."""


class Conflict(StrEnum):
    """What becomes of a human's description, title or alt text where we have one, too."""

    KEEP = "keep"
    APPEND = "append"


class Reader(StrEnum):
    """For which program the sidecar is named; all read what is written into it."""

    IMMICH = "immich"
    DIGIKAM = "digikam"
    DARKTABLE = "darktable"
    LIGHTROOM = "lightroom"
    PHOTOPRISM = "photoprism"


@dataclass
class Added:
    """What a merge put into a packet: enough to take just that out again.

    `texts`: the property, what it was (None: not there) and what it is. `items`: the list, and what
    was appended; `lists`: lists that were there before. `people`: names that were put in; `gone`:
    names of ours that were taken out, since they are called otherwise now.
    """

    texts: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    items: dict[str, list[str]] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.texts or self.items or self.people or self.gone)


def sidecar_of(photo: Path, reader: Reader | None, *, is_raw: bool, siblings: int) -> Path:
    """Where the words of a photo go.

    `IMG.jpg.xmp` in general, `IMG.xmp` for Lightroom's raw files. A sidecar that is there already
    is the one: digiKam would read `IMG.xmp` before a new `IMG.jpg.xmp`, Immich the other way round.

    Args:
        siblings: how many other photos have the same name without its ending; `IMG.xmp` is then
            nobody's in particular, unless the photo is the raw one.
    """
    full, short = sidecars_of(photo)
    if reader is Reader.LIGHTROOM and is_raw:
        return short
    if not full.exists() and short.exists() and (is_raw or not siblings):
        return short
    return full


def sidecars_of(photo: Path) -> tuple[Path, Path]:
    """Where other programs look: by the full name, and by that without its ending."""
    return photo.with_name(f"{photo.name}.xmp"), photo.with_suffix(".xmp")


def begun(other: bytes | None) -> XmpPacket:
    """A new sidecar, with what the one says that readers took so far and will not any more.

    Where `IMG.jpg` and `IMG.png` share `IMG.xmp`, Immich takes a new `IMG.jpg.xmp` instead of it.
    How a raw converter develops one of the two is not taken along: it is of no use for the other.

    Args:
        other: `IMG.xmp` where `IMG.jpg.xmp` begins, and the other way round; None: there is none.
    """
    try:
        packet = XmpPacket() if other is None else XmpPacket(other)
    except XmpError:  # no reader took anything from it
        return XmpPacket()
    packet.remove_namespaces(_OF_ONE_FILE)
    packet.remove("tiff:Orientation")
    return packet


def files_of(rel_path: str) -> set[str]:
    """Where words of a photo may stand: inside it, and beside it."""
    path = PurePosixPath(rel_path)
    short = {str(path.with_suffix(".xmp"))} if path.suffix.lower() in RAW_EXTENSIONS else set()
    return {rel_path, f"{rel_path}.xmp", *short}


def merge(
    packet: XmpPacket,
    words: Words,
    own: Own,
    conflict: Conflict = Conflict.KEEP,
    ours_before: dict[str, str] | None = None,
    size: tuple[int, int] = (0, 0),
    people_before: Collection[str] = (),
) -> Added:
    """Put our words into a packet.

    Args:
        ours_before: what an earlier write of ours put into each property; it may be replaced.
        size: of the stored picture in pixels, for the areas of people.
        people_before: names that earlier writes of ours left here.
    """
    added = Added()
    before = ours_before or {}
    _merge_description(packet, words.description, own.description, conflict, before, added)
    for name, value, inside in (
        (TITLE, words.title, own.title),
        (ALT_TEXT, words.alt, ""),
        (WRITTEN_TEXT, words.text, ""),
    ):
        _merge_text(packet, name, value, inside, conflict, before, added)
    if words.keywords:
        _merge_keywords(packet, words, own, added)
    added.gone = take_out_people(packet, words.people, people_before)
    people = add_people(packet, words.people, own.regions, size)
    if people is None:
        added.kept.append(REGIONS)
    added.people = people or []
    return added


def _merge_description(
    packet: XmpPacket,
    ours: str,
    inside: str,
    conflict: Conflict,
    before: dict[str, str],
    added: Added,
) -> None:
    """One text for all properties that a reader may take for the description."""
    theirs = ""
    for name in DESCRIPTIONS:
        value = packet.text(name)
        if value and value != before.get(name) and not is_camera_text(value):
            theirs = theirs or value
    theirs = theirs or ("" if is_camera_text(inside) else inside)
    if not ours:
        return
    if theirs and conflict is Conflict.KEEP and clean(theirs) != clean(ours):
        added.kept.append(DESCRIPTIONS[0])
        return
    text = ours if not theirs or ours in theirs else f"{theirs}\n{ours}"
    for name in DESCRIPTIONS:
        _set(packet, name, theirs if ours in theirs else text, added)


def _merge_text(
    packet: XmpPacket,
    name: str,
    ours: str,
    inside: str,
    conflict: Conflict,
    before: dict[str, str],
    added: Added,
) -> None:
    if not ours:
        return
    value = packet.text(name)
    theirs = value if value and value != before.get(name) else inside
    if not theirs:
        _set(packet, name, ours, added)
    elif ours not in theirs and conflict is Conflict.APPEND:
        _set(packet, name, f"{theirs}\n{ours}", added)
    elif ours not in theirs:
        added.kept.append(name)


def _set(packet: XmpPacket, name: str, value: str, added: Added) -> None:
    before = packet.text(name)
    if before != value:
        packet.set_default(name, value)
        added.texts[name] = (before, value)


def _merge_keywords(packet: XmpPacket, words: Words, own: Own, added: Added) -> None:
    """The union of what the photo and its sidecar have and of ours, into every list."""
    theirs = [*keywords_in(packet, (*own.keywords, *words.keywords)), *own.keywords]
    united = Words(keywords=tuple(_united(theirs, words.keywords)))
    lists = LISTS | {name: how for name, how in FOREIGN_LISTS.items() if packet.items(name)}
    for name, (kind, separator) in lists.items():
        if packet.has(name):
            added.lists.append(name)
        there = set(map(clean, packet.items(name)))
        values = united.joined(separator) if separator else united.flat
        if items := packet.add_items(name, [v for v in values if v not in there], kind):
            added.items[name] = items


def keywords_in(packet: XmpPacket, known: Iterable[tuple[str, ...]] = ()) -> list[tuple[str, ...]]:
    """The keywords of the lists, the most telling first."""
    lists = (LISTS | FOREIGN_LISTS).items()
    return keyword_paths(((packet.items(name), how[1]) for name, how in lists), known)


def _united(
    theirs: Collection[tuple[str, ...]], ours: Collection[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """All of theirs as they wrote them, and of ours what says more.

    A single word is the last level of a longer keyword where the same party wrote both: a `dog` of
    theirs is none of our `Animal > Dog`, and a reader of the first list alone would lose it.
    """
    leaves = {path[-1] for path in theirs if len(path) > 1}
    kept = dict.fromkeys(path for path in theirs if len(path) > 1 or path[0] not in leaves)
    said = {_folded(path) for path in theirs}
    said |= {_folded(path[-1:]) for path in (*theirs, *ours) if len(path) > 1}
    for path in ours:
        if _folded(path) not in said:
            kept[path] = None
            said.add(_folded(path))
    return list(kept)


def _folded(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(level.casefold() for level in path)
