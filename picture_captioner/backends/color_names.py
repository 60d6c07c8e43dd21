"""The words people use for colours, and which of them is nearest to a pixel.

Compared in CIELAB, where distance follows what people see (CIE 15:2004).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

_NAMED_COLORS = {
    "black": "101012", "dark grey": "484848", "grey": "858585", "light grey": "bfbfbf",
    "white": "f8f8f8", "dark red": "701c1c", "red": "cc2a26 ff0000", "salmon": "e8876f",
    "dark brown": "40291b", "brown": "7d522f", "sandy brown": "c09a6a", "beige": "e2d0ae",
    "cream": "f6ead0", "orange": "ec8426", "golden yellow": "e9b93c", "yellow": "f2e24a ffff00",
    "olive": "75702f", "dark green": "24402a", "green": "3f8a3c 00b000",
    "light green": "9ecb72 00ff00", "pale green": "cfe2bd", "grey-green": "8a9c84",
    "teal": "2a7a7a", "turquoise": "4cc6c2 00ffff", "pale blue": "c2dcee",
    "sky blue": "74aee0 87ceeb", "blue": "2e68c8 0000ff", "deep blue": "1c2f6e 000080",
    "midnight blue": "12142e", "grey-blue": "74889e", "lavender": "b4aad8",
    "purple": "7246a4 800080", "dark purple": "3c1f44", "magenta": "c4307e ff00ff",
    "pink": "ef93b8", "pale pink": "f4d3da", "mauve": "946680",
}  # fmt: skip
"""Hex codes per name. Some have a second one for screen colours, where CIELAB strays: it puts pure
navy nearer to purple than to a photographed deep blue."""


class Lab(NamedTuple):
    """A colour in CIELAB, D65: lightness 0..100, green to red, blue to yellow."""

    lightness: float
    a: float
    b: float

    def distance(self, other: Lab) -> float:
        """Difference to the eye; lightness counts less, as it does when people name colours."""
        lightness = 0.7 * (self.lightness - other.lightness)
        return float((lightness**2 + (self.a - other.a) ** 2 + (self.b - other.b) ** 2) ** 0.5)


def lab(red: int, green: int, blue: int) -> Lab:
    """CIELAB of an sRGB colour, each channel 0..255 (IEC 61966-2-1, CIE 15:2004)."""
    r, g, b = (
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (red / 255, green / 255, blue / 255)
    )
    x, y, z = (
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in (
            (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
            0.2126 * r + 0.7152 * g + 0.0722 * b,
            (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
        )
    )
    return Lab(116 * y - 16, 500 * (x - y), 200 * (y - z))


_ANCHORS = [
    (lab(*bytes.fromhex(code)), name)
    for name, codes in _NAMED_COLORS.items()
    for code in codes.split()
]
COLORS = {name: lab(*bytes.fromhex(codes[:6])) for name, codes in _NAMED_COLORS.items()}
"""The typical colour of each name."""


@functools.lru_cache(maxsize=4096)
def color_name(red: int, green: int, blue: int) -> str:
    """The nearest name in the table for an sRGB colour, each channel 0..255."""
    color = lab(red, green, blue)
    return min(_ANCHORS, key=lambda anchor: color.distance(anchor[0]))[1]
