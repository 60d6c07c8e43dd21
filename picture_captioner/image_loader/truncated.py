"""Photos that end too early: how to tell, and how to make the most of what is left.

A download or a copy that broke off leaves the upper part of a picture (the whole of a progressive
one, blurred). It is an error unless the person accepts such pictures; then the record says so.

Decoders also pass over damage: zeros where compressed data should be, checksums that fail.
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
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile, UnidentifiedImageError

from picture_captioner.errors import CorruptImageError, TruncatedImageError, UnknownFormatError
from picture_captioner.image_loader.decoding import Decoded, decode
from picture_captioner.image_loader.formats import sniff
from picture_captioner.image_loader.tiff import (
    COMPRESSION,
    Directory,
    directories,
    is_uncompressed,
    sensor_data,
    shown_directory,
    unsupported,
)
from picture_captioner.metadata.boxes import boxes, items

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


_FILLED_IN = {"HEIF", "TIFF"}
"""Their decoders fill in what is missing and say nothing: of the tiles that phones cut a HEIC into,
and of a TIFF's tables and colours."""

_BOXES = {
    b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"wide",
    b"JXL ", b"jxlc", b"jxlp", b"jxll", b"jxli", b"jbrd", b"brob", b"Exif", b"xml ",
}  # fmt: skip
_NEEDED = {258, 273, 279, 301, 318, 319, 320, 324, 325, 347, 530, 532, 34675}
"""Fields without which a TIFF's pixels are not what they should be."""


def decode_all_or(
    data: bytes,
    edge: int,
    *,
    with_metadata: bool,
    copy_edge: int | None,
    accept_truncated: bool,
) -> Decoded:
    """`decode`; where the data end too early, what is left of the picture if that is accepted.

    Raises:
        TruncatedImageError: it ends too early, and that is not accepted or nothing is to be seen.
        CorruptImageError: or another subclass, as `decode`.
    """
    verdict: CorruptImageError
    try:
        found = decode(data, edge, with_metadata=with_metadata, copy_edge=copy_edge)
    except CorruptImageError as error:
        verdict = _sharper(error, data)
    else:
        seen = damage(data, found.format)
        if found.format in _FILLED_IN and ends_early(data):
            seen = TruncatedImageError("the file ends too early: parts of the picture are missing")
        if seen is None:
            return found
        verdict = seen
    if not (accept_truncated and isinstance(verdict, TruncatedImageError)):
        raise verdict
    try:
        return _decode_what_is_left(data, edge, with_metadata=with_metadata)
    except CorruptImageError as error:
        raise verdict from error


def ends_early(data: bytes) -> bool:
    """Whether the format's own lengths promise more bytes than there are.

    WebP, HEIF and AVIF decoders call such files damaged; PNG and TIFF ones sometimes do.
    """
    match sniff(data):
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "HEIF" | "AVIF" | "JXL" if data[:2] != b"\xff\x0a":
            return _last_box_ends(data) > len(data)
        case "PNG":
            return b"IEND" not in data
        case "JPEG2000":
            return not has_jpeg2000_end(data)
        case "TIFF":
            return _tiff_ends(data) > len(data)
    return False


def _last_box_ends(data: bytes) -> int:
    """Where the last box that holds a picture would end.

    Some phones append bytes of their own, which are no box: the walk ends there.
    """
    end = 0
    for box in boxes(data):
        if box.kind not in _BOXES:
            break
        end = box.end
    return end


def _tiff_ends(data: bytes) -> int:
    """Where the last thing ends that the first directory points to."""
    directory = shown_directory(data)
    if directory is None:
        return len(data) + 1
    ends = [directory.end]
    ends += [field.end for tag, field in directory.fields.items() if tag in _NEEDED]
    ends += [end for _, end in directory.pieces()]
    return max(ends)


def _sharper(error: CorruptImageError, data: bytes) -> CorruptImageError:
    cut = ends_early(data)
    if type(error) is CorruptImageError and cut:
        return TruncatedImageError(f"the file ends too early ({error})")
    if type(error) is CorruptImageError and _has_a_lost_end(data):
        return TruncatedImageError(INTERRUPTED)
    asked = not cut and sniff(data) == "TIFF" and _no_decoder_takes(error, data)
    kind = unsupported(data) if asked else None
    return UnknownFormatError(f"unsupported kind of TIFF: {kind}") if kind else error


def _has_a_lost_end(data: bytes) -> bool:
    """Whether a broken file's end is zeros; of a TIFF only where its directory was to be there."""
    directory = shown_directory(data) if sniff(data) == "TIFF" else None
    return ends_in_zeros(data) and not (directory and directory.fields)


def _no_decoder_takes(error: CorruptImageError, data: bytes) -> bool:
    """Whether the pixels were not even looked at, or are all there and yet too few for Pillow."""
    return isinstance(error.__cause__, UnidentifiedImageError) or (
        isinstance(error, TruncatedImageError) and is_uncompressed(data)
    )


def _decode_what_is_left(data: bytes, edge: int, *, with_metadata: bool) -> Decoded:
    with _accepting():
        found = decode(data, edge, with_metadata=with_metadata)
    if found.image.getcolors(maxcolors=1) is not None:
        raise TruncatedImageError("the file ends before anything of the picture can be seen")
    return found._replace(truncated=True)


@contextmanager
def _accepting() -> Iterator[None]:
    """Pillow's switch is global, like its warnings: one thread at a time, which we are."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
