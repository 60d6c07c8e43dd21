"""Where a TIFF says that its pixels lie: TIFF 6.0, BigTIFF, and the RAW files built like them.

Only numbers are read. They are somebody else's claims: what lies outside of the file is left out,
and a directory is visited once.

Where the sensor data lie, by family (`sensor_data`): RAF (Fujifilm) has offsets and lengths in its
head, CR3 (Canon) boxes, the last of which is cut off with the file, RW2 (Panasonic) an offset, and
by its packing a least length. NEF, DNG, CR2, ARW, ORF, PEF, SRW have strips and tiles as a TIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from picture_captioner.metadata.boxes import boxes

_FORMS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
_MAGIC = {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"}
"""TIFF, BigTIFF, Olympus (ORF) and Panasonic (RW2)."""

MOST_DIRECTORIES = 64
_MOST_ENTRIES = 4096
_MOST_NUMBERS = 1 << 16

SUBFILE_TYPE, COMPRESSION, COLORMAP, SUB_DIRECTORIES = 254, 259, 320, 330
REDUCED, MASK = 1, 4
"""Bits of the subfile type."""
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANES, _SAMPLE_FORMAT = 256, 257, 258, 277, 284, 339
_UNCOMPRESSED, _SEPARATE = 1, 2
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_FORMAT_NAMES = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOAT: "float"}
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_STRIPS, _TILES = (273, 279), (324, 325)


@dataclass(frozen=True)
class Field:
    """One entry: what kind of numbers, how many, and where they begin."""

    kind: int
    count: int
    start: int

    @property
    def end(self) -> int:
        """Where they would end."""
        return self.start + _BYTES.get(self.kind, 0) * self.count


@dataclass(frozen=True)
class Directory:
    """One picture's fields by their tag; `end` is where the directory itself would end."""

    fields: dict[int, Field]
    end: int
    order: str
    data: bytes

    def numbers(self, tag: int) -> tuple[int, ...]:
        """A field's whole numbers; () if it has none, or they lie outside of the file."""
        field = self.fields.get(tag)
        form = _FORMS.get(field.kind) if field else None
        if field is None or form is None:
            return ()
        try:
            return struct.unpack_from(
                f"{self.order}{min(field.count, _MOST_NUMBERS)}{form}", self.data, field.start
            )
        except struct.error:
            return ()

    def number(self, tag: int, default: int) -> int:
        """The first of a field's numbers."""
        found = self.numbers(tag)
        return found[0] if found else default

    def pieces(self) -> list[tuple[int, int]]:
        """Start and promised end of each strip or tile."""
        return [
            (start, start + length)
            for offsets, lengths in (_STRIPS, _TILES)
            for start, length in zip(self.numbers(offsets), self.numbers(lengths), strict=False)
        ]


