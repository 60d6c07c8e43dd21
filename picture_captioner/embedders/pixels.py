"""Colour, texture and layout, measured with numpy: the embedder that always works.

It finds photos that look alike, and cannot know that a dog on snow and a dog on grass are both
dogs. Four blocks, each of length 1, so that a cosine is the weighted mean of four cosines:

    colours   how much of each hue, and of each grey    soft histogram in CIE Lab
    layout    which colour is where                     mean Lab of 6 x 6 fields
    texture   which edges are where                     gradient orientations of 4 x 4 fields
    detail    fine or coarse, smooth or rough           uniform local binary patterns, two scales

Sources: HOG (Dalal & Triggs 2005) with square roots in place of clipping, after Arandjelovic &
Zisserman 2012; LBP (Ojala, Pietikainen & Maenpaa 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling

from picture_captioner.embedders.base import Embedder
from picture_captioner.embedders.vectors import stacked, unit_rows

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.floating[Any]]
"""float32 where it counts; numpy's histograms sum in float64."""

VERSION = 2
"""Raise it with every change of the numbers: vectors are stored under it."""

SIDE = 96
"""Pixels of the square that is measured; at 96, edges of faces and leaves still show."""
COLOR_SIDE = 48
LAYOUT_FIELDS = 6
TEXTURE_FIELDS = 4
ORIENTATIONS = 8
HUES = 12
CHROMAS = (12.0, 40.0)
"""Lab chroma: below the first a colour counts as grey, above the second as vivid."""
GREYS = 6
FLAT = 0.004
"""Added to a field's gradients: noise in flat sky does not become texture."""

WEIGHTS = {"colours": 0.35, "layout": 0.35, "texture": 0.2, "detail": 0.1}

RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
) / np.array([[0.95047], [1.0], [1.08883]], np.float32)
"""sRGB to XYZ, divided by the D65 white (IEC 61966-2-1)."""

_LEVELS = np.arange(256, dtype=np.float32) / 255
LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
"""Linear light of each of the 256 levels of sRGB."""


def _uniform_codes() -> NDArray[np.int64]:
    """Map the 256 patterns of 8 neighbours to 10 kinds: bits set if uniform, else the tenth."""
    codes = np.full(256, 9, np.int64)
    for pattern in range(256):
        bits = [pattern >> i & 1 for i in range(8)]
        if sum(bits[i] != bits[i - 1] for i in range(8)) <= 2:
            codes[pattern] = sum(bits)
    return codes


UNIFORM = _uniform_codes()
AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


