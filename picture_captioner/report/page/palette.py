"""Colours for clusters that can be told apart on white and on black.

Farthest-point sampling: each colour is the one, of a grid in OKLCH, that is farthest in OKLab from
all before it and from the grey of noise. OKLab (Ottosson 2020) makes distances even to the eye.
Lightness stays between 0.50 and 0.82, so that every colour shows on both backgrounds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

SIZE = 72
NOISE_LAB = (0.68, 0.0, 0.0)

_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def linear_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab to linear sRGB, both of shape (n, 3)."""
    return np.asarray((lab @ _TO_LMS.T) ** 3 @ _TO_RGB.T)


def hex_colours(lab: NDArray[np.float64]) -> list[str]:
    """OKLab of shape (n, 3) as `#rrggbb`."""
    linear = linear_rgb(lab).clip(0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.round(rgb * 255).astype(int).tolist()]


def _candidates() -> NDArray[np.float64]:
    """A grid of OKLab colours that sRGB can show, shape (n, 3)."""
    lightness, chroma, hue = np.meshgrid(
        np.linspace(0.50, 0.82, 9), np.linspace(0.07, 0.21, 6), np.radians(np.arange(0, 360, 5))
    )
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1).reshape(-1, 3)
    linear = linear_rgb(lab)
    return np.asarray(lab[((linear >= 0) & (linear <= 1)).all(axis=1)])


@functools.cache
def oklab_palette() -> NDArray[np.float64]:
    """`SIZE` colours in OKLab, the most different first, shape (SIZE, 3)."""
    grid = _candidates()
    chosen = [np.array([0.62, -0.04, -0.15])]  # a blue to begin with
    distance = np.linalg.norm(grid - np.array(NOISE_LAB), axis=1)
    while len(chosen) < SIZE:
        distance = np.minimum(distance, np.linalg.norm(grid - chosen[-1], axis=1))
        chosen.append(grid[int(distance.argmax())])
    return np.array(chosen)


def colours(cluster_ids: Iterable[int]) -> dict[int, str]:
    """A colour for each cluster; no two alike up to `SIZE` clusters.

    It depends on the cluster's id first, so that a cluster keeps its colour from run to run.
    """
    palette = hex_colours(oklab_palette())
    taken: dict[int, str] = {}
    free = set(range(SIZE))
    for cluster in sorted(set(cluster_ids)):
        free = free or set(range(SIZE))
        place = next(p for step in range(SIZE) if (p := (cluster + step) % SIZE) in free)
        free.discard(place)
        taken[cluster] = palette[place]
    return taken
