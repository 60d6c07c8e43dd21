"""An embedding flow as a process of its own, to be killed.

Usage: embedding_program.py PHOTOS LIBRARY LOG SECONDS_PER_BATCH. Each vector begins with the mean
colour of its image, and each image that is embedded is a line in LOG: its colour, which
`draw_numbered` made different for every photo.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS
from picture_captioner.library.store import Library
from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
from picture_captioner.pipeline.recording.outcomes import Silent
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.pipeline.selecting.walk import PhotoKinds, walk_photos
from picture_captioner.pipeline.stages.embed import EmbedStage
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage

IDENTITY = "colour:1"
BATCH = 8


def number_of(image: Image.Image) -> int:
    """The number that `draw_numbered` gave to the photo."""
    red, green, _ = image.getpixel((image.width // 2, image.height // 2))
    return round(red / 5) * 52 + round(green / 5)


def draw_numbered(path: Path, number: int) -> Path:
    """A photo from which `number_of` reads its number, up to 2,600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), (number // 52 * 5, number % 52 * 5, 99)).save(path)
    return path


def embed_photos(photos_dir, photos, library, embed_images, identity, edge, reporter, **given):
    """A pass of the stages that every photo has and, with an embedder, of its vector."""
    stages = [NormalizeStage(), MetadataStage()]
    if embed_images is not None:
        stages.append(EmbedStage(embed_images, identity, edge))
    return process_photos(photos_dir, photos, library, stages, reporter, PassOptions(**given))


class CountingEmbedder:
    """Real vectors, and a log of what was asked."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self._log = log
        self._seconds = seconds

    def __call__(self, images):
        time.sleep(self._seconds)
        numbers = [number_of(image) for image in images]
        with open(self._log, "a") as log:
            log.write("".join(f"{number}\n" for number in numbers))
        return np.array([[1.0, number] for number in numbers], np.float32)


def find(photos_dir: Path):
    """The photos, as the program finds them."""
    return walk_photos(photos_dir, PhotoKinds(PHOTO_EXTENSIONS), PathFilter()).photos


def main(photos: str, library: str, log: str, seconds: str) -> None:
    embedder = CountingEmbedder(Path(log), float(seconds))
    with Library.open(Path(library), sys.stderr.write) as opened:
        result = embed_photos(
            Path(photos),
            find(Path(photos)),
            opened,
            embedder,
            IDENTITY,
            32,
            Silent(),
            batch_size=BATCH,
            decoders=2,
        )
    sys.stdout.write(f"{result.known} {result.outcomes.settled}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
