"""A photo as the bytes that a provider receives: one JPEG with nothing in it but pixels.

Written once per photo, by the decoder processes where a backend asks for it, because encoding
costs several milliseconds during which Pillow lets no other thread work.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import msgspec

from picture_captioner.errors import ApiError

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_JPEG_QUALITY = 85
SMALLEST_JPEG_QUALITY = 40
"""Below this, blocks and rings show up in captions as textures that are not there."""


def encode_jpeg(
    image: Image, *, quality: int = DEFAULT_JPEG_QUALITY, max_bytes: int | None = None
) -> bytes:
    """The picture as a JPEG without metadata.

    Args:
        image: any mode; what is not RGB is converted. One that the decoders have encoded already
            (`CaptionBackend.ready_jpeg`) brings its bytes along.
        quality: Pillow's scale, 1 to 95.
        max_bytes: what the provider accepts. Quality is lowered in steps to get below it.

    Raises:
        ApiError: (`too_large`) no quality worth sending gets below `max_bytes`.
    """
    ready: bytes = image.info.get("jpeg", b"")
    fits = max_bytes is None or len(ready) <= max_bytes
    if ready and fits and image.info.get("jpeg_quality") == quality:
        return ready
    pixels = _bare(image)
    steps = [quality, *range(quality - 15, SMALLEST_JPEG_QUALITY - 1, -15)]
    for step in steps:
        jpeg = _save(pixels, step)
        if max_bytes is None or len(jpeg) <= max_bytes:
            return jpeg
    raise ApiError(
        f"the {image.width}x{image.height} picture is larger than the {max_bytes:,} bytes that "
        "the provider accepts; use a smaller --max-edge",
        code="too_large",
    )


def data_url(jpeg: bytes) -> str:
    """JPEG bytes as a `data:` URL (RFC 2397)."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def json_data_url(jpeg: bytes) -> msgspec.Raw:
    """`data_url` as it stands in JSON: base64 has no character that would need escaping."""
    return msgspec.Raw(b'"data:image/jpeg;base64,%b"' % base64.b64encode(jpeg))


def _bare(image: Image) -> Image:
    """As RGB, with an empty `info`: Pillow writes a comment it finds there into the JPEG."""
    if image.mode == "RGB" and not image.info:
        return image
    pixels = image.convert("RGB") if image.mode != "RGB" else image.copy()
    pixels.info = {}
    return pixels


def _save(image: Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
