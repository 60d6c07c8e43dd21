"""Photos drawn from a seed: many small ones that differ, and large ones with photos' spectrum."""

from __future__ import annotations

import io
import random
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

from picture_captioner.image_loader import decoding  # noqa: F401 - lets Pillow read and write HEIF

TWELVE_MEGAPIXELS = (4032, 3024)
"""What phones have taken for ten years; a quarter of it falls just short of 1,024 pixels."""


def photo_like(size: tuple[int, int], seed: int, grain: float = 0.05) -> Image.Image:
    """A picture with what makes photos hard to compress and to shrink.

    Its amplitudes fall with frequency (noise of ever finer cells, each at half the weight), shapes
    have sharp edges, and over all lies a sensor's grain, `grain` of its amplitude.
    """
    rng = random.Random(seed)  # noqa: S311 - a picture, no secret
    picture = _cells(rng, size, size[0] // 2)
    for divisor in (4, 8, 16, 32, 64, 128, 256):
        picture = Image.blend(picture, _cells(rng, size, size[0] // divisor), 0.5)
    _draw_shapes(rng, picture)
    return Image.blend(picture, _cells(rng, size, size[0]), grain)


def _cells(rng: random.Random, size: tuple[int, int], columns: int) -> Image.Image:
    """Noise of so many cells across, without steps between them."""
    columns = max(2, columns)
    cells = (columns, max(2, columns * size[1] // size[0]))
    noise = Image.frombytes("RGB", cells, rng.randbytes(cells[0] * cells[1] * 3))
    return noise if cells == size else noise.resize(size, Image.Resampling.BICUBIC)


def _draw_shapes(rng: random.Random, picture: Image.Image) -> None:
    """Some hundred ellipses and strokes, most of them small."""
    draw = ImageDraw.Draw(picture)
    for number in range(300):
        x, y = rng.randrange(picture.width), rng.randrange(picture.height)
        reach = 1 + int(picture.width * rng.random() ** 4 / 6)
        colour = tuple(rng.randbytes(3))
        if number % 2:
            draw.ellipse((x, y, x + reach, y + reach), fill=colour)
        else:
            draw.line((x, y, x + reach, y + reach // 2), fill=colour, width=1 + reach // 40)


def draw_mixture(folder: Path, count: int, size: tuple[int, int]) -> None:
    """JPEGs, every tenth photo a HEIC: two pictures, told apart by bytes that decoders pass over.

    Drawing and encoding 400 would take longer than decoding them does.
    """
    picture = photo_like(size, seed=1)
    jpeg, heic = io.BytesIO(), io.BytesIO()
    picture.save(jpeg, "JPEG", quality=90, subsampling="4:2:0")
    picture.save(heic, "HEIF", quality=50, tile_size=512, enc_params={"preset": "ultrafast"})
    for number in range(count):
        path = folder / f"{number // 100:03d}" / f"{number:06d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = number.to_bytes(4)
        if number % 10:
            comment = b"\xff\xfe" + (2 + len(mark)).to_bytes(2) + mark
            path.with_suffix(".jpg").write_bytes(
                jpeg.getvalue()[:2] + comment + jpeg.getvalue()[2:]
            )
        else:
            box = (8 + len(mark)).to_bytes(4) + b"free" + mark
            path.with_suffix(".heic").write_bytes(heic.getvalue() + box)


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
