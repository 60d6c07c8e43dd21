"""Where RAW files keep their EXIF that do not keep it as a TIFF does.

exifread, the library that is kept up for this, reads RAF and CR3 no better than Pillow does (3.5.1
knows neither head), so the block is found here and read by Pillow.

    CR3        boxes: CMT1 the camera, CMT2 the capture, CMT4 the place (Canon)
    RAF        a whole JPEG inside, at the offset in byte 84 (Fujifilm)
    RW2, ORF   a TIFF under another magic number (Panasonic; Olympus)
"""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image

from picture_captioner.metadata.boxes import find
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.exif import PARSE_ERRORS, from_directories, from_exif

_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_OTHER_MAGIC = {b"IIU\0", b"IIRO", b"IIRS", b"MMOR"}
_MOST_SEGMENTS = 64


def from_raw(data: bytes) -> Metadata:
    """The EXIF of a RAW file; empty if there is none that can be read."""
    try:
        if data.startswith(b"FUJIFILMCCD-RAW"):
            start, size = struct.unpack_from(">II", data, 84)
            return from_exif(_parsed(_exif_of_jpeg(data[start : start + size])))
        if data[4:12] == b"ftypcrx ":
            return _from_cr3(data)
        if data[:4] in _OTHER_MAGIC:
            data = (b"II*\0" if data[:1] == b"I" else b"MM\0*") + data[4:]
        return from_exif(_parsed(data))
    except PARSE_ERRORS:
        return Metadata()


def _parsed(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load_from_fp(io.BytesIO(block))
    return exif


def _exif_of_jpeg(jpeg: bytes) -> bytes:
    """The TIFF block in a JPEG's APP1; b"" if it has none."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker, size = struct.unpack_from(">HH", jpeg, at)
        if marker == 0xFFE1 and jpeg[at + 4 : at + 10] == b"Exif\0\0":
            return jpeg[at + 10 : at + 2 + size]
        if not 0xFFC0 <= marker <= 0xFFFE or marker == 0xFFDA:
            break
        at += 2 + size
    return b""


def _from_cr3(data: bytes) -> Metadata:
    movie = find(data, b"moov")
    canon = find(data, b"uuid", movie.body, movie.end) if movie else None
    if canon is None or data[canon.body : canon.body + 16] != _CANON:
        return Metadata()
    parts: list[dict[int, Any]] = []
    for kind in (b"CMT1", b"CMT2", b"CMT4"):
        box = find(data, kind, canon.body + 16, canon.end)
        try:
            parts.append(dict(_parsed(data[box.body : box.end])) if box else {})
        except PARSE_ERRORS:
            parts.append({})
    return from_directories(*parts)
