"""One 12-megapixel JPEG after the other to clean images of 1,024 pixels, on one core.

    python -m benchmarks.decode_jpeg [--rounds 5] [--quick]

Beside Pillow's full decode, `exif_transpose` and `thumbnail` with Lanczos. The first picture is
the one that counts, 4:2:0 at quality 90; a plainer and a busier one show what decides the ratio:
how many bits there are to decode. PSNR is of the program's pixels against Pillow's at the same
size.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.clean_images import EDGE, by_pillow, by_program, going, image_of, psnr
from benchmarks.contest import contest, rows
from benchmarks.finding import Finding
from benchmarks.photos import TWELVE_MEGAPIXELS, photo_like

EACH = 5
"""Photos in one go."""
FLOOR = "floor: libjpeg-turbo alone"

STAGE = partial(
    Finding,
    benchmark="decode_jpeg",
    stage="a 12-megapixel JPEG to a clean image of 1,024 pixels, one core",
    contender="Pillow: full decode, exif_transpose, thumbnail with Lanczos",
    aim="5 times as fast, never under 3 times; PSNR at least 44 dB",
    limit=(
        "libjpeg-turbo takes seven tenths of the time (resizing one), and most of that undoes the "
        "Huffman code of all pixels, which JPEG offers no way around"
    ),
)


@dataclass(frozen=True)
class Picture:
    """How a picture is drawn and compressed."""

    name: str
    grain: float
    quality: int


PICTURES = (
    Picture("photo", 0.05, 90),
    Picture("plain", 0.02, 85),
    Picture("busy", 0.1, 90),
)


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    pictures = PICTURES[:1] if given.quick else PICTURES
    size = (1600, 1200) if given.quick else TWELVE_MEGAPIXELS
    rounds, warm_ups = (1, 0) if given.quick else (given.rounds, 1)
    with tempfile.TemporaryDirectory() as work:
        found = [
            row
            for picture in pictures
            for row in _compared(Path(work) / "photo.jpg", picture, size, rounds, warm_ups)
        ]
    own = [row for row in found if row["contender"] == "this program"]
    ratio, worst = own[0]["times as fast"], min(row["times as fast"] for row in own)
    decibels = min(row["PSNR dB"] for row in own)
    floor = next(row["times as fast"] for row in found if row["contender"] == FLOOR)
    reached = (
        f"{ratio} times at {own[0]['bits/pixel']} bits per pixel (a decode without a resize: "
        f"{floor}), {worst} at worst; {decibels} dB"
    )
    STAGE(rows=found, reached=reached, met=ratio >= 5 and worst >= 3 and decibels >= 44).tell()


def _compared(
    path: Path, picture: Picture, size: tuple[int, int], rounds: int, warm_ups: int
) -> list[dict[str, Any]]:
    _draw(path, picture, size)  # and forget it: its memory is not the contenders'
    samples = contest(
        {
            "Pillow": going(by_pillow, path, EACH),
            "this program": going(by_program, path, EACH),
            FLOOR: going(by_libjpeg, path, EACH),
        },
        rounds,
        warm_ups,
    )
    facts = {
        "photo": picture.name,
        "MB": round(path.stat().st_size / 1e6, 2),
        "bits/pixel": round(path.stat().st_size * 8 / (size[0] * size[1]), 2),
    }
    decibels = psnr(image_of(samples["Pillow"][0]), image_of(samples["this program"][0]))
    return [
        facts | row | {"PSNR dB": "" if row["contender"] == FLOOR else decibels}
        for row in rows(samples, "Pillow")
    ]


def by_libjpeg(path: Path) -> Image.Image:
    """The floor: libjpeg-turbo's decode at the smallest scale that covers the result."""
    with Image.open(path) as opened:
        opened.draft(None, (EDGE, EDGE * opened.height // opened.width))
        opened.load()
        return opened


def _draw(path: Path, picture: Picture, size: tuple[int, int]) -> None:
    drawn = photo_like(size, seed=1, grain=picture.grain)
    drawn.save(path, quality=picture.quality, subsampling="4:2:0")


if __name__ == "__main__":
    main()
