"""A JPEG's pixels, with what the decoder thinks of them.

libjpeg goes on after damage (a hole of zeros, a block twice, a cut): it fills in stripes and grey,
and warns. Pillow drops the warnings; simplejpeg, on the same libjpeg-turbo, hands over the first
one, as fast (28 ms for 12 megapixels at half scale, with either).
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from PIL import Image

from picture_captioner.errors import CorruptImageError, TruncatedImageError
from picture_captioner.image_loader.resizing import Box

_SCALES = (8, 4, 2, 1)
_MODES = {1: ("GRAY", "L"), 3: ("RGB", "RGB")}
_END, _NO_END = b"\xff\xd9", "Premature end of JPEG file"
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_MOST_LEFT_OVER = 16
"""Bytes that some cameras leave between picture and end mark. Two blocks of a photo that changed
places left 45."""

_REMARKS = (
    "Corrupt JPEG data: bad ICC marker",
    "Inconsistent progression",
    "Invalid SOS parameters",
    "Unknown Adobe color transform",
)
"""Warnings about the description of the picture, all of which is there."""


@functools.cache
def import_simplejpeg() -> Any:
    """The library, imported late: it brings numpy, 85 ms, which only decoders need.

    None where there is no wheel for the platform: Pillow decodes, and damage is seen less often.
    """
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


class Pixels(NamedTuple):
    """A decoded picture, and the part of it that the photo fills: the sides need not divide."""

    image: Image.Image
    box: Box | None


def decode_jpeg(
    data: bytes, size: tuple[int, int], wanted: tuple[int, int], *, progressive: bool
) -> Pixels | None:
    """Decode at the smallest scale of 1/8, 1/4, 1/2 and 1 that covers `wanted`.

    None where that is Pillow's to do: CMYK, and whatever the library cannot read.

    Raises:
        TruncatedImageError: the picture's data end too early or run into nothing.
        CorruptImageError: the decoder found damage in the middle.
    """
    if import_simplejpeg() is None:
        return None
    room = min(size[0] // wanted[0], size[1] // wanted[1])
    scale = next(scale for scale in _SCALES if scale <= max(room, 1))
    small = (-(-size[0] // scale), -(-size[1] // scale))
    try:
        channels = _channels(data, size)
        if channels not in _MODES:
            return None
        colours, mode = _MODES[channels]
        pixels = bytearray(small[0] * small[1] * channels)
        warning = _decode(data, colours, small, pixels)
        if warning.startswith(_NO_END):
            # The end mark may be all that is missing: with one, the decoder says what else is. Not
            # of a progressive picture, which may lack its last refinements without a trace.
            if progressive or not _is_harmless(_decode(data + _END, colours, small, pixels)):
                raise TruncatedImageError("the picture ends too early: the rest of it is missing")
        else:
            _judge(warning)
    except _Refused:
        return None
    image = Image.frombuffer(mode, small, pixels, "raw", mode, 0, 1)
    return Pixels(image, (0.0, 0.0, size[0] / scale, size[1] / scale))


class _Refused(Exception):
    """The library does not read this kind of JPEG."""


def _channels(data: bytes, size: tuple[int, int]) -> int:
    try:
        height, width, colours, _ = import_simplejpeg().decode_jpeg_header(data, strict=False)
    except ValueError as error:
        raise _Refused from error
    if (width, height) != size:
        raise _Refused
    return {"Gray": 1, "CMYK": 4, "YCCK": 4}.get(colours, 3)


def _decode(data: bytes, colours: str, size: tuple[int, int], pixels: bytearray) -> str:
    """Fill the buffer; the first warning, or "". The pixels are there in either case."""
    try:
        import_simplejpeg().decode_jpeg(
            data, colours, min_width=size[0], min_height=size[1], min_factor=1, buffer=pixels
        )
    except ValueError as error:
        return str(error)
    return ""


def _judge(warning: str) -> None:
    """Raise what a warning means, unless the picture is all there."""
    if _is_harmless(warning):
        return
    if "remature end" in warning:
        raise TruncatedImageError(f"the picture ends too early ({warning})")
    if "Corrupt JPEG data" in warning:
        raise CorruptImageError(f"the picture is damaged ({warning})")
    raise _Refused


def _is_harmless(warning: str) -> bool:
    """Nothing, a few bytes before the end mark, or a remark on how it was encoded."""
    if found := _LEFT_OVER.search(warning):
        return int(found[1]) <= _MOST_LEFT_OVER
    return not warning or warning.startswith(_REMARKS)
