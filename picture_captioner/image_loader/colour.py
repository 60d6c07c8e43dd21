"""Any pixel mode and any ICC profile to sRGB on a white ground, in a new image.

Re-saving a decoded image keeps metadata (a JPEG its comment, a TIFF its ICC text, a HEIF its EXIF
and XMP), so the pixels are pasted into an image that never had any.

The numbers of pictures in high dynamic range (PQ, HLG) mean light of up to 10,000 nits; taken for
sRGB they look washed out. White paper, 203 nits in both (ITU-R BT.2408), becomes nearly white, what
is up to three quarters as bright keeps its brightness, and what is brighter is pressed into the
rest.
"""

from __future__ import annotations

import functools
import io
import math

from PIL import Image, ImageCms

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


_EIGHT_BIT = {"1": "L", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "PA": "RGBA"}
_PROFILE_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
_CACHED_TRANSFORMS = 16
"""A library holds a handful of cameras. Building a CMYK transform takes longer than applying it."""


def resizable(image: Image.Image) -> Image.Image:
    """The image in a mode that can be resampled without harm: 8 bits a channel, no palette."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled_to_8_bits(image)
    if image.mode == "P" or (image.has_transparency_data and image.mode in {"L", "RGB"}):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    mode = _EIGHT_BIT.get(image.mode)
    return image.convert(mode) if mode else image


def clean_rgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Pixels as sRGB on white, in a new RGB image whose `info` is empty.

    Args:
        image: in a mode that `resizable` returns.
        icc_profile: what its numbers mean; sRGB when None, broken or for another colour space.
    """
    colour, alpha = _without_alpha(image)
    # Without an alpha channel every pixel is pasted over, and a ground is time lost.
    clean = Image.new("RGB", image.size, "white" if alpha else None)
    clean.paste(_to_srgb(colour, icc_profile), mask=alpha)
    return clean


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """High-depth gray to L: Pillow's own conversion would clip everything above 255 to white."""
    values = image.convert("I").convert("F") if image.mode != "F" else image
    low, high = values.getextrema()
    if not isinstance(low, float) or not isinstance(high, float):
        raise TypeError("a gray image has more than one channel")
    scale, offset = _gray_range(image.mode, low, high)
    return values.point(lambda value: value * scale + offset).convert("L")


def _gray_range(mode: str, low: float, high: float) -> tuple[float, float]:
    """Scale and offset that bring values into 0..255.

    16-bit files state no white level: 12 bits if the values fit (scanners, medical pictures),
    else 16. 32-bit and float files may use any range: the smallest usual one that holds them,
    else from their darkest to their brightest. The offset rounds: conversion to L cuts off.
    """
    usual = {"F": (1.0, 255.0, 4095.0, 65535.0), "I": (255.0, 4095.0, 65535.0)}
    whites = [white for white in usual.get(mode, (4095.0, 65535.0)) if high <= white]
    if low >= 0 and whites:
        return 255 / whites[0], 0.5
    scale = 255 / (high - low) if math.isfinite(high - low) and high > low else 1.0
    return scale, (0.5 - low * scale if math.isfinite(low) else 0.5)


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.mode == "RGBA":
        return image.convert("RGB"), image.getchannel("A")
    return image, None


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    if image.mode == "YCbCr":
        image = image.convert("RGB")
    transform = _transform_to_srgb(icc_profile, image.mode) if icc_profile else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return ImageCms.applyTransform(image, transform) or image


@functools.lru_cache(maxsize=_CACHED_TRANSFORMS)
def _transform_to_srgb(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None when the profile is unusable: the picture is still worth captioning."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        if profile.profile.xcolor_space != _PROFILE_SPACES.get(mode):
            return None
        return ImageCms.buildTransform(profile, _srgb(), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


@functools.lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
