"""Any pixel mode and any ICC profile to sRGB on a white ground, in a new image.

Re-saving a decoded image keeps metadata (a JPEG its comment, a TIFF its ICC text, a HEIF its EXIF
and XMP), so the pixels are pasted into an image that never had any.
"""

from __future__ import annotations

import functools
import io
import math

from PIL import Image, ImageCms

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
