"""Pictures in high dynamic range (PQ, HLG) as a screen in sRGB shows them.

Their numbers mean light of up to 10,000 nits; taken for sRGB they look washed out. White paper, 203
nits in both (ITU-R BT.2408), becomes nearly white, what is up to three quarters as bright keeps its
brightness, and what is brighter is pressed into the rest.
"""

from __future__ import annotations

import functools
import math

from PIL import Image

PQ, HLG = 16, 18
"""Transfer characteristics of ITU-T H.273: SMPTE ST 2084, and ARIB STD-B67."""

_BT_2020 = 9
_WHITE = 203.0
_KEPT = 0.75

_BT_2020_TO_SRGB = (
    *(1.6605, -0.5876, -0.0728, 0),
    *(-0.1246, 1.1329, -0.0083, 0),
    *(-0.0182, -0.1006, 1.1187, 0),
)
"""ITU-R BT.2087, applied to what is coded for sRGB already: vivid colours are off by some 14 of
255, and Pillow does it."""


def to_sdr(image: Image.Image, transfer: int, primaries: int) -> Image.Image:
    """An RGB or RGBA image as sRGB; itself if it is in neither PQ nor HLG."""
    if transfer not in {PQ, HLG} or image.mode not in {"RGB", "RGBA"}:
        return image
    shown = image.convert("RGB").point(_curve(transfer) * 3)
    if primaries == _BT_2020:
        shown = shown.convert("RGB", _BT_2020_TO_SRGB)
    if image.mode == "RGBA":
        shown.putalpha(image.getchannel("A"))
    return shown


@functools.cache
def _curve(transfer: int) -> list[int]:
    """What each of the 256 codes becomes."""
    nits = _pq_nits if transfer == PQ else _hlg_nits
    return [round(255 * _coded(_pressed(nits(code / 255) / _WHITE))) for code in range(256)]


def _pq_nits(signal: float) -> float:
    """SMPTE ST 2084."""
    powered = signal ** (32 / 2523)
    scene = max(powered - 0.8359375, 0) / (18.8515625 - 18.6875 * powered)
    return 10000.0 * math.pow(scene, 16384 / 2610)


def _hlg_nits(signal: float) -> float:
    """On a screen of 1,000 nits (ITU-R BT.2100); its gamma for each channel alone."""
    bright = (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return 1000.0 * math.pow(signal**2 / 3 if signal <= 0.5 else bright, 1.2)


def _pressed(light: float) -> float:
    over = max(light - _KEPT, 0) / (1 - _KEPT)
    return min(light, _KEPT) + (1 - _KEPT) * (1 - math.exp(-over))


def _coded(light: float) -> float:
    """The curve of sRGB (IEC 61966-2-1)."""
    return 1.055 * light ** (1 / 2.4) - 0.055 if light > 0.0031308 else 12.92 * light
