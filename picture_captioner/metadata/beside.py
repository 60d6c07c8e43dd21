"""Which files of a folder are about which photo, and what they say together: bytes in, facts out.

- `IMG_1.jpg.xmp`, `IMG_1.xmp`: sidecars (digiKam, darktable, Lightroom, osxphotos)
- `IMG_1.jpg.json`, `IMG_1.json`: osxphotos --sidecar json; exiftool -json
- `IMG_1.jpg.supplemental-metadata.json` and other names: Google Takeout (takeout.py)
- `metadata.json`, `Metadaten.json`: the album that the folder is
- any JSON file with many photos: osxphotos dump --json, for this folder and those in it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from picture_captioner.metadata import osxphotos, takeout
from picture_captioner.metadata.claims import Metadata, merged
from picture_captioner.metadata.takeout import CUT, pairs
from picture_captioner.metadata.told import Kind, distinct, fact
from picture_captioner.metadata.xmp import from_xmp

SUFFIXES = (".xmp", ".json")
SIDECAR = "sidecar"

Dumps = Mapping[str, list[osxphotos.Dumped]]
"""The photos of osxphotos' dumps, by each name that they may have, in lower case."""


def is_beside(name: str) -> bool:
    """Whether a file is looked into for what it says of photos."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


class Part(NamedTuple):
    """A folder of a Takeout as it is in another part: its photos' names, its files."""

    photos: Collection[str]
    beside: Collection[str]
    read: Callable[[str], bytes | None]


def _json_values(names: Iterable[str], read: Callable[[str], bytes | None]) -> dict[str, Any]:
    return {
        name: takeout.read_json(data)
        for name in names
        if name.lower().endswith(".json") and (data := read(name)) is not None
    }


class Folder:
    """The photos of one folder, and what the files beside them say.

    Args:
        photos: names of all photos and videos in it, with their bytes.
        read: a file's bytes, or None where it cannot be read.
        raw: suffixes (lower case) of raw photos: `IMG.xmp` is theirs.
        dumps: osxphotos' dumps that lie in this folder or above it.
        parts: the same folder in other parts of a Takeout.
    """

    def __init__(
        self,
        photos: Mapping[str, int],
        beside: Iterable[str],
        read: Callable[[str], bytes | None],
        raw: Collection[str] = (),
        dumps: Dumps | None = None,
        parts: Iterable[Part] = (),
    ) -> None:
        self._parts = list(parts)
        self._photos = photos
        self._read = read
        self._raw = raw
        self._dumps = dumps or {}
        files = sorted(beside)
        self._packets = [name for name in files if name.lower().endswith(".xmp")]
        self._values = _json_values(files, read)

    def facts(self) -> dict[str, Metadata]:
        """What is said of each photo of which something is said."""
        packets, about, own = self._of_packets(), self._of_takeout(), self._of_sidecars()
        albums = map(takeout.album_of, self._values.values())
        album = [one for name in albums for one in fact(Kind.ALBUM, name, takeout.SOURCE)]
        found = {}
        for photo in self._photos:
            parts = {
                SIDECAR: packets.get(photo),
                osxphotos.SOURCE: own.get(photo) or self._dumped(photo),
                takeout.SOURCE: about.get(photo),
            }
            told = {name: part for name, part in parts.items() if part is not None}
            if told or album:
                whole = merged(told)
                facts = distinct((*whole.facts, *album))
                found[photo] = msgspec.structs.replace(whole, facts=facts)
        return found

    def _of_packets(self) -> dict[str, Metadata]:
        """`IMG.jpg.xmp` is that photo's; `IMG.xmp` the raw one's, or the only one's, called so."""
        names = {photo.casefold(): photo for photo in self._photos}
        stems: dict[str, list[str]] = {}
        for photo in self._photos:
            stems.setdefault(PurePosixPath(photo).stem.casefold(), []).append(photo)
        found: dict[str, Metadata] = {}
        for packet in sorted(self._packets, key=len):  # the longer name is the surer one
            base = packet[: -len(".xmp")].casefold()
            owner = names.get(base) or self._alone(stems.get(base, []))
            data = self._read(packet) if owner is not None else None
            if owner is not None and data is not None:
                found[owner] = _from_packet(data)
        return found

    def _alone(self, photos: list[str]) -> str | None:
        raw = [p for p in photos if PurePosixPath(p).suffix.lower() in self._raw]
        chosen = raw or photos
        return chosen[0] if len(chosen) == 1 else None

    def _of_takeout(self) -> dict[str, Metadata]:
        """Takeout packs a folder into several files: a photo into one, its JSON into another.

        The names of all parts are looked at together, so that a file has no two owners. A photo
        that is in another part, too, has its own file: two accounts may lie side by side.
        """
        values, media = dict[str, Any](), set[str]()
        for part in self._parts:
            values = _json_values(part.beside, part.read) | values
            media |= set(part.photos)
        values = {n: v for n, v in (values | self._values).items() if takeout.is_about_a_photo(v)}
        titles = {name: takeout.title_of(value) for name, value in values.items()}
        found = pairs([*self._photos, *sorted(media - set(self._photos))], titles)
        return {
            photo: takeout.from_takeout(values[name])
            for photo, name in found.items()
            if photo in self._photos and (name in self._values or photo not in media)
        }

    def _of_sidecars(self) -> dict[str, Metadata]:
        """By the name alone; without the photo's ending where only one photo has that name."""
        stems = Counter(PurePosixPath(photo).stem.casefold() for photo in self._photos)
        files = {name[: -len(".json")].casefold(): value for name, value in self._values.items()}
        found = {}
        for photo in self._photos:
            stem = PurePosixPath(photo).stem.casefold()
            value = files.get(photo.casefold())
            if value is None and stems[stem] == 1:
                value = files.get(stem)
            if (said := osxphotos.from_sidecar(value)) is not None:
                found[photo] = said
        return found

    def _dumped(self, photo: str) -> Metadata | None:
        """By the name, and the bytes of the original where the dump states them."""
        named = self._dumps.get(photo.casefold(), [])
        size = self._photos[photo]
        same = [item for item in named if item.size == size]
        chosen = same or [item for item in named if item.size is None]
        return osxphotos.from_dump(chosen[0]) if len(chosen) == 1 else None


def by_name(items: Iterable[osxphotos.Dumped]) -> dict[str, list[osxphotos.Dumped]]:
    """The photos of a dump by their names."""
    found: dict[str, list[osxphotos.Dumped]] = {}
    for item in items:
        for name in item.names:
            found.setdefault(name, []).append(item)
    return found


def is_nobodys(name: str, stems: Collection[str]) -> bool:
    """Whether a JSON file is about none of the photos with these names (`stem_of`): a dump may be.

    One whose name was cut is about a photo.
    """
    return name.lower().endswith(".json") and len(name) < CUT and stem_of(name) not in stems


def stem_of(name: str) -> str:
    """What the names of a photo and of the files beside it begin with."""
    return name.partition(".")[0].partition("(")[0].casefold()


def _from_packet(data: bytes) -> Metadata:
    whole = from_xmp(data)
    return Metadata(
        times=whole.times,
        lens=whole.lens,
        latitude=whole.latitude,
        longitude=whole.longitude,
        facts=whole.told(SIDECAR),
        faces=whole.named_faces(SIDECAR),
    )
