"""Where a RAW file says that its sensor data lie, by family.

RAF (Fujifilm) has offsets and lengths in its head, CR3 (Canon) boxes, the last of which is cut off
with the file, RW2 (Panasonic) an offset, and by its packing a least length. The rest has strips and
tiles as a TIFF: NEF, DNG, CR2, ARW, ORF, PEF, SRW.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from picture_captioner.image_loader.tiff import directories, first_directory
from picture_captioner.metadata.boxes import boxes

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
    directory = first_directory(data)
    if directory is None:
        return
    start = directory.number(_RAW_OFFSET, directory.number(_STRIP, _NOWHERE))
    if start == _NOWHERE:
        return
    pixels = directory.number(_SENSOR_WIDTH, 0) * directory.number(_SENSOR_HEIGHT, 0)
    known = 4 <= directory.number(_PACKING, 0) <= 7
    least = int(pixels / _DENSEST_PACKING * 0.99) if known else 1
    yield start, max(start + least, len(data))
