"""The stage that finds the faces in a photo and turns each into a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL.Image import Image, Transpose

from picture_captioner.errors import ModelMissingError, PhotoError
from picture_captioner.hub import model_files
from picture_captioner.library import Library, StoredFace
from picture_captioner.people.decisions import SAME_BOX
from picture_captioner.people.faces import Box, Detector, Face, Recogniser, Vectors
from picture_captioner.pipeline.stages.base import Stage, StagePhoto

if TYPE_CHECKING:
    from picture_captioner.people.attributes import Attributes

DETECTORS = ("yunet-any-size", "yunet")
"""The first one of which the file is here is taken; the last one is asked for if none is."""
LEAST_SIDE = 16
"""Pixels of a photo's shorter side: no face is recognised below."""


class FoundFace(NamedTuple):
    """A face in pixels of the full-size photo, and what was read from it."""

    face: Face
    seen: float
    vector: Vectors
    age: Vectors | None
    gender: float | None


class FacesStage(Stage):
    """Boxes, landmarks and vectors of faces; ages and genders if they were asked for."""

    name = "faces"
    edge = 1024
    batch_size = 8

    def check(self) -> None:
        """Load the models.

        Raises:
            ModelMissingError: one is not here.
        """
        from picture_captioner.people.sface import SFace
        from picture_captioner.people.yunet import YuNet

        own = self.settings
        name, path = DETECTORS[-1], None
        for name in DETECTORS[:-1]:
            try:
                (path,) = model_files(name, own.models_dir)
                break
            except ModelMissingError:
                name = DETECTORS[-1]
        if path is None:
            (path,) = model_files(name, own.models_dir)
        (recogniser,) = model_files("sface", own.models_dir)
        self._detect: Detector = YuNet(path, own.device, own.face_score, name=name)
        self._recognise: Recogniser = SFace(recogniser, own.device)
        self.version = f"{self._detect.version}+{self._recognise.version}"
        self._attributes: Attributes | None = None
        if own.attributes:
            from picture_captioner.people.attributes import Attributes

            files = {n: model_files(n, own.models_dir)[0] for n in own.attributes}
            self._attributes = Attributes(files.get("age"), files.get("gender"), own.device)
            self.version += f"+{self._attributes.version}"

    def work(self, photos: Sequence[StagePhoto]) -> list[list[FoundFace] | PhotoError]:
        """The faces of each photo, the surest first."""
        return [self._faces(photo) for photo in photos]

    def _faces(self, photo: StagePhoto) -> list[FoundFace]:
        image = photo.image
        if image is None or min(image.size) < LEAST_SIDE:
            return []
        oriented = "Orientation" in photo.traits.metadata.exif
        faces = self._found(image, oriented=oriented)
        vectors = self._recognise(image, faces)
        factor = photo.loaded.width / image.width
        full = (photo.loaded.width, photo.loaded.height)
        guess = self._attributes or (lambda _image, _face: (None, None))
        return [
            FoundFace(
                _within(face.scaled(factor), full),
                max(face.box.width, face.box.height),  # a lying face is as wide as it is high
                vector,
                *guess(image, face),
            )
            for face, vector in zip(faces, vectors, strict=True)
        ]

    def _found(self, image: Image, *, oriented: bool) -> list[Face]:
        """The faces; where nobody said which side is up, lying ones if there are no others."""
        if (faces := self._detect(image)) or oriented:
            return faces
        tried = [(self._detect(image.transpose(turn)), back) for turn, back in _TURNS]
        # One way round they stand on their heads, which the detector sees too, less surely.
        faces, back = max(tried, key=lambda found: sum(face.score for face in found[0]))
        return [back(face, image.width, image.height) for face in faces]

    def store(self, library: Library, photo: StagePhoto, result: Any) -> None:
        """Save the faces; one that was there before keeps its number."""
        content = photo.content_sha256
        numbers = _numbers(
            [found.face.box for found in result],
            {number: Box(*box) for number, box in library.faces.of_photo(content)},
        )
        rows = [
            StoredFace(
                number,
                tuple(found.face.box),
                found.face.score,
                found.seen,
                found.face.landmarks,
                found.vector,
                found.age,
                found.gender,
            )
            for number, found in zip(numbers, result, strict=True)
        ]
        library.faces.save(content, self._detect.version, self._recognise.version, rows)


def _numbers(boxes: Sequence[Box], before: dict[int, Box]) -> list[int]:
    """The number of each box: that of the old box which it covers most, or a new one."""
    free, fresh = dict(before), max(before, default=-1) + 1
    numbers = []
    for box in boxes:
        shares = {number: box.overlap(old) for number, old in free.items()}
        best = max(shares, key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= SAME_BOX:
            numbers.append(best)
            del free[best]
        else:
            numbers.append(fresh)
            fresh += 1
    return numbers


def _within(face: Face, size: tuple[int, int]) -> Face:
    """The face with its box cut off at the photo's border."""
    x, y, width, height = face.box
    left, upper = max(x, 0.0), max(y, 0.0)
    right, lower = min(x + width, float(size[0])), min(y + height, float(size[1]))
    return Face(Box(left, upper, right - left, lower - upper), face.score, face.landmarks)


def _from_left(face: Face, width: int, height: int) -> Face:  # noqa: ARG001
    """A face of the picture that was turned by 90 degrees counter-clockwise, turned back."""
    x, y, wide, high = face.box
    marks = np.stack([width - face.landmarks[:, 1], face.landmarks[:, 0]], axis=1)
    return Face(Box(width - y - high, x, high, wide), face.score, marks.astype(np.float32))


def _from_right(face: Face, width: int, height: int) -> Face:  # noqa: ARG001
    """The same for one that was turned clockwise."""
    x, y, wide, high = face.box
    marks = np.stack([face.landmarks[:, 1], height - face.landmarks[:, 0]], axis=1)
    return Face(Box(y, height - x - wide, high, wide), face.score, marks.astype(np.float32))


_TURNS = ((Transpose.ROTATE_90, _from_left), (Transpose.ROTATE_270, _from_right))
