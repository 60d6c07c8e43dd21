"""Directions on the unit sphere: what is meant by the cosine distance of photos and clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.model import NOISE, Indices

ROWS_AT_A_TIME = 4096
"""Rows of a matrix product: 44,000 centroids wide it takes 720 MB of float32."""

MAX_DIMENSIONS = 100
"""Of 512 or more: the rest is mostly noise, and the search takes a fifth of the time."""


def unit_rows(vectors: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which rows of (n, d) are vectors, and those rows at length 1.

    A row that is zero or not finite is no vector: the photo could not be embedded.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    known = np.isfinite(lengths) & (lengths > 0)
    rows = vectors[known] / lengths[known, None]
    return known, np.ascontiguousarray(rows, dtype=np.float32)


def members_of(cluster: NDArray[np.int32]) -> dict[int, Indices]:
    """The members of every cluster, by its id; noise is left out."""
    if not len(cluster):
        return {}
    order = np.argsort(cluster, kind="stable")
    ids, starts = np.unique(cluster[order], return_index=True)
    groups = np.split(order, starts[1:])
    return {int(i): g for i, g in zip(ids, groups, strict=True) if i != NOISE}


def centroid(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean direction of rows; zeros if they cancel out."""
    mean = rows.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean)
    return np.asarray(mean / length if length > 0 else mean, dtype=np.float32)


def cosine_distances(
    rows: NDArray[np.float32], towards: NDArray[np.float32]
) -> NDArray[np.float32]:
    """From each unit row to the unit vector(s): 0 the same direction, 1 at right angles."""
    return np.asarray(np.clip(1.0 - rows @ towards.T, 0.0, 2.0), dtype=np.float32)


def nearest(
    rows: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[Indices, NDArray[np.float32]]:
    """For each row the nearest of the targets and the cosine distance to it."""
    index = np.empty(len(rows), dtype=np.int64)
    distance = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        piece = slice(start, start + ROWS_AT_A_TIME)
        found = cosine_distances(rows[piece], targets)
        index[piece] = found.argmin(axis=1)
        distance[piece] = found[np.arange(len(found)), index[piece]]
    return index, distance


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
