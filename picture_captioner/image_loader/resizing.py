"""Lanczos, with the processor's vector instructions where they can be had.

Of the 62 ms that a 12-megapixel JPEG took, Pillow's resize of the half-size decode was 39; the
same filter in cykooz-resizer takes 5. The two round differently, by at most two levels of 255,
and cut off differently what overshoots black or white between the passes.
"""

from __future__ import annotations

import PIL
from PIL import Image

try:
    import cykooz_resizer
except ImportError:  # no wheel for this platform: Pillow can do it
    cykooz_resizer = None

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""

LEAST_SIDE = 28
"""Pixels. Qwen2.5-VL's patches are 28 a side; under that, its servers answer 500 or fail."""

_TRIED_PILLOW = "13."
"""The resizer reads Pillow's C structures, whose layout may change with a major version."""

_VECTORS = cykooz_resizer is not None and PIL.__version__.startswith(_TRIED_PILLOW)
_VECTOR_MODES = {"L", "RGB"}
_WORTH_IT = 100_000
"""Pixels to resize. From 1024 pixels of the longer side to 512 it is 1.6 ms for 10; below there is
nothing to gain, and small pictures look the same to the last bit with and without vectors."""

_REDUCING_GAP = 3.0
"""Pillow averages big pictures down to 3 times the target first: as good to the eye, and faster."""


def resize(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """The picture, or the part of it in `box`, at `size` pixels, by Lanczos."""
    pixels = image.width * image.height
    if _VECTORS and image.mode in _VECTOR_MODES and pixels >= _WORTH_IT:
        return _resize_with_vectors(image, size, box or (0.0, 0.0, *image.size))
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)


def roomy(image: Image.Image, edge: int) -> Image.Image:
    """The picture with at least `LEAST_SIDE` pixels a side, where `edge` allows so many.

    A small one is enlarged; what is still too narrow then is centred on a ground of its own colour:
    6000x60 shrinks to 1024x10, which no vision model takes.
    """
    least = LEAST_SIDE
    if edge < least or min(image.size) >= least:
        return image
    factor = min(least / min(image.size), max(edge / max(image.size), 1.0))
    if factor > 1.0:
        size = (round(image.width * factor), round(image.height * factor))
        image = image.resize(size, Image.Resampling.LANCZOS)
    if min(image.size) >= least:
        return image
    ground = image.resize((1, 1), Image.Resampling.BOX)
    padded = ground.resize((max(image.width, least), max(image.height, least)))
    padded.paste(image, ((padded.width - image.width) // 2, (padded.height - image.height) // 2))
    return padded


def _resize_with_vectors(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    left, top, right, bottom = box
    options = cykooz_resizer.ResizeOptions(
        cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.lanczos3)
    )
    options.crop_box = cykooz_resizer.CropBox(left, top, right - left, bottom - top)
    result = Image.new(image.mode, size)
    cykooz_resizer.Resizer().resize_pil(image, result, options)
    return result


def fitting(width: int, height: int, edge: int) -> tuple[int, int]:
    """The size with the longer side at most `edge`, never larger than the picture itself."""
    longer = max(width, height)
    if longer <= edge:
        return width, height
    return max(1, round(width * edge / longer)), max(1, round(height * edge / longer))


def reduced(image: Image.Image, edge: int) -> Image.Image:
    """The image with its longer side at most `edge` pixels; itself if it is no larger."""
    size = fitting(*image.size, edge)
    return image if size == image.size else resize(image, size)
