"""One 12-megapixel HEIC after the other to clean images of 1,024 pixels, on one core.

    python -m benchmarks.decode_heic [--rounds 5] [--quick]

Beside pillow-heif's full decode, `exif_transpose` and `thumbnail` with Lanczos. The file lies in
tiles of 512 pixels, as phones write them, and holds two reduced copies: of 320 pixels, as phones'
do, and of 1,620, as some cameras' do. A dry run and what is kept in library.db decode the photo
itself, a run takes the larger copy. PSNR is against the contender's pixels.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.clean_images import by_pillow, by_program, going, image_of, psnr
from benchmarks.contest import contest, rows
from benchmarks.finding import Finding
from benchmarks.photos import TWELVE_MEGAPIXELS, photo_like

EACH = 3
"""Photos in one go."""

COPIES = [320, 1620]

STAGE = partial(
    Finding,
    benchmark="decode_heic",
    stage="a 12-megapixel HEIC to a clean image of 1,024 pixels, one core",
    contender="pillow-heif: full decode, exif_transpose, thumbnail with Lanczos",
    aim="never slower",
    limit=(
        "libheif and libde265 take nine tenths of the time to decode the photo, at full size only; "
        "a copy inside the file helps only where a camera wrote one that is large enough"
    ),
)


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    size, copies = ((1200, 900), [1100]) if given.quick else (TWELVE_MEGAPIXELS, COPIES)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "photo.heic"
        _draw(path, size, copies)
        samples = contest(
            {
                "pillow-heif": going(by_pillow, path, EACH),
                "this program": going(by_program, path, EACH),
                "its copy": going(partial(by_program, allow_reduced=True), path, EACH),
            },
            *((1, 0) if given.quick else (given.rounds, 1)),
        )
        megabytes = round(path.stat().st_size / 1e6, 2)
    theirs = image_of(samples["pillow-heif"][0])
    found = [
        {"MB": megabytes} | row | {"PSNR dB": psnr(theirs, image_of(samples[row["contender"]][0]))}
        for row in rows(samples, "pillow-heif")
    ]
    ratio, copied = (row["times as fast"] for row in found[1:])
    reached = f"{ratio} times as fast; {copied} times where a large enough copy is inside"
    STAGE(rows=found, reached=reached, met=ratio >= 1).tell()


def _draw(path: Path, size: tuple[int, int], copies: list[int]) -> None:
    # The encoder's default preset takes 23 s, for a file that takes a little longer to decode.
    photo_like(size, seed=1).save(
        path, quality=50, thumbnails=copies, tile_size=512, enc_params={"preset": "ultrafast"}
    )


if __name__ == "__main__":
    main()
