"""JPEG XL for Pillow, with libjxl (pylibjxl), on the platforms that it has wheels for.

The plugin that comes with pylibjxl decodes with a thread for every core and knows no limits; here
several photos are decoded at once, each by one thread. libjxl turns a picture upright itself, and
takes a file that ends too early, or holds zeros, for damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image, ImageFile

from picture_captioner.errors import FormatUnavailableError

FORMAT = "JXL"
_MODES = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}
_EXIF_OFFSET_BYTES = 4  # ISO/IEC 18181-2: where the TIFF header begins, counted from behind it


def import_pylibjxl() -> Any:
    """The library.

    Raises:
        FormatUnavailableError: it is not installed; there are no wheels for Linux on ARM.
    """
    try:
        import pylibjxl
    except ModuleNotFoundError as error:
        if error.name != "pylibjxl":
            raise
        raise FormatUnavailableError("JPEG XL needs pylibjxl: pip install pylibjxl") from error
    return pylibjxl


class JxlImageFile(ImageFile.ImageFile):
    """A JPEG XL picture whose pixels are decoded when they are asked for; the first frame."""

    format = FORMAT
    format_description = "JPEG XL"

    def _open(self) -> None:
        assert self.fp is not None  # noqa: S101 - Pillow's own plugins say so to mypy
        self._data = self.fp.read()
        header = import_pylibjxl().probe(self._data)
        self._size = (header["width"], header["height"])
        self._mode = _MODES[(header["color_channels"], header["has_alpha"])]
        self._decoded = False

    def load(self) -> Any:
        """Decode, with what is written in the file."""
        if not self._decoded:
            pixels, written = import_pylibjxl().JXL(threads=1).decode(self._data, metadata=True)
            self.im = Image.fromarray(pixels, self.mode).im
            self._size = self.im.size
            self._decoded = True
            self.info |= {name: written[name] for name in ("xmp",) if name in written}
            if profile := written.get("icc") or written.get("icc_profile"):
                self.info["icc_profile"] = profile
            if exif := written.get("exif"):
                self.info["exif"] = _tiff(exif)
        return Image.Image.load(self)


def _tiff(block: bytes) -> bytes:
    """An Exif box without the offset at its beginning."""
    offset = int.from_bytes(block[:_EXIF_OFFSET_BYTES])
    return block[_EXIF_OFFSET_BYTES + offset :]


def _accept(head: bytes) -> bool:
    return head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"))


_factory: Callable[..., Any] = JxlImageFile
Image.register_open(FORMAT, _factory, _accept)