class PixelsEmbedder(Embedder):
    """What photos look like: colours, where they are, and texture."""

    name = "pixels"
    goes_by = "colours, texture and layout, not by what the photos show"
    preferred_edge = None
    embeds_images = True

    dimension = (
        HUES * len(CHROMAS) + GREYS + LAYOUT_FIELDS**2 * 3 + TEXTURE_FIELDS**2 * ORIENTATIONS + 20
    )

    @property
    def identity(self) -> str:
        """`pixels:2`."""
        return f"{self.name}:{VERSION}"

    def embed_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Vectors of RGB images, shape (n, 286). A blank image has a colour and a layout."""
        return stacked([unit_rows(describe(image)[None]) for image in images], self.dimension)


def describe(image: Image) -> Floats:
    """The four blocks of one image, shape (dim,)."""
    square = image.convert("RGB").resize((SIDE, SIDE), Resampling.BOX, reducing_gap=2.0)
    lab = to_lab(np.asarray(square.resize((COLOR_SIDE, COLOR_SIDE), Resampling.BOX)))
    grey = np.asarray(square.convert("L"), np.float32) / 255
    blocks = {
        "colours": colours(lab),
        "layout": layout(lab),
        "texture": texture(grey),
        "detail": detail(grey),
    }
    return np.concatenate([_unit(blocks[name]) * np.sqrt(WEIGHTS[name]) for name in WEIGHTS])


def to_lab(rgb: NDArray[np.uint8]) -> Floats:
    """CIE Lab under D65, shape (h, w, 3), L 0 to 100."""
    xyz = LINEAR[rgb] @ RGB_TO_XYZ.T
    curve = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(curve, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def colours(lab: Floats) -> Floats:
    """Square roots of the share of each hue, pale and vivid, and of each grey."""
    light, a, b = lab.reshape(-1, 3).T
    chroma = np.hypot(a, b)
    hue = np.arctan2(b, a) * (HUES / (2 * np.pi)) % HUES
    colourful = np.clip(chroma / CHROMAS[0], 0, 1)
    vivid = np.clip((chroma - CHROMAS[0]) / (CHROMAS[1] - CHROMAS[0]), 0, 1)
    pale_hues = _shares(hue, colourful * (1 - vivid), HUES, wraps=True)
    vivid_hues = _shares(hue, colourful * vivid, HUES, wraps=True)
    greys = _shares(light / 100 * (GREYS - 1), 1 - colourful, GREYS, wraps=False)
    return np.sqrt(np.concatenate([pale_hues, vivid_hues, greys]) / light.size)


def layout(lab: Floats) -> Floats:
    """Mean colour of each field; half as much for lightness, which changes with the exposure."""
    fields = lab.reshape(LAYOUT_FIELDS, COLOR_SIDE // LAYOUT_FIELDS, LAYOUT_FIELDS, -1, 3)
    means = fields.mean(axis=(1, 3)) - np.array([50, 0, 0], np.float32)
    weighted: Floats = means * np.array([0.5, 1, 1], np.float32)
    return weighted.ravel()


def texture(grey: Floats) -> Floats:
    """Square roots of the gradients of each field by orientation, half as much across fields."""
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    place = np.arctan2(down, right) % np.pi * (ORIENTATIONS / np.pi)
    field = np.arange(SIDE) * TEXTURE_FIELDS // SIDE
    offset = (field[:, None] * TEXTURE_FIELDS + field) * ORIENTATIONS
    low = np.floor(place).astype(np.int64)
    share = place - low
    length = TEXTURE_FIELDS**2 * ORIENTATIONS
    sums = np.zeros(length)
    for part, weight in ((low, 1 - share), (low + 1, share)):
        index = (offset + part % ORIENTATIONS).ravel()
        sums += np.bincount(index, (weight * strength).ravel(), length)
    pixels = (SIDE / TEXTURE_FIELDS) ** 2
    return np.sqrt(sums / pixels + FLAT).astype(np.float32)


def detail(grey: Floats) -> Floats:
    """Square roots of the share of each kind of local pattern, at full and half size."""
    half = grey.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
    return np.concatenate([_patterns(grey), _patterns(half)])


def _patterns(grey: Floats) -> Floats:
    height, width = grey.shape
    centre = grey[1:-1, 1:-1] + np.float32(0.02)  # 5 levels: sensor noise is no pattern
    code = np.zeros(centre.shape, np.int64)
    for bit, (y, x) in enumerate(AROUND):
        code |= (grey[y : y + height - 2, x : x + width - 2] > centre).astype(np.int64) << bit
    counts = np.bincount(UNIFORM[code].ravel(), minlength=10)
    return np.sqrt(counts / code.size).astype(np.float32)


def _shares(place: Floats, weight: Floats, bins: int, *, wraps: bool) -> Floats:
    """Sum `weight` into the two bins around each `place`, the nearer the more."""
    low = np.floor(place).astype(np.int64)
    share = place - low
    high = (low + 1) % bins if wraps else np.minimum(low + 1, bins - 1)
    sums = np.bincount(low % bins, weight * (1 - share), bins)
    sums += np.bincount(high, weight * share, bins)
    return sums.astype(np.float32)


def _unit(block: Floats) -> Floats:
    length = float(np.linalg.norm(block))
    return block / np.float32(length) if length else block
