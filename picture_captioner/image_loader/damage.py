"""Damage that a decoder passes over: zeros where compressed data should be, checksums that fail.

A copy that was interrupted after the file got its full size ends in zeros; a hole in the middle is
zeros too. Decoders make stripes, green or grey of them and say nothing. Whether zeros are damage
depends on the format:

    JPEG        the decoder's own warnings tell (jpeg.py)
    HEIC        the data never hold three zero bytes in a row (emulation prevention, ITU-T H.265)
    AVIF        flat pictures hold up to 16 (aom, all speeds and qualities tried); 64 are damage
    PNG         each chunk has a checksum
    WebP        a flat picture may be 3 kB of zeros; but then the decoder needs them
    JPEG 2000   the marker at its end is missing; nothing coded may look like it
    JPEG XL     the decoder refuses such a file
    TIFF, RAW   zeros at the end of a compressed strip; the end of the last strip is in the file

Uncompressed pixels may be black: zeros in a BMP or an uncompressed TIFF are no damage.
"""

from __future__ import annotations

import io
import zlib

from PIL import Image

from picture_captioner.errors import CorruptImageError, TruncatedImageError
from picture_captioner.image_loader.raw_extents import sensor_data
from picture_captioner.image_loader.tiff import COMPRESSION, Directory, directories
from picture_captioner.metadata.boxes import items

_CODED = {b"hvc1": 16, b"hev1": 16, b"avc1": 16, b"vvc1": 16, b"av01": 64}
"""Zero bytes in a row that a coded picture of a HEIF file never holds."""

_PNG_SIGNATURE = 8
_WEBP_HEADER = 12
_NEEDED_BYTES = 16
"""An encoder ends a WebP at most three bytes after the last one that its decoder needs."""

_ZEROS_AT_END = 64
_RAW_ZEROS_AT_END = 4096
"""Sensor data that are not compressed may hold zeros, but not as many in a row."""

_UNCOMPRESSED = 1
INTERRUPTED = "the picture's data run into zeros: was a copy of it interrupted?"


def ends_in_zeros(data: bytes) -> bool:
    """Whether what should be the end of a broken file is zeros: 64 bytes, and one in a hundred.

    A JPEG may be padded behind its end mark, and an uncompressed TIFF or BMP may end in black.
    """
    written = data.rstrip(b"\0")
    zeros = len(data) - len(written)
    return zeros >= max(64, len(data) // 100) and not written.endswith(b"\xff\xd9")


def damage(data: bytes, image_format: str) -> CorruptImageError | None:
    """What is wrong with a picture that was decoded without an error; None if nothing is."""
    match image_format:
        case "HEIF" | "AVIF":
            broken = _has_zeros(data)
        case "WEBP":
            broken = _has_needless_zeros(data)
        case "TIFF":
            broken = any(_ends_in_zeros(directory) for directory in directories(data))
        case "JPEG2000":
            broken = not has_jpeg2000_end(data)
        case "PNG":
            return _png_damage(data)
        case _:
            return None
    return TruncatedImageError(INTERRUPTED) if broken else None


def has_jpeg2000_end(data: bytes) -> bool:
    """Whether a JPEG 2000 has its end-of-codestream marker, which is mandatory."""
    return b"\xff\xd9" in data


def raw_damage(data: bytes) -> CorruptImageError | None:
    """The same for the sensor data of a RAW file, whose preview opens without them."""
    for start, end in sensor_data(data):
        if end > len(data):
            return TruncatedImageError("the file ends too early: sensor data are missing")
        if end - start > _RAW_ZEROS_AT_END and _is_zero(data, end - _RAW_ZEROS_AT_END, end):
            return TruncatedImageError(INTERRUPTED)
    return None


def _has_zeros(data: bytes) -> bool:
    for item in items(data):
        most = _CODED.get(item.kind)
        if most is None:
            continue
        if any(data.find(bytes(most), start, end) >= 0 for start, end in item.extents):
            return True
    return False


def _png_damage(data: bytes) -> CorruptImageError | None:
    """A chunk of pixels whose checksum is wrong; Pillow checks those of the others only."""
    at = _PNG_SIGNATURE
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 8 + size
        if kind == b"IDAT":
            if end + 4 > len(data):
                return TruncatedImageError("the file ends too early: part of it is missing")
            if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
                if _is_zero(data, end - min(size, _ZEROS_AT_END), end):
                    return TruncatedImageError(INTERRUPTED)
                return CorruptImageError("the picture's data do not match their checksum")
        elif kind == b"IEND":
            return None
        at = end + 4
    return None


def _has_needless_zeros(data: bytes) -> bool:
    """Whether a WebP's pixels end in zeros that its decoder does without.

    Only a file whose data do end in zeros is decoded again, without the last few of them.
    """
    start, end = _webp_pixels(data)
    if end - start < 2 * _NEEDED_BYTES or not _is_zero(data, end - _NEEDED_BYTES, end):
        return False
    kind, shorter = data[start - 8 : start - 4], data[start : end - _NEEDED_BYTES]
    chunk = kind + len(shorter).to_bytes(4, "little") + shorter + bytes(len(shorter) % 2)
    file = b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    try:
        with Image.open(io.BytesIO(file), formats=["WEBP"]) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError):
        return False
    return True


def _webp_pixels(data: bytes) -> tuple[int, int]:
    """Where the first picture's coded pixels lie, in the file or in its first frame."""
    at = _WEBP_HEADER
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in {b"VP8 ", b"VP8L"}:
            return at + 8, min(at + 8 + size, len(data))
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return 0, 0


def _ends_in_zeros(directory: Directory) -> bool:
    """Whether a compressed strip or tile ends in zeros; deflate ends in a checksum."""
    if directory.number(COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        return False
    return any(
        _is_zero(directory.data, end - min(_ZEROS_AT_END, end - start), end)
        for start, end in directory.pieces()
        if end - start >= _NEEDED_BYTES
    )


def _is_zero(data: bytes, start: int, end: int) -> bool:
    return not any(data[max(start, 0) : end])
