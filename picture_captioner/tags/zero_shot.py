"""How sure a model is that a photo shows a term, from the vectors of both.

As Radford et al. 2021 (CLIP) and Zhai et al. 2023 (SigLIP, arXiv 2303.15343) do: a term's vector is
the mean of the unit vectors of its sentences, of unit length again. SigLIP's sigmoid says for each
term by itself how sure the model is; CLIP only compares, so its terms compete with each other
(single) or each alone (multi) with something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

LEAST_PHOTOS = 100
UNUSUAL = 2.0
"""Standard deviations over a term's mean cosine: one photo in 40, if they lay as by chance."""


class Scale(NamedTuple):
    """How a model makes numbers of cosines: `scale * cosine + bias`."""

    kind: Literal["softmax", "sigmoid"]
    scale: float
    bias: float = 0.0


class Found(NamedTuple):
    """A term that a photo shows; both by their place."""

    photo: int
    term: int
    confidence: float


def ensembled(sentences: Vectors) -> Vectors:
    """One unit vector, shape (dim,), of several, shape (n, dim)."""
    mean = sentences.mean(axis=0, dtype=np.float64)
    unit: Vectors = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return unit


def confidences(
    photos: Vectors, terms: Vectors, otherwise: Vectors, scale: Scale, *, compete: bool
) -> NDArray[np.float64]:
    """How sure the model is of each term, shape (photos, terms); 0 to 1.

    `otherwise` is the vector (dim,) of something else, which only a softmax needs.
    """
    logits = scale.scale * (photos @ terms.T).astype(np.float64) + scale.bias
    if scale.kind == "sigmoid":
        return _sigmoid(logits)
    other = scale.scale * (photos @ otherwise).astype(np.float64)[:, None] + scale.bias
    if not compete:
        return _sigmoid(logits - other)
    both = np.concatenate([logits, other], axis=1)
    powers = np.exp(both - both.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares[:, :-1]


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    sure: NDArray[np.float64] = 1 / (1 + np.exp(-logits.clip(-700, 700)))
    return sure


def chosen(
    sure: NDArray[np.float64], least: float, choose: Literal["single", "multi"]
) -> Iterator[Found]:
    """The terms that are sure enough: the best of each photo, or all."""
    if choose == "single":
        best = sure.argmax(axis=1)
        for photo, term in enumerate(best.tolist()):
            if sure[photo, term] >= least:
                yield Found(photo, term, float(sure[photo, term]))
        return
    for photo, term in zip(*(places.tolist() for places in np.nonzero(sure >= least)), strict=True):
        yield Found(photo, term, float(sure[photo, term]))


def floors(photos: Vectors, terms: Vectors) -> NDArray[np.float32]:
    """From which cosine on a term is more than usual, shape (terms,): learned from these photos.

    Some terms are near every photo. Too few photos say nothing of that: then there is no floor.
    """
    if len(photos) < LEAST_PHOTOS:
        return np.full(len(terms), -1, np.float32)
    cosines = photos @ terms.T
    usual: NDArray[np.float32] = cosines.mean(axis=0) + UNUSUAL * cosines.std(axis=0)
    return usual


def nearest(
    photos: Vectors, terms: Vectors, otherwise: Vectors, least: NDArray[np.float32], most: int
) -> list[list[int]]:
    """For each photo the terms nearest to it, best first, at most so many.

    They are over their floors, and nearer than something else.
    """
    cosines = photos @ terms.T
    fits = (cosines >= least) & (cosines > (photos @ otherwise)[:, None])
    masked = np.where(fits, cosines, -np.inf)
    some = min(most, masked.shape[1])
    best = np.argpartition(-masked, some - 1, axis=1)[:, :some]
    found = []
    for row, places in zip(masked, best, strict=True):
        ranked = places[np.argsort(-row[places], kind="stable")]
        found.append([int(place) for place in ranked if np.isfinite(row[place])])
    return found
