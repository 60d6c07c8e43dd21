"""Small pictures that every decoder must be able to read: a check that it works where it runs."""

from __future__ import annotations

import io
from contextlib import suppress

import pillow_heif
from PIL import Image

from picture_captioner.errors import CorruptImageError, FormatUnavailableError
from picture_captioner.image_loader.decoding import decode
from picture_captioner.image_loader.jpeg import decode_jpeg, import_simplejpeg
from picture_captioner.image_loader.jxl import import_pylibjxl
from picture_captioner.image_loader.raw import import_rawpy

_SIDE, _EDGE = 160, 64
"""Made so large and wanted so small: a JPEG at half scale, and then the resizing."""

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "JPEG2000")
_JXL = bytes.fromhex(
    "ff0a67402408040100f8004b28b171310f874d613c9c6ea3a0a0a0a0a090034c1350ef6e8c417b4c4e6d16170850"
    "00909e100020c43f27e4ddedbcaa003306b6c4c516930ff0f7081a"
)
"""The same picture as a JPEG XL: pylibjxl's encoder starts a thread for every core."""


def import_all() -> None:
    """Import what Pillow and we import late, for a process that can import nothing later on."""
    from PIL import JpegPresets, MpoImagePlugin  # noqa: F401

    Image.preinit()
    import_rawpy()
    import_simplejpeg()
    with suppress(FormatUnavailableError):
        import_pylibjxl()


def samples() -> list[bytes]:
    """One picture in each format that can be written here."""
    picture = Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB")
    written = []
    for image_format in _FORMATS:
        buffer = io.BytesIO()
        picture.save(buffer, image_format)
        written.append(buffer.getvalue())
    if pillow_heif.libheif_info()["HEIF"]:  # the encoder's name; empty without one
        buffer = io.BytesIO()
        pillow_heif.from_pillow(picture).save(buffer)
        written.append(buffer.getvalue())
    with suppress(FormatUnavailableError):
        import_pylibjxl()
        written.append(_JXL)
    return written


def decode_samples(pictures: list[bytes]) -> None:
    """Decode them all, metadata too.

    Raises:
        CorruptImageError: one does not decode, or not to what it was.
    """
    for data in pictures:
        if data.startswith(b"\xff\xd8") and not _by_the_jpeg_library(data):
            raise CorruptImageError("the JPEG library does not decode a test picture")
        found = decode(data, _EDGE, with_metadata=True)
        if found.image.size != (_EDGE, _EDGE):
            raise CorruptImageError("a test picture came out in another size")


def _by_the_jpeg_library(data: bytes) -> bool:
    """Where there is one: Pillow would step in for it, and see less damage."""
    whole, wanted = (_SIDE, _SIDE), (_EDGE, _EDGE)
    if import_simplejpeg() is None:
        return True
    return decode_jpeg(data, whole, wanted, progressive=False) is not None
