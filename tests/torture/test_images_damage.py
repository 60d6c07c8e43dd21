"""A sweep of damage over every format: zero tails, holes, blocks twice or swapped, cuts.

Real photos beside the repository
are used where they are; without them it re-encodes one of the examples.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from picture_captioner.errors import CorruptImageError
from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS
from picture_captioner.image_loader.loading import load_image

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "photos"
EXAMPLE = ROOT / "examples" / "photos" / "2024-07-lake"
BLOCK = 4096
EVERY = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
LAYOUTS = {
    "JPEG": ("JPEG", {"quality": 90}, "nature/silver_fir.jpg"),
    "JPEG optimized": ("JPEG", {"quality": 90, "optimize": True}, None),
    "JPEG progressive": ("JPEG", {"quality": 90, "progressive": True}, None),
    "HEIC": ("HEIF", {"quality": 80}, "formats/IMG_2682.heic"),
    "AVIF": ("AVIF", {"quality": 75}, "formats/8bit-sRGB.avif"),
    "PNG": ("PNG", {}, "formats/density_plot.png"),
    "WebP": ("WEBP", {"quality": 80}, "formats/denali.webp"),
    "WebP lossless": ("WEBP", {"lossless": True}, None),
    "GIF": ("GIF", {}, None),
    "TIFF lzw": ("TIFF", {"compression": "tiff_lzw"}, None),
    "TIFF deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}, None),
}
ALL_ZERO_TAILS = {"JPEG", "JPEG optimized", "JPEG progressive", "HEIC", "AVIF", "PNG", "WebP"}


def files_of(layout):
    pillow_heif.register_heif_opener()
    image_format, options, real = LAYOUTS[layout]
    with Image.open(sorted(EXAMPLE.glob("*.jpg"))[0]) as source:
        image = source.convert("RGB")
    buffer = io.BytesIO()
    image.resize((1200, 900)).save(buffer, image_format, **options)
    yield buffer.getvalue()
    if real and (REAL / real).exists():
        yield (REAL / real).read_bytes()


def damaged(data, generator, step):
    size = len(data)
    for percent in EVERY[::step]:
        zeros = size * percent // 100
        yield (
            f"zero tail {'under' if percent < 5 else 'from'} 5 %",
            data[: size - zeros] + bytes(zeros),
        )
    block = min(BLOCK, size // 20)
    for _ in range(12 // step):
        at = generator.randrange(size // 10, size - 2 * block)
        one, two = data[at : at + block], data[at + block : at + 2 * block]
        rest = data[at + 2 * block :]
        yield "hole", data[:at] + bytes(block) + two + rest
        yield "twice", data[:at] + one + one + rest
        yield "swapped", data[:at] + two + one + rest
    for percent in (1, 5, 20, 50, 80, 95)[::step]:
        yield "cut", data[: size - size * percent // 100]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_is_found(tmp_path, share, tried, layout):
    found, passed = Counter(), Counter()
    for data in files_of(layout):
        path = tmp_path / "photo"
        path.write_bytes(data)
        whole = load_image(path, 256).image.tobytes()
        for kind, broken in damaged(data, random.Random(1), share(4, 1)):
            path.write_bytes(broken)
            try:
                image = load_image(path, 256).image
            except CorruptImageError:
                found[kind] += 1
            else:
                passed[kind] += image.tobytes() != whole
    lost = passed["cut"] + passed["zero tail from 5 %"] * (layout in ALL_ZERO_TAILS)
    tried(f"photos with holes, zero tails and cuts, {layout}", (found + passed).total(), lost=lost)
    assert not lost


def test_no_sound_photo_is_called_broken(tried):
    folders = [ROOT / "examples" / "photos", *([REAL] if REAL.exists() else [])]
    photos = [
        p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in PHOTO_EXTENSIONS
    ]
    broken = []
    for path in photos:
        try:
            load_image(path, 256)
        except CorruptImageError:
            broken.append(path.name)
    tried("sound photos", len(photos), lost=len(broken) - 1)
    assert broken == ["truncated_on_purpose.jpg"]
