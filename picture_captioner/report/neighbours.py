"""Each photo's nearest neighbours by cosine distance, exactly, in a space of fewer dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_DIMENSIONS = 100
"""Of 512 or more: the rest is mostly noise, and the search takes a fifth of the time."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest of n photos, the photo itself among them.

    `indices` is int32, `distances` float32 (cosine), both of shape (n, k), nearest first.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float32]


def principal_components(
    rows: NDArray[np.float32], dimensions: int = MAX_DIMENSIONS
) -> NDArray[np.float32]:
    """The centred rows (n, d) in the directions in which they differ most, at most `dimensions`.

    At least two columns, of zeros if there are no such directions; (0, 2) of no rows. Every
    component's largest coefficient is positive, so that the same rows give the same numbers,
    whichever sign the linear algebra library finds.
    """
    if not len(rows):
        return np.zeros((0, 2), dtype=np.float32)
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = (rows.T @ rows).astype(np.float64) / len(rows) - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)
    basis = vectors[:, ::-1][:, :dimensions]
    largest = basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])]
    basis = basis * np.where(largest < 0, -1.0, 1.0)
    moved = rows @ basis.astype(np.float32) - (mean @ basis)
    padding = max(0, 2 - moved.shape[1])
    return np.ascontiguousarray(np.pad(moved, ((0, 0), (0, padding))), dtype=np.float32)


def nearest_neighbours(components: NDArray[np.float32], count: int) -> Neighbours:
    """The `count` nearest rows to each row, by brute force in blocks that fit the caches.

    Between unit vectors the squared Euclidean distance is twice the cosine distance, and moving
    the origin (which the principal components do) changes neither.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(components)
    distances, indices = search.kneighbors(components)
    return Neighbours(
        indices.astype(np.int32), np.asarray(distances * distances / 2, dtype=np.float32)
    )
