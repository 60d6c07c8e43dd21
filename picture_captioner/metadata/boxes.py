"""The one walk through ISO base media files (ISO/IEC 14496-12): HEIC, AVIF, CR3, JPEG XL.

A box begins with its size in 4 bytes and its type in 4; size 1 means that 8 bytes with the size
follow, size 0 that the box lasts to the end, wherever that is. Sizes are somebody else's claims:
nothing here trusts one further than the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
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


def largest_picture(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that a HEIF file speaks of; (0, 0) if of none."""
    sizes = [(0, 0)]
    for box in _properties(data):
        if box.kind == b"ispe" and box.end <= len(data):
            at = box.body + 4
            sizes.append((int.from_bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8])))
    return max(sizes, key=lambda size: size[0] * size[1])


def clean_aperture(data: bytes) -> tuple[Fraction, Fraction, Fraction, Fraction] | None:
    """What is to be shown of the primary picture: width, height, and how far its centre is off.

    None if it is to be shown whole, or if the file does not say clearly (ISO/IEC 14496-12, clap).
    """
    try:
        shown = [box for box in _primary_properties(data) if box.kind == b"clap"]
        if len(shown) != 1:
            return None
        numbers = struct.unpack_from(">IIIIiIiI", data, shown[0].body)
        width, height, across, down = (
            Fraction(numbers[at], numbers[at + 1]) for at in range(0, 8, 2)
        )
    except (struct.error, ValueError, ZeroDivisionError, IndexError):
        return None
    return width, height, across, down


def colour_codes(data: bytes) -> tuple[int, int]:
    """Primaries and transfer characteristics of the primary picture (ITU-T H.273); (0, 0): unknown.

    A profile may stand beside them (ISO/IEC 23008-12); it says nothing of PQ and HLG.
    """
    try:
        for box in _primary_properties(data):
            if box.kind == b"colr" and data[box.body : box.body + 4] == b"nclx":
                primaries, transfer = struct.unpack_from(">HH", data, box.body + 4)
                return primaries, transfer
    except (struct.error, ValueError, IndexError):
        return 0, 0  # damaged boxes say nothing; the decoder judges the picture
    return 0, 0


_JP2_BLOCKS = {
    b"JpgTiffExif->JP2": "exif",
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "photoshop",
}
"""The `uuid` boxes in which EXIF, XMP and IPTC stand in a JPEG 2000 (as exiftool writes them)."""


def jp2_blocks(data: bytes) -> dict[str, bytes]:
    """The metadata of a JPEG 2000 by their kind; Pillow's plugin does not look for them."""
    found: dict[str, bytes] = {}
    for box in boxes(data):
        kind = _JP2_BLOCKS.get(data[box.body : box.body + 16]) if box.kind == b"uuid" else None
        if kind is not None and box.end <= len(data):
            found.setdefault(kind, data[box.body + 16 : box.end])
    return found


def _properties(data: bytes) -> list[Box]:
    """The properties that items may have, in the order of their numbers."""
    meta = find(data, b"meta")
    outer = meta and find(data, b"iprp", meta.body + 4, meta.end)
    inner = outer and find(data, b"ipco", outer.body, outer.end)
    return list(boxes(data, inner.body, inner.end)) if inner else []


def _primary_properties(data: bytes) -> list[Box]:
    """Those of the primary item, by `pitm` and `ipma`."""
    meta = find(data, b"meta")
    primary = meta and find(data, b"pitm", meta.body + 4, meta.end)
    outer = meta and find(data, b"iprp", meta.body + 4, meta.end)
    table = outer and find(data, b"ipma", outer.body, outer.end)
    if not (primary and table):
        return []
    wide = 4 if data[primary.body] else 2
    wanted = int.from_bytes(data[primary.body + 4 : primary.body + 4 + wide])
    long_indices, reader = data[table.body + 3] & 1, _Numbers(data, table.body + 4, table.end)
    known = _properties(data)
    for _ in range(min(reader.number(4), _MOST_EXTENTS)):
        item = reader.number(4 if data[table.body] else 2)
        indices = [reader.number(2 if long_indices else 1) for _ in range(reader.number(1))]
        if item == wanted:
            places = [index & (0x7FFF if long_indices else 0x7F) for index in indices]
            return [known[place - 1] for place in places if 0 < place <= len(known)]
    return []


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
