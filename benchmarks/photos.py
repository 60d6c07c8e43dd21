"""Photos that differ, drawn from a seed: identical ones would be captioned once."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageChops


def draw_photos(folder: Path, count: int, edge: int) -> list[Path]:
    """JPEGs of `edge` x 3/4 `edge` pixels; at 1,024 each has about 150 KB when it is sent.

    One noisy picture, shifted by another few pixels for each.

    Raises:
        ValueError: so small a picture cannot be shifted in so many ways.
    """
    size = (edge, edge * 3 // 4)
    if count > size[0] * size[1] // 8:
        raise ValueError(f"{count} photos of {edge} pixels would not all differ")
    picture = _noisy(size)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(count):
        path = folder / f"{i:06d}.jpg"
        shifted = ImageChops.offset(picture, 8 * i % size[0], 8 * i // size[0])
        shifted.save(path, quality=85)
        paths.append(path)
    return paths


def _noisy(size: tuple[int, int]) -> Image.Image:
    rng = random.Random(1)  # noqa: S311 - a picture, no secret
    small = Image.frombytes("RGB", (32, 24), rng.randbytes(32 * 24 * 3))
    grain = Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3))
    return Image.blend(small.resize(size, Image.Resampling.BICUBIC), grain, 0.12)
