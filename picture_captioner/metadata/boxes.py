"""The one walk through ISO base media files (ISO/IEC 14496-12): HEIC, AVIF, CR3, JPEG XL.

A box begins with its size in 4 bytes and its type in 4; size 1 means that 8 bytes with the size
follow, size 0 that the box lasts to the end, wherever that is. Sizes are somebody else's claims:
nothing here trusts one further than the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER, _LONG_HEADER = 8, 16
_MOST_BOXES = 1 << 16
_MOST_EXTENTS = 1 << 16


class Box(NamedTuple):
    """A box: its type, where its body begins, where it ends by its own word, where it begins."""

    kind: bytes
    body: int
    end: int
    start: int


class Extent(NamedTuple):
    """Bytes of an item, as the index promises them."""

    start: int
    end: int


class Item(NamedTuple):
    """A picture, a block of metadata or another part of a HEIF file (ISO/IEC 23008-12)."""

    kind: bytes
    content_type: bytes
    extents: tuple[Extent, ...]


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two positions; the walk ends where something is no box.

    A box may state an end behind `end`: then it was cut off, or the file lies.
    """
    limit = len(data) if end is None else min(end, len(data))
    for _ in range(_MOST_BOXES):
        if limit - start < _HEADER:
            return
        size, header = int.from_bytes(data[start : start + 4]), _HEADER
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16]), _LONG_HEADER
        elif size == 0:
            size = limit - start
        if size < header:
            return
        yield Box(data[start + 4 : start + 8], start + header, start + size, start)
        start += size


def find(data: bytes, kind: bytes, start: int = 0, end: int | None = None) -> Box | None:
    """The first box of a kind between two positions."""
    return next((box for box in boxes(data, start, end) if box.kind == kind), None)


def is_whole(data: bytes) -> bool:
    """Do the boxes fill the file to its last byte? Cut off files are not, nor those that may be."""
    last = None
    for last in boxes(data):
        if last.kind == bytes(4):
            return False
        if int.from_bytes(data[last.start : last.start + 4]) == 0:  # to the end, wherever that is
            return False
    return last is not None and last.end == len(data)


def items(data: bytes) -> list[Item]:
    """The items of the file's `meta` box that lie in the file itself; [] if it makes no sense."""
    meta = find(data, b"meta")
    if meta is None:
        return []
    try:
        start = meta.body + 4
        places = _extents(data, find(data, b"iloc", start, meta.end))
        kinds = _kinds(data, find(data, b"iinf", start, meta.end))
    except (struct.error, ValueError):
        return []
    return [Item(*kinds[number], extents) for number, extents in places.items() if number in kinds]


def _kinds(data: bytes, box: Box | None) -> dict[int, tuple[bytes, bytes]]:
    """Type and MIME type of each item, from `iinf`."""
    if box is None:
        return {}
    found: dict[int, tuple[bytes, bytes]] = {}
    first = box.body + (6 if data[box.body] == 0 else 8)
    for entry in boxes(data, first, box.end):
        version = data[entry.body]
        if entry.kind != b"infe" or version < 2:
            continue
        width = 2 if version == 2 else 4
        at = entry.body + 4
        number = int.from_bytes(data[at : at + width])
        kind = data[at + width + 2 : at + width + 6]
        texts = data[at + width + 6 : entry.end].split(b"\0")
        found[number] = kind, texts[1] if kind == b"mime" and len(texts) > 1 else b""
    return found


def _extents(data: bytes, box: Box | None) -> dict[int, tuple[Extent, ...]]:
    """Where each item lies, from `iloc`; those in `idat` or in other files are left out."""
    if box is None:
        return {}
    version, sizes = data[box.body], data[box.body + 4 : box.body + 6]
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version in {1, 2} else 0
    reader = _Numbers(data, box.body + 6, box.end)
    wide = 4 if version == 2 else 2
    found: dict[int, tuple[Extent, ...]] = {}
    for _ in range(min(reader.number(wide), _MOST_EXTENTS)):
        number = reader.number(wide)
        method = reader.number(2) & 15 if version in {1, 2} else 0
        reader.number(2)
        base = reader.number(base_size)
        extents = []
        for _ in range(min(reader.number(2), _MOST_EXTENTS)):
            reader.number(index_size)
            start = base + reader.number(offset_size)
            extents.append(Extent(start, start + reader.number(length_size)))
        if method == 0:
            found[number] = tuple(extents)
    return found


class _Numbers:
    """Big-endian numbers of many sizes, one after the other."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, min(end, len(data))

    def number(self, size: int) -> int:
        """The next one; 0 if it takes no room."""
        if self._at + size > self._end:
            raise ValueError("the box ends too early")
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at])