def misread(data: bytes) -> str | None:
    """What kind of TIFF this is, if Pillow 13 makes a wrong picture of it without a word.

    Tried with 192 kinds (tests/image_loader/test_tiff.py): 16-bit planes one after the other come
    out as noise, unsigned 32 bits and signed 8 wrap round, compressed big-endian floats are taken
    for little-endian, and over 8 bits white as zero gives the negative.
    """
    directory = shown_directory(data)
    if directory is None:
        return None
    bits, sample = directory.number(_BITS, 1), directory.number(_SAMPLE_FORMAT, _UNSIGNED)
    several = directory.number(_SAMPLES, 1) > 1
    packed = directory.number(COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED
    wrong = (
        (directory.number(_PLANES, 1) == _SEPARATE and bits > 8 and several)
        or (bits == 32 and sample == _UNSIGNED)
        or (bits == 8 and sample == _SIGNED)
        or (bits >= 16 and sample != _UNSIGNED and packed and directory.order == ">")
        or (bits > 8 and directory.number(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO)
    )
    return _kind(directory) if wrong else None


def unsupported(data: bytes) -> str | None:
    """What kind of TIFF this is, if it is whole as far as its own directory tells.

    To be asked of a file that no decoder takes: then it is not damaged but of another kind.
    """
    directory = shown_directory(data)
    if directory is None or not (pieces := directory.pieces()):
        return None
    described = directory.number(_WIDTH, 0) > 0 and directory.number(_HEIGHT, 0) > 0
    whole = all(0 < start < end <= len(data) for start, end in pieces)
    return _kind(directory) if described and whole else None


def is_uncompressed(data: bytes) -> bool:
    """Whether the picture that is shown lies in the file as it is."""
    directory = shown_directory(data)
    return directory is not None and directory.number(COMPRESSION, 1) == _UNCOMPRESSED


def _kind(directory: Directory) -> str:
    """`3 x 16 bits, float, big-endian BigTIFF`: what sets it apart from usual ones."""
    sample = directory.number(_SAMPLE_FORMAT, _UNSIGNED)
    parts = [
        f"{directory.number(_SAMPLES, 1)} x {directory.number(_BITS, 1)} bits",
        _FORMAT_NAMES.get(sample, "samples of another kind"),
    ]
    if directory.number(_PLANES, 1) == _SEPARATE:
        parts.append("in planes")
    if directory.number(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        parts.append("white is zero")
    order = "big-endian" if directory.order == ">" else "little-endian"
    big = directory.data[2:4] in {b"+\0", b"\0+"}
    return ", ".join([*parts, f"{order} {'BigTIFF' if big else 'TIFF'}"])


def is_tiff(head: bytes) -> bool:
    """Whether a file is built like a TIFF, by its first four bytes."""
    return head[:4] in _MAGIC


def shown_directory(data: bytes) -> Directory | None:
    """The picture that is shown; None if the file ends before its description does.

    The first one, unless that says that it is a reduced copy of a later one.
    """
    pages = directories(data, within=False)
    first = next(pages, None)
    if first is None or not first.number(SUBFILE_TYPE, 0) & REDUCED:
        return first
    least = first.number(_WIDTH, 0)
    whole = (p for p in pages if not p.number(SUBFILE_TYPE, 0) & (REDUCED | MASK))
    return next((page for page in whole if page.number(_WIDTH, 0) > least), first)


def directories(data: bytes, *, within: bool = True) -> Iterator[Directory]:
    """All directories that can be read, the first one first, each with those `within` it."""
    if not is_tiff(data):
        return
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in {b"+\0", b"\0+"}
    form = order + ("Q" if big else "I")
    waiting, seen = [8 if big else 4], set[int]()
    try:
        waiting = [struct.unpack_from(form, data, waiting[0])[0]]
    except struct.error:
        return
    while waiting and len(seen) < MOST_DIRECTORIES:
        start = waiting.pop(0)
        if start in seen or not 0 < start < len(data):
            continue
        seen.add(start)
        try:
            directory, following = _directory(data, start, order, big=big)
        except struct.error:
            continue
        yield directory
        inner = directory.numbers(SUB_DIRECTORIES)[:MOST_DIRECTORIES] if within else ()
        waiting += [*inner, following]


def _directory(data: bytes, start: int, order: str, *, big: bool) -> tuple[Directory, int]:
    head, row, link = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    room = struct.calcsize(order + link)
    (count,) = struct.unpack_from(order + head, data, start)
    at = start + struct.calcsize(order + head)
    fields = {}
    for _ in range(min(count, _MOST_ENTRIES)):
        tag, kind, number = struct.unpack_from(order + row, data, at)
        at += struct.calcsize(order + row)
        place = at
        if _BYTES.get(kind, 0) * number > room:
            (place,) = struct.unpack_from(order + link, data, at)
        fields[tag] = Field(kind, number, place)
        at += room
    try:
        (following,) = struct.unpack_from(order + link, data, at)
    except struct.error:
        following = 0
    return Directory(fields, at + room, order, data), following


_RAF, _RW2 = b"FUJIFILMCCD-RAW", b"IIU\0"
_RAF_PIECES = (84, 100)
"""Where offset and length of the preview and of the sensor data stand in a RAF."""

_SENSOR_WIDTH, _SENSOR_HEIGHT, _PACKING, _STRIP, _RAW_OFFSET = 2, 3, 0x2D, 273, 280
_DENSEST_PACKING = 14 / 16
"""Pixels in a byte at most, of Panasonic's packings 4 to 7: 14 in 16 bytes. 8 is variable."""

_NOWHERE = 0xFFFFFFFF


def sensor_data(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and promised end of each piece, of previews too where they are listed with them."""
    if data.startswith(_RAF):
        yield from _of_raf(data)
    elif data[4:12] == b"ftypcrx ":
        yield from ((box.body, box.end) for box in boxes(data))
    elif data[:4] == _RW2:
        yield from _of_rw2(data)
    else:
        for directory in directories(data):
            yield from directory.pieces()


def _of_raf(data: bytes) -> Iterator[tuple[int, int]]:
    for place in _RAF_PIECES:
        try:
            start, length = struct.unpack_from(">II", data, place)
        except struct.error:
            start, length = place, 8  # cut off within its head
        yield start, start + length


def _of_rw2(data: bytes) -> Iterator[tuple[int, int]]:
    """Panasonic writes 0xffffffff for the strip, and for its length what unpacked data take."""
    directory = shown_directory(data)
    if directory is None:
        return
    start = directory.number(_RAW_OFFSET, directory.number(_STRIP, _NOWHERE))
    if start == _NOWHERE:
        return
    pixels = directory.number(_SENSOR_WIDTH, 0) * directory.number(_SENSOR_HEIGHT, 0)
    known = 4 <= directory.number(_PACKING, 0) <= 7
    least = int(pixels / _DENSEST_PACKING * 0.99) if known else 1
    yield start, max(start + least, len(data))
