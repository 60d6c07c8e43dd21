"""The labelled faces beside the repository, where they are: for measuring, never copied into it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageOps

from picture_captioner.people.faces import Box
from tests.support import ROOT

FOLDER = ROOT.parent / "shared" / "faces"
PROFILE = ROOT.parent / "shared" / "photos" / "people" / "portrait.jpg"
"""The Curies: she looks at us, of him there is one eye, his face is turned away by 90 degrees."""

needs_faces = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the labelled photos are not beside the repository"
)


needs_profile = pytest.mark.skipif(
    not PROFILE.is_file(), reason="the photo with a profile is not beside the repository"
)


def upright(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def portraits() -> Iterator[tuple[str, Image.Image]]:
    """Who it is, and the photo."""
    with (FOLDER / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield row["identity"], upright(FOLDER / row["path"])


def drawn_boxes() -> Iterator[tuple[Image.Image, list[Box]]]:
    """Photos with the boxes that somebody drew around the faces."""
    for image in ElementTree.parse(FOLDER / "boxes" / "training.xml").getroot().iter("image"):
        boxes = [
            Box(*(float(box.get(side)) for side in ("left", "top", "width", "height")))
            for box in image.iter("box")
        ]
        yield upright(FOLDER / "boxes" / Path(image.get("file")).name), boxes
