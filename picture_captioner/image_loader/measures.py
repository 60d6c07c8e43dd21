"""Numbers that tell photos apart: how sharp one is, and which look alike.

Both are measured on the picture at one small size, whatever its resolution, so that the values of
any two photos compare.
"""

from __future__ import annotations

from PIL import Image, ImageFilter, ImageStat

MEASURED_EDGE = 512
"""Pixels of the longer side at which sharpness is measured; smaller photos are enlarged, which
costs them sharpness as it should."""

HASH_BITS = 64

_LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
_LEAST_STEP = 2
"""Gray levels by which neighbours must differ: noise in a plain sky flips no bit."""


def sharpness(image: Image.Image) -> float:
    """The variance of the Laplacian over the gray picture, at least 0.

    After Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    factor = MEASURED_EDGE / max(image.size)
    size = (max(3, round(image.width * factor)), max(3, round(image.height * factor)))
    gray = image.convert("L").resize(size, Image.Resampling.LANCZOS)
    edges = gray.filter(_LAPLACIAN).crop((1, 1, size[0] - 1, size[1] - 1))
    return round(float(ImageStat.Stat(edges).var[0]), 3)


def perceptual_hash(image: Image.Image) -> int:
    """64 bits, few of which change when a picture is scaled or compressed again.

    The difference hash: each bit says whether brightness falls from one cell of a 9 x 8 grid to
    the next (Krawetz, "Kind of Like That", hackerfactor.com, 2013).
    """
    cells = image.convert("L").resize((9, 8), Image.Resampling.BOX, reducing_gap=3.0).tobytes()
    bits = 0
    for row in range(8):
        for left, right in zip(cells[row * 9 :], cells[row * 9 + 1 : row * 9 + 9], strict=False):
            bits = bits << 1 | (left - right > _LEAST_STEP)
    return bits
