"""Age and gender of a face as dlib's networks guess them; only for who asks.

Both were trained by Davis King and are in the public domain (dlib-models, age and gender
predictors). A guess about one face says little, that about a child less (docs/people.md): what is
shown is a range, over all of a person's photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picture_captioner.people.align import similarity
from picture_captioner.people.faces import Face, Vectors
from picture_captioner.workers.onnx_graph import OnnxGraph

AGES = np.array([0.25, *range(1, 81)], np.float32)
"""What each of the 81 probabilities is for."""

_MEANS = np.array([122.782, 117.001, 104.298], np.float32)
_PADDING = 0.2
_EYES = (np.array([(0.2273, 0.2214), (0.7528, 0.2212)]) + _PADDING) / (1 + 2 * _PADDING)
"""Where the eyes are in dlib's chips, as shares of their side."""
_LEAST_SPREAD = 6.0
"""Years by which the guess about one adult is off; children are guessed worse."""
_SIDES = {"age": 64, "gender": 32}


class Attributes:
    """The networks that were asked for: `age` and `gender` are None for the others."""

    def __init__(self, age: Path | None, gender: Path | None, device: str = "cpu") -> None:
        self._graphs = {
            name: OnnxGraph(path, device)
            for name, path in (("age", age), ("gender", gender))
            if path is not None
        }
        self.version = "+".join(f"{name}-v1" for name in self._graphs)

    def __call__(self, photo: Image.Image, face: Face) -> tuple[Vectors | None, float | None]:
        """The probability of each age, shape (81,), and that of male."""
        found = {name: self._run(name, photo, face) for name in self._graphs}
        male = float(found["gender"][1]) if "gender" in found else None
        return found.get("age"), male

    def _run(self, name: str, photo: Image.Image, face: Face) -> Vectors:
        chip = np.asarray(_chip(photo, face.landmarks[:2], _SIDES[name]), np.float32)
        graph = self._graphs[name]
        feed = np.ascontiguousarray(((chip - _MEANS) / 256).transpose(2, 0, 1)[None])
        [[row]] = graph.run({next(iter(graph.inputs)): feed}, list(graph.outputs))
        return np.asarray(row, np.float32)


def _chip(photo: Image.Image, eyes: Vectors, side: int) -> Image.Image:
    """The face with its eyes where the network expects them."""
    (a, b, c), (d, e, f) = similarity(_EYES * side, eyes.astype(np.float64))
    moved = (a, b, c, d, e, f)
    return photo.transform((side, side), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)


def age_range(probabilities: NDArray[np.float32]) -> tuple[int, int]:
    """The ages between which four of five guesses lie; probabilities (81,) or (n, 81)."""
    total = np.cumsum(np.atleast_2d(probabilities).astype(np.float64).mean(axis=0))
    total /= max(float(total[-1]), 1e-12)
    low, high = np.searchsorted(total, [0.1, 0.9])
    return int(AGES[low]), int(AGES[min(high, len(AGES) - 1)])


def summary(
    guesses: Sequence[tuple[Vectors | None, float | None]], years: Sequence[int | None]
) -> dict[str, dict[str, float]]:
    """What all of a person's photos say together.

    Args:
        guesses: of each face, as `Attributes` returns them.
        years: in which each photo was taken, where that is known.

    Returns:
        `birth_year` (low, high, photos) where photos are dated, else `age` (low, high, photos);
        `gender` (male: the mean probability, photos).
    """
    said: dict[str, dict[str, float]] = {}
    ages = [(age, year) for (age, _), year in zip(guesses, years, strict=True) if age is not None]
    births = [year - AGES @ (age / max(float(age.sum()), 1e-6)) for age, year in ages if year]
    if births:
        middle = float(np.median(births))
        spread = 1.4826 * float(np.median(np.abs(np.array(births) - middle)))
        spread = max(spread, _LEAST_SPREAD / len(births) ** 0.5)
        said["birth_year"] = {
            "low": round(middle - spread),
            "high": round(middle + spread),
            "photos": len(births),
        }
    elif ages:
        low, high = age_range(np.stack([age for age, _ in ages]))
        said["age"] = {"low": low, "high": high, "photos": len(ages)}
    male = [value for _, value in guesses if value is not None]
    if male:
        said["gender"] = {"male": round(float(np.mean(male)), 2), "photos": len(male)}
    return said
