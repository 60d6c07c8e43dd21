"""Photos that end too early: how to tell, and how to make the most of what is left.

A download or a copy that broke off leaves the upper part of a picture (the whole of a progressive
one, blurred). It is an error unless the person accepts such pictures; then the record says so.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

from picture_captioner.errors import CorruptImageError, TruncatedImageError
from picture_captioner.image_loader.decoding import Decoded, decode
from picture_captioner.image_loader.formats import sniff

_FILLED_IN = {"HEIF", "TIFF"}
"""Their decoders fill in what is missing and say nothing: of the tiles that phones cut a HEIC into,
and of a TIFF's tables and colours."""

_BOXES = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"wide"}
_TIFF_BYTES = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_NEEDED = {258, 273, 279, 301, 318, 319, 320, 324, 325, 347, 530, 532, 34675}
"""Fields without which a TIFF's pixels are not what they should be."""

_STRIPS = {273, 279, 324, 325}
"""Offsets and byte counts of strips and tiles."""
_MOST_STRIPS = 1 << 16


def decode_all_or(
    data: bytes,
    edge: int,
    *,
    with_metadata: bool,
    allow_reduced: bool,
    accept_truncated: bool,
) -> Decoded:
    """`decode`; where the data end too early, what is left of the picture if that is accepted.

    Raises:
        TruncatedImageError: it ends too early, and that is not accepted or nothing is to be seen.
        CorruptImageError: or another subclass, as `decode`.
    """
    verdict: CorruptImageError
    try:
        found = decode(data, edge, with_metadata=with_metadata, allow_reduced=allow_reduced)
    except CorruptImageError as error:
        verdict = _sharper(error, data)
    else:
        if found.format not in _FILLED_IN or not ends_early(data):
            return found
        verdict = TruncatedImageError("the file ends too early: parts of the picture are missing")
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
        case "HEIF" | "AVIF":
            return _last_box_ends(data) > len(data)
        case "PNG":
            return b"IEND" not in data
        case "TIFF" if data[2:4] in {b"*\0", b"\0*"}:
            return _tiff_ends(data) > len(data)
    return False


def _last_box_ends(data: bytes) -> int:
    """Where the last box that holds a picture would end (ISO/IEC 14496-12).

    Some phones append bytes of their own, which are no box: the walk ends there.
    """
    at = 0
    while data[at + 4 : at + 8] in _BOXES:
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: it reaches to the end of the file
            return len(data)
        at += size
    return at


def _tiff_ends(data: bytes) -> int:
    """Where the last thing ends that the first directory points to (TIFF 6.0, section 2)."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, start)
        rows = list(struct.iter_unpack(order + "HHII", data[start + 2 : start + 2 + 12 * entries]))
        strips = {tag: _numbers(data, order, *row) for tag, *row in rows if tag in _STRIPS}
    except struct.error:
        return len(data) + 1
    ends: list[int] = [start + 2 + 12 * entries + 4]
    for tag, kind, count, value in rows:
        size = _TIFF_BYTES.get(kind, 0) * count
        ends += [value + size] if size > 4 and tag in _NEEDED else []
    for offsets, counts in ((273, 279), (324, 325)):
        ends += map(operator.add, strips.get(offsets, ()), strips.get(counts, ()))
    return max(ends)


def _numbers(data: bytes, order: str, kind: int, count: int, value: int) -> tuple[int, ...]:
    """A field's numbers, 16 or 32 bits each; from `value`, where it lies, if they do not fit in."""
    form = f"{order}{min(count, _MOST_STRIPS)}{'H' if kind == 3 else 'I'}"
    if struct.calcsize(form) <= 4:
        return struct.unpack_from(form, struct.pack(order + "I", value))
    return struct.unpack_from(form, data, value)


def _sharper(error: CorruptImageError, data: bytes) -> CorruptImageError:
    if type(error) is CorruptImageError and ends_early(data):
        return TruncatedImageError(f"the file ends too early ({error})")
    return error


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
