"""Camera RAW through the JPEG that the camera embedded, with the `raw` extra (rawpy, LibRaw).

The preview is what the photographer saw on the display and decodes in a tenth of the time; a RAW
file without a usable one is developed at half its resolution.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from PIL import Image

from picture_captioner.errors import (
    CorruptImageError,
    FormatUnavailableError,
    ImageTooLargeError,
    TruncatedImageError,
    UnknownFormatError,
)
from picture_captioner.extras import how_to_install
from picture_captioner.image_loader.colour import clean_rgb
from picture_captioner.image_loader.decode_errors import (
    check_memory,
    decoder_errors,
)
from picture_captioner.image_loader.decoding import Decoded, decode, turn_upright
from picture_captioner.image_loader.resizing import fitting
from picture_captioner.image_loader.truncated import raw_damage
from picture_captioner.metadata.exif import from_raw

FORMAT = "RAW"

_EXIF_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}
"""LibRaw's `flip` in terms of EXIF: 3 upside down, 5 and 6 a quarter turn left and right."""

_SMALLEST_PREVIEW = 0.5
"""A preview under half of the wanted size is a thumbnail for a file list, not a picture."""


def decode_raw(data: bytes, edge: int, *, with_metadata: bool) -> Decoded:
    """A clean image from a RAW file; `width` and `height` are those of the sensor, upright.

    Metadata can be read where the file is built like a TIFF (CR2, NEF, ARW, DNG, ...).

    Raises:
        FormatUnavailableError: rawpy is not installed.
        CorruptImageError: or a subclass.
    """
    rawpy = _rawpy()
    if (broken := raw_damage(data)) is not None:
        raise broken
    with decoder_errors(data), _libraw_errors(rawpy), rawpy.imread(io.BytesIO(data)) as raw:
        width, height, orientation = _geometry(raw)
        wanted = max(fitting(width, height, edge))
        image = _preview(rawpy, raw, edge, orientation)
        if image is None or max(image.size) < wanted * _SMALLEST_PREVIEW:
            # Half the resolution halves the work four times over; LibRaw turns it upright itself.
            image = _shrunk(raw.postprocess(half_size=True, use_camera_wb=True), edge)
        metadata = from_raw(data) if with_metadata else None
        return Decoded(image, width, height, FORMAT, metadata)


def probe_raw(data: bytes) -> tuple[int, int, str]:
    """Upright width and height of the sensor's picture, and "RAW"; errors as in `decode_raw`."""
    rawpy = _rawpy()
    with decoder_errors(data), _libraw_errors(rawpy), rawpy.imread(io.BytesIO(data)) as raw:
        width, height, _ = _geometry(raw)
        return width, height, FORMAT


def import_rawpy() -> None:
    """Import rawpy, if it is there, for a process that can import nothing later on."""
    with suppress(FormatUnavailableError):
        _rawpy()


def _rawpy() -> ModuleType:
    try:
        import rawpy
    except ModuleNotFoundError as error:
        if error.name != "rawpy":
            raise
        raise FormatUnavailableError(
            f"RAW photos need the raw extra: {how_to_install('raw')}"
        ) from error
    module: ModuleType = rawpy
    return module


@contextmanager
def _libraw_errors(rawpy: Any) -> Iterator[None]:
    try:
        yield
    except (MemoryError, rawpy.LibRawTooBigError, rawpy.LibRawUnsufficientMemoryError) as error:
        raise ImageTooLargeError("developing it needs more memory than the limit allows") from error
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnknownFormatError("the content is in no RAW format that LibRaw knows") from error
    except (rawpy.LibRawIOError, rawpy.LibRawDataError) as error:
        raise TruncatedImageError(f"the RAW data end too early ({_reason(error)})") from error
    except rawpy.LibRawError as error:
        raise CorruptImageError(f"LibRaw gave up ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """LibRaw's words, which rawpy passes on as bytes."""
    words = error.args[0] if error.args else type(error).__name__
    return words.decode("ascii", "replace") if isinstance(words, bytes) else str(words)


def _geometry(raw: Any) -> tuple[int, int, int]:
    """Upright width and height in pixels, and the EXIF orientation that the sensor data need."""
    sizes = raw.sizes
    orientation = _EXIF_ORIENTATION.get(sizes.flip, 1)
    width, height = (int(sizes.width), int(sizes.height))
    check_memory((width, height), FORMAT)
    return (height, width, orientation) if orientation >= 5 else (width, height, orientation)


def _preview(rawpy: Any, raw: Any, edge: int, orientation: int) -> Image.Image | None:
    """The embedded preview; None when there is none or it is broken.

    Its own EXIF orientation wins, for some cameras turn the preview and not the sensor data.
    """
    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    if thumbnail.format == rawpy.ThumbFormat.BITMAP:
        return turn_upright(_shrunk(thumbnail.data, edge), orientation)
    try:
        return decode(thumbnail.data, edge, orientation=orientation).image
    except CorruptImageError:
        return None


def _shrunk(pixels: Any, edge: int) -> Image.Image:
    """A clean image from an array (height, width, 3) of 8-bit sRGB."""
    image = Image.fromarray(pixels)
    size = fitting(*image.size, edge)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return clean_rgb(image, None)
