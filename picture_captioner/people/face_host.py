"""Detector and recogniser in a process of their own: a crash or a hang costs one photo.

A driver or a graph that takes its process along must not take the pass: photos go to the child in
batches, as pixels, and faces come back (`workers.supervisor`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from PIL.Image import Transpose

from picture_captioner.errors import BackendUnavailableError, DeviceLostError
from picture_captioner.people.align import PLACES
from picture_captioner.people.attributes import Attributes
from picture_captioner.people.faces import Box, Detector, Face, Recogniser, Vectors
from picture_captioner.people.sface import SFace
from picture_captioner.people.yunet import OVERLAP, YuNet

if TYPE_CHECKING:
    from picture_captioner.workers.child import Child

HOST = f"{__name__}:host_faces"
"""What a child is to load; its arguments are those of `host_faces`."""
UPRIGHT = 0.93
"""A face that lies or stands on its head scores less: in 64 photos turned by 90 degrees the surest
face has .62 to .88, turned by 180 .76 to .92, upright .92 to .96."""
LYING = 0.88
"""What is taken for UPRIGHT where it is known how the camera was held. All of 114 faces that lay
scored less, and 79 of 89 on their heads; with .93, 10 of 28 photos were turned for none, now 3."""
SURER = 0.05
"""By how much a face that was found lying must be surer than what was found there upright."""
FOUND_LYING = 0.9
"""The least score of a face that is only found lying, beside others that are not."""
FILLS = 0.6
"""Share of the photo's height or width. A face that fills more is found with .7 to .9 and roughly,
or not at all; with ground around it with .9 to .95."""
PLAIN_EDGE = 256
"""Pixels of the plain picture that tells whether the models work at all."""


class FoundFace(NamedTuple):
    """A face in pixels of the picture that was shown, and what was read from it.

    `seen` is its height, `age` has 81 probabilities, `gender` is that of male.
    """

    face: Face
    seen: float
    vector: Vectors
    age: Vectors | None
    gender: float | None


def packed(found: FoundFace) -> dict[str, Any]:
    """The face as it goes from the child to its parent."""
    face = found.face
    return {
        "box": list(face.box),
        "score": face.score,
        "landmarks": face.landmarks.astype("<f4").tobytes(),
        "seen": found.seen,
        "vector": found.vector.astype("<f4").tobytes(),
        "age": None if found.age is None else found.age.astype("<f4").tobytes(),
        "gender": found.gender,
    }


def unpacked(fields: dict[str, Any]) -> FoundFace:
    """The same, the other way."""
    marks, vector, age = (
        None if fields[name] is None else np.frombuffer(fields[name], "<f4").astype(np.float32)
        for name in ("landmarks", "vector", "age")
    )
    assert marks is not None and vector is not None  # noqa: S101 - only an age may be None
    face = Face(Box(*fields["box"]), fields["score"], marks.reshape(5, 2))
    return FoundFace(face, fields["seen"], vector, age, fields["gender"])


class FacesHost:
    """The models that find, recognise and guess the age of faces, as a child hosts them."""

    def __init__(
        self,
        detect: Detector,
        recognise: Recogniser,
        attributes: Attributes | None,
        child: Child,
    ) -> None:
        self._detect, self._recognise, self._attributes = detect, recognise, attributes
        self._child = child

    def work(self, kind: str, items: list[Any], shared: dict[str, Any]) -> list[Any]:  # noqa: ARG002
        """The faces of each photo, the surest first."""
        self._child.on_device()
        try:
            if kind == "plain":
                self._plain()
                return [None]
            return [[packed(found) for found in self._faces(item)] for item in items]
        except BackendUnavailableError as error:  # it failed or hung: the next process may do it
            raise DeviceLostError(str(error)) from error

    def _plain(self) -> None:
        edge = (PLAIN_EDGE, PLAIN_EDGE)
        picture = Image.linear_gradient("L").resize(edge).convert("RGB")
        self._detect(picture)
        self._recognise(picture, [Face(Box(0, 0, *edge), 1.0, PLACES.astype(np.float32) + 50)])

    def _faces(self, item: dict[str, Any]) -> list[FoundFace]:
        image = Image.frombytes("RGB", tuple(item["size"]), item["pixels"])
        faces = self._found(image, oriented=item["oriented"])
        guess = self._attributes or (lambda _image, _face: (None, None))
        return [
            FoundFace(
                face,
                max(face.box.width, face.box.height),  # a lying face is as wide as it is high
                vector,
                *guess(image, face),
            )
            for face, vector in zip(faces, self._recognise(image, faces), strict=True)
        ]

    def _found(self, image: Image.Image, *, oriented: bool) -> list[Face]:
        """The faces; the photo is turned, too, where one is unsure or nobody said what is up."""
        faces, edge = self._detect(image), 0
        if _too_near(faces, image) or not (faces or oriented):
            wide = ImageOps.expand(image, max(image.size) // 2)
            if found := self._detect(wide):
                edge = max(image.size) // 2
                faces = _each_once([_surest(_moved(face, edge), found) for face in faces] or found)
                image = wide
        least = LYING if oriented else UPRIGHT
        if not all(face.score >= least for face in faces) or not (faces or oriented):
            faces = self._turned(image, faces, oriented=oriented)
        return [_moved(face, -edge) for face in faces]

    def _turned(self, image: Image.Image, faces: list[Face], *, oriented: bool) -> list[Face]:
        """The same faces, and those that lie, each as it was found most surely."""
        turned = [
            [back(face, image.width, image.height) for face in self._detect(image.transpose(turn))]
            for turn, back in _TURNS
        ]
        others = [face for found in [faces, *turned] for face in found]
        if not oriented:
            # The wrong way round the detector sees faces, too, less surely.
            faces = max([faces, *turned], key=lambda found: found[0].score if found else 0.0)
        here = [_surest(face, others) for face in faces]
        return _each_once(here + [face for face in others if face.score >= FOUND_LYING])

    def state(self) -> dict[str, Any]:
        """Which models these are."""
        versions = [self._detect.version, self._recognise.version]
        if self._attributes is not None:
            versions.append(self._attributes.version)
        return {"versions": versions}

    def close(self) -> None:
        """Nothing is to be let go of."""


def host_faces(arguments: dict[str, Any], child: Child) -> FacesHost:
    """Load the models in the child.

    Raises:
        FatalError: one does not load.
    """
    device, files = arguments["device"], {n: Path(p) for n, p in arguments["files"].items()}
    name, path = arguments["detector"]
    detect = YuNet(Path(path), device, arguments["score"], name=name)
    attributes = None
    if {"age", "gender"} & files.keys():
        attributes = Attributes(files.get("age"), files.get("gender"), device)
    return FacesHost(detect, SFace(files["sface"], device), attributes, child)


def _too_near(faces: Iterable[Face], photo: Image.Image) -> bool:
    """Whether an unsure face fills the photo: with some ground around it, it would be sure."""
    return any(
        face.score < UPRIGHT
        and max(face.box.width / photo.width, face.box.height / photo.height) > FILLS
        for face in faces
    )


def _each_once(faces: Iterable[Face]) -> list[Face]:
    """Of faces in one place the surest; the surest first."""
    once: list[Face] = []
    for face in sorted(faces, key=lambda found: -found.score):
        if all(face.box.overlap(other.box) <= OVERLAP for other in once):
            once.append(face)
    return once


def _moved(face: Face, by: int) -> Face:
    """The face in a photo that has so many pixels more on its left and above."""
    x, y, width, height = face.box
    return Face(Box(x + by, y + by, width, height), face.score, face.landmarks + np.float32(by))


def _surest(face: Face, others: Iterable[Face]) -> Face:
    """The face as it was found in another turn of the photo, if it was found there more surely."""
    same = [other for other in others if other.box.overlap(face.box) > OVERLAP]
    best = max(same, key=lambda found: found.score, default=face)
    return best if best.score > face.score + SURER else face


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


def _from_below(face: Face, width: int, height: int) -> Face:
    """The same for one that stood on its head."""
    x, y, wide, high = face.box
    marks = np.array([width, height], np.float32) - face.landmarks
    return Face(Box(width - x - wide, height - y - high, wide, high), face.score, marks)


_TURNS = (
    (Transpose.ROTATE_90, _from_left),
    (Transpose.ROTATE_270, _from_right),
    (Transpose.ROTATE_180, _from_below),
)
