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
