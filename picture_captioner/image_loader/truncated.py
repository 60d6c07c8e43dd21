"""Photos that end too early: how to tell, and how to make the most of what is left.

A download or a copy that broke off leaves the upper part of a picture (the whole of a progressive
one, blurred). It is an error unless the person accepts such pictures; then the record says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile, UnidentifiedImageError

from picture_captioner.errors import CorruptImageError, TruncatedImageError, UnknownFormatError
from picture_captioner.image_loader.damage import (
    INTERRUPTED,
    damage,
    ends_in_zeros,
    has_jpeg2000_end,
)
from picture_captioner.image_loader.decoding import Decoded, decode
from picture_captioner.image_loader.formats import sniff
from picture_captioner.image_loader.tiff import first_directory, is_uncompressed, unsupported
from picture_captioner.metadata.boxes import boxes

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
    directory = first_directory(data)
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
    directory = first_directory(data) if sniff(data) == "TIFF" else None
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
