"""From a photo's file to a clean image of 1,024 pixels, in two ways, and how alike the two are."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageStat

from benchmarks.contest import Contender, Sample
from benchmarks.cores import use_cores
from picture_captioner.image_loader.loading import load_image
from picture_captioner.pipeline.decoding.decoder_worker import keep_freed_memory

EDGE = 1024
_LEAST_DECIBELS, _MOST_DECIBELS = 30.0, 99.0


def going(way: Callable[[Path], Image.Image], path: Path, photos: int) -> Contender:
    """Makes so many images on one core; one before, so that no memory is touched the first time."""

    def prepare() -> Callable[[], Any]:
        use_cores(1)
        keep_freed_memory()  # as decoder processes do; the contender may, too
        way(path)

        def timed() -> tuple[tuple[int, int], bytes]:
            for _ in range(photos):
                image = way(path)
            return image.size, image.tobytes()

        return timed

    return prepare


def by_pillow(path: Path) -> Image.Image:
    """Full decode, upright, thumbnail with Lanczos."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
    image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    return image


def by_program(path: Path, *, allow_reduced: bool = False) -> Image.Image:
    """As a decoder process does it."""
    image = load_image(path, EDGE, allow_reduced=allow_reduced).image
    if image is None:
        raise RuntimeError("no pixels")
    return image


def image_of(sample: Sample) -> Image.Image:
    """What a contender of `going` came to."""
    size, pixels = sample.result
    return Image.frombytes("RGB", size, pixels)


def psnr(left: Image.Image, right: Image.Image) -> float:
    """10 log10(255^2 / mean squared difference) over the three channels, in dB; 99 when equal.

    Raises `RuntimeError` when these cannot be the same picture.
    """
    if left.size != right.size:
        raise RuntimeError(f"one has {left.size} pixels, the other {right.size}")
    squares = ImageStat.Stat(ImageChops.difference(left, right))
    mean = sum(squares.sum2) / sum(squares.count)
    decibels = round(10 * math.log10(255**2 / mean), 1) if mean else _MOST_DECIBELS
    if decibels < _LEAST_DECIBELS:
        raise RuntimeError(f"the contenders' pictures agree by {decibels} dB only")
    return decibels
