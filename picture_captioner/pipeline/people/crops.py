"""Pictures of single faces, cut out of their photos once, for who is to be shown in a report."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from picture_captioner.library.faces import Placed
from picture_captioner.library.store import Library
from picture_captioner.people.faces import Box
from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
from picture_captioner.pipeline.recording.outcomes import Silent
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import Stage, StagePhoto

SIDE = 192
"""Pixels; the page shows faces in 96."""
AROUND = 1.6
"""The cut in widths or heights of the face, whichever is longer: hair and chin belong to it."""
QUALITY = 78


class CropStage(Stage):
    """Cuts out the faces that it was made for; part of no `process`."""

    name = "crop"
    version = "1"
    edge = 1600

    def __init__(self, wanted: Mapping[str, Sequence[tuple[int, Box]]]) -> None:
        super().__init__()
        self._wanted = wanted

    def work(self, photos: Sequence[StagePhoto]) -> list[dict[int, bytes]]:
        """The WebP of each wanted face of a photo, by its number."""
        return [self._crops(photo) for photo in photos]

    def _crops(self, photo: StagePhoto) -> dict[int, bytes]:
        image = photo.image
        if image is None:
            return {}
        factor = image.width / photo.loaded.width
        wanted = self._wanted.get(photo.content_sha256, ())
        return {number: cut_out(image, box.scaled(factor)) for number, box in wanted}

    def store(self, library: Library, photo: StagePhoto, result: dict[int, bytes]) -> None:
        """Keep them."""
        library.faces.save_crops(photo.content_sha256, result)


def cut_out(image: Image.Image, face: Box) -> bytes:
    """A square around a face as WebP, without metadata; moved inwards at the photo's border."""
    side = min(AROUND * max(face.width, face.height), *image.size)
    left = min(max(face.x + face.width / 2 - side / 2, 0.0), image.width - side)
    upper = min(max(face.y + face.height / 2 - side / 2, 0.0), image.height - side)
    pixels = max(1, min(SIDE, round(side)))
    square = image.resize(
        (pixels, pixels), Image.Resampling.LANCZOS, (left, upper, left + side, upper + side)
    )
    stream = io.BytesIO()
    square.save(stream, "WEBP", quality=QUALITY)
    return stream.getvalue()


def make_crops(
    library: Library, photos_dir: Path | None, walked: Mapping[str, Photo], faces: Sequence[Placed]
) -> dict[tuple[str, int], bytes]:
    """The pictures of these faces, by content and number.

    What is missing is cut out of the photos that the walk found; a photo that cannot be opened has
    none.

    Args:
        walked: for each content a photo that has it.

    Raises:
        NoPhotosError: the photos directory went away.
        LibraryError: library.db cannot be written.
    """
    keys = [(face.content_sha256, face.number) for face in faces]
    there = library.faces.crops(keys)
    missing: dict[str, list[tuple[int, Box]]] = defaultdict(list)
    for face, key in zip(faces, keys, strict=True):
        if key not in there and face.content_sha256 in walked:
            missing[face.content_sha256].append((face.number, Box(*face.box)))
    if photos_dir is None or not missing:
        return there
    photos = [walked[content] for content in missing]
    process_photos(
        photos_dir, photos, library, [CropStage(missing)], Silent(), PassOptions(force=True)
    )
    return library.faces.crops(keys)
