"""Files of other programs beside the photos, read into library.db where they changed.

One listing of each folder says whether anything did. What is said of a photo goes by its path: two
copies may lie beside different files.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from picture_captioner.image_loader.formats import (
    PHOTO_EXTENSIONS,
    RAW_EXTENSIONS,
    VIDEO_EXTENSIONS,
)
from picture_captioner.library.store import Library
from picture_captioner.metadata.beside import (
    Dumps,
    Folder,
    Part,
    by_name,
    is_beside,
    is_nobodys,
    stem_of,
)
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.osxphotos import MAX_DUMP_BYTES, read_dump
from picture_captioner.pipeline.selecting.walk import Photo

READER = "1"
"""Of what is read in these files; another one reads them again."""

MAX_FILE_BYTES = 16 << 20
_TAKEOUT = re.compile(r"takeout\b.*|google (photos|fotos?|foto.s|фото)", re.IGNORECASE)
"""A part of a Takeout, and the folder in it, as many languages call it."""
_MEDIA = PHOTO_EXTENSIONS | VIDEO_EXTENSIONS

Ours = Callable[[str], Collection[str]]
"""For a photo's path the words that we wrote ourselves, in lower case: nobody else says them."""


class _File(NamedTuple):
    name: str
    size: int
    mtime_ns: int


class _Listing(NamedTuple):
    media: dict[str, int]
    beside: list[_File]


def read_beside(photos_dir: Path, photos: Iterable[Photo], library: Library, ours: Ours) -> int:
    """Read the files beside these photos where they changed; how many folders had to be read.

    Raises:
        LibraryError: library.db cannot be written.
    """
    reader = _Reader(photos_dir, ours)
    folders = {photo.rel_path.rpartition("/")[0] for photo in photos}
    return sum(reader.read(folder, library) for folder in sorted(folders))


class _Reader:
    """Reads folders one after the other; a dump of osxphotos holds for all below its folder."""

    def __init__(self, photos_dir: Path, ours: Ours) -> None:
        self._root = photos_dir
        self._ours = ours
        self._listings: dict[str, _Listing] = {}
        self._dumps: dict[str, Dumps] = {}
        self._inside: dict[str, list[str]] = {}

    def read(self, folder: str, library: Library) -> bool:
        """Read a folder if anything that is about its photos changed."""
        above = ["", *(f"{p}" for p in reversed(PurePosixPath(folder).parents) if f"{p}" != ".")]
        above = [*above, folder] if folder else above
        listing, parts = self._listing(folder), self._parts(folder)
        files = [*listing.beside, *(f for name in above for f in self._nobodys(name))]
        stamp = _stamp([*files, *(f for part in parts for f in self._listing(part).beside)])
        known = library.others.stamp_of(folder)
        if stamp == (known or ""):
            return False
        dumps: Dumps = {}
        for name in reversed(above):
            dumps = dumps or self._dump(name)
        library.others.save_beside(folder, stamp, self._facts(folder, listing, dumps, parts))
        return True

    def _facts(
        self, folder: str, listing: _Listing, dumps: Dumps, parts: Iterable[str]
    ) -> dict[str, Metadata]:
        own, others = self._part(folder), map(self._part, parts)
        said = Folder(listing.media, own.beside, own.read, RAW_EXTENSIONS, dumps, others).facts()
        prefix = f"{folder}/" if folder else ""
        return {
            prefix + name: _without(metadata, self._ours(prefix + name))
            for name, metadata in said.items()
        }

    def _part(self, folder: str) -> Part:
        listing = self._listing(folder)

        def read(name: str) -> bytes | None:
            return _read(self._root / folder / name, MAX_FILE_BYTES)

        small = [file.name for file in listing.beside if file.size <= MAX_FILE_BYTES]
        return Part(listing.media, small, read)

    def _parts(self, folder: str) -> list[str]:
        """The same folder in other parts of a Takeout that were unpacked side by side.

        `Takeout/Google Photos/Rome` and `Takeout 2/Google Photos/Rome`, or `part1/Takeout/...` and
        `part2/Takeout/...`.
        """
        steps = PurePosixPath(folder).parts
        marked = [i for i, step in enumerate(steps) if _TAKEOUT.fullmatch(step)]
        if not marked or marked[-1] == len(steps) - 1:
            return []
        head, tail = steps[: marked[0]], "/".join(steps[marked[-1] + 1 :])
        roots = self._takeouts("/".join(head))
        if head:
            for beside in self._folders("/".join(head[:-1])):
                roots += self._takeouts(beside)
        found = {f"{root}/{tail}" for root in roots} - {folder}
        return sorted(name for name in found if self._listing(name).beside)

    def _takeouts(self, folder: str, depth: int = 3) -> list[str]:
        """The folders below that are called as Takeout calls its own."""
        found = []
        for name in self._folders(folder):
            if depth and _TAKEOUT.fullmatch(name.rpartition("/")[2]):
                found += [name, *self._takeouts(name, depth - 1)]
        return found

    def _folders(self, folder: str) -> list[str]:
        if folder not in self._inside:
            prefix = f"{folder}/" if folder else ""
            with suppress(OSError), os.scandir(self._root / folder) as entries:
                self._inside[folder] = sorted(
                    prefix + e.name for e in entries if e.is_dir(follow_symlinks=False)
                )
        return self._inside.get(folder, [])

    def _listing(self, folder: str) -> _Listing:
        if folder not in self._listings:
            self._listings[folder] = _list(self._root / folder)
        return self._listings[folder]

    def _nobodys(self, folder: str) -> list[_File]:
        listing = self._listing(folder)
        stems = {stem_of(name) for name in listing.media}
        return [file for file in listing.beside if is_nobodys(file.name, stems)]

    def _dump(self, folder: str) -> Dumps:
        if folder not in self._dumps:
            self._dumps[folder] = {}
            for file in self._nobodys(folder):
                data = _read(self._root / folder / file.name, MAX_DUMP_BYTES)
                if data is not None and (items := read_dump(data)):
                    self._dumps[folder] = by_name(items)
        return self._dumps[folder]


def _list(folder: Path) -> _Listing:
    listing = _Listing({}, [])
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
            if suffix in _MEDIA:
                listing.media[entry.name] = entry.stat(follow_symlinks=False).st_size
            elif is_beside(entry.name) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                listing.beside.append(_File(entry.name, status.st_size, status.st_mtime_ns))
    return listing


def _stamp(files: Iterable[_File]) -> str:
    """What changes when one of them does; empty where there are none."""
    listed = sorted(set(files))
    told = repr((READER, listed)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(told).hexdigest()[:32] if listed else ""


def _read(path: Path, most: int) -> bytes | None:
    """A plain file's bytes; what is a link, is too large or cannot be read says nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                return None
            return file.read(most)
    except OSError:
        return None


def _without(metadata: Metadata, ours: Collection[str]) -> Metadata:
    """Without what we wrote into a sidecar ourselves."""
    if not ours:
        return metadata
    facts = tuple(one for one in metadata.facts if one.value.casefold() not in ours)
    return msgspec.structs.replace(metadata, facts=facts)
