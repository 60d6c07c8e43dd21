"""What decoders raise, turned into the program's errors.

Bad files make Pillow and the libraries below it raise nearly every built-in exception; each is a
verdict on the file. The block guarded by `decoder_errors` should hold decoder calls and little
else, so that a mistake of ours does not pass for a broken photo.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from picture_captioner.errors import (
    CorruptImageError,
    ImageTooLargeError,
    TruncatedImageError,
    UnknownFormatError,
)
from picture_captioner.image_loader.formats import sniff

MAX_DECODE_BYTES = 3 << 30
"""Memory that decoding one photo may take. A 200-megapixel HEIC takes 2.0 GB."""

LARGE_DECODE_BYTES = 256 << 20
"""From here on a decode waits until there is room for it; 48 megapixels of HEIC take 0.5 GB."""

_ask_for_room: Callable[[int], None] | None = None

_BYTES_A_PIXEL = {
    "JPEG": 7.0, "MPO": 7.0, "PNG": 4.0, "HEIF": 10.0, "WEBP": 16.5, "AVIF": 10.0, "TIFF": 5.0,
    "JXL": 16.0, "JPEG2000": 20.5, "GIF": 5.0, "BMP": 4.0, "DIB": 4.0,
}  # fmt: skip
"""What was mapped at the height of a decode, measured over 48 and 200 megapixels; a JPEG's are
those of the scale at which it is decoded, and the coefficients of a progressive one come on top."""

_DEEP = {"I", "I;16", "I;16B", "I;16L", "F"}
_COEFFICIENTS = 3.0


DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""All that was seen coming out of decoders and metadata parsers, except lack of memory."""

_CUT_SHORT = re.compile(
    r"truncat|end of (file|stream|input)|unexpected (end|eof)|premature|incomplete|\bEOF\b", re.I
)
_MAX_REASON = 160


@contextmanager
def decoder_errors(head: bytes) -> Iterator[None]:
    """Guard decoder calls; `head` is the start of the file, for a better word than "unknown".

    Raises:
        CorruptImageError: or the subclass that fits; messages name neither path nor content.
    """
    with warnings.catch_warnings():
        # Warnings about odd metadata would end up in the middle of a progress bar.
        warnings.simplefilter("ignore")
        try:
            yield
        except (MemoryError, Image.DecompressionBombError) as error:
            raise ImageTooLargeError(_too_large(error)) from error
        except UnidentifiedImageError as error:
            raise _unidentified(head) from error
        except DECODER_ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the decoder's
            raise _undecodable(error) from error


def check_memory(size: tuple[int, int], image_format: str, mode: str = "RGB") -> None:
    """Raise `ImageTooLargeError` when decoding a picture of that size takes too much memory."""
    pixels = size[0] * size[1]
    needed = pixels * _BYTES_A_PIXEL.get(image_format, 8.0) * (3 if mode in _DEEP else 1)
    _check(size, needed)


def check_jpeg_memory(size: tuple[int, int], wanted: tuple[int, int], *, progressive: bool) -> None:
    """`check_memory` for a JPEG, which is decoded at 1/2, 1/4 or 1/8 where that is enough."""
    room = max(1, min(size[0] // wanted[0], size[1] // wanted[1]))
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= room)
    needed = (
        size[0]
        * size[1]
        * (_BYTES_A_PIXEL["JPEG"] / scale**2 + (_COEFFICIENTS if progressive else 0))
    )
    _check(size, needed)


def _check(size: tuple[int, int], needed: float) -> None:
    if needed > MAX_DECODE_BYTES:
        raise ImageTooLargeError(
            f"decoding {size[0]}x{size[1]} pixels takes {needed / 1e9:.1f} GB of memory; a photo "
            f"may take {MAX_DECODE_BYTES / 1e9:.1f}"
        )
    if needed > LARGE_DECODE_BYTES and _ask_for_room is not None:
        _ask_for_room(int(needed))


@contextmanager
def room_asked_for(ask: Callable[[int], None]) -> Iterator[None]:
    """Let `ask` wait for memory, in bytes, before a picture is decoded that takes much of it.

    For the whole process, as the memory is: there is one thread that decodes.
    """
    global _ask_for_room
    _ask_for_room = ask
    try:
        yield
    finally:
        _ask_for_room = None


def _too_large(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "decoding it needs more memory than the limit allows"
    return "more pixels than any limit allows"


def _unidentified(head: bytes) -> CorruptImageError:
    announced = sniff(head)
    if announced is None:
        return UnknownFormatError("the content is in no photo format that is supported")
    return CorruptImageError(f"the {announced} header is damaged or cut short")


def _undecodable(error: Exception) -> CorruptImageError:
    reason = f"{type(error).__name__}: {error}"[:_MAX_REASON]
    if isinstance(error, EOFError) or _CUT_SHORT.search(reason):
        return TruncatedImageError(f"the picture ends too early ({reason})")
    return CorruptImageError(f"the decoder gave up ({reason})")
