"""What a face is: where it is in the upright photo, how sure the detector was, and its vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

Vectors = NDArray[np.float32]


class Box(NamedTuple):
    """A rectangle in pixels: its upper left corner, width and height."""

    x: float
    y: float
    width: float
    height: float

    def scaled(self, factor: float) -> Box:
        """The same rectangle in a photo of that many times the size."""
        return Box(*(value * factor for value in self))

    def overlap(self, other: Box) -> float:
        """Intersection over union, between 0 and 1."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        if wide <= 0 or high <= 0:
            return 0.0
        shared = wide * high
        union = self.width * self.height + other.width * other.height - shared
        return shared / union if union > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face. `landmarks`: right eye, left eye, nose, right and left corner of the mouth.

    Right and left are the person's own. `landmarks` has shape (5, 2), in pixels.
    """

    box: Box
    score: float
    landmarks: Vectors

    def scaled(self, factor: float) -> Face:
        """The same face in a photo of that many times the size."""
        return Face(self.box.scaled(factor), self.score, self.landmarks * np.float32(factor))


class Detector(Protocol):
    """Finds faces. `edge` is the longer side, in pixels, of the photo that it likes to be shown."""

    version: str
    edge: int

    def __call__(self, photo: Image) -> list[Face]:
        """The faces of an upright RGB photo, the surest first, in its own pixels."""
        ...


class Recogniser(Protocol):
    """Turns a face into a vector of unit length: two of one person point the same way."""

    version: str
    dimension: int

    def __call__(self, photo: Image, faces: list[Face]) -> Vectors:
        """One vector for each face, shape (n, dimension)."""
        ...
