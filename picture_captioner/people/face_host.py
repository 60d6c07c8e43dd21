"""Detector and recogniser in a process of their own: a crash or a hang costs one photo.

A driver or a graph that takes its process along must not take the pass: photos go to the child in
batches, as pixels, and faces come back (`workers.supervisor`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image
from PIL.Image import Transpose

from picture_captioner.errors import BackendUnavailableError, DeviceLostError
from picture_captioner.people.align import PLACES
from picture_captioner.people.attributes import Attributes
from picture_captioner.people.faces import Box, Detector, Face, Recogniser, Vectors
from picture_captioner.people.sface import SFace
from picture_captioner.people.yunet import YuNet

if TYPE_CHECKING:
    from picture_captioner.workers.child import Child

HOST = f"{__name__}:host_faces"
"""What a child is to load; its arguments are those of `host_faces`."""
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
        """The faces; where nobody said which side is up, lying ones if there are no others."""
        if (faces := self._detect(image)) or oriented:
            return faces
        tried = [(self._detect(image.transpose(turn)), back) for turn, back in _TURNS]
        # One way round they stand on their heads, which the detector sees too, less surely.
        faces, back = max(tried, key=lambda found: sum(face.score for face in found[0]))
        return [back(face, image.width, image.height) for face in faces]

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
