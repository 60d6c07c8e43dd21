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
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from picture_captioner.errors import (
    CorruptImageError,
    ImageTooLargeError,
    TruncatedImageError,
    UnknownFormatError,
)
from picture_captioner.image_loader.formats import sniff

MAX_PIXELS = 178_956_970
"""Pixels that a photo may have (a 13,377-pixel square): Pillow's own error limit, kept."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow warns above this and raises above twice this

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


def check_pixels(width: int, height: int) -> None:
    """Raise `ImageTooLargeError` when a header promises more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"{width}x{height} pixels are over the limit of {MAX_PIXELS // 10**6} megapixels"
        )


def _too_large(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "decoding it needs more memory than the limit allows"
    return f"more pixels than the limit of {MAX_PIXELS // 10**6} megapixels"


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
