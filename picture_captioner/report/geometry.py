"""Directions on the unit sphere: what is meant by the cosine distance of photos and clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.model import NOISE, Indices

ROWS_AT_A_TIME = 4096
"""Rows of a matrix product: 44,000 centroids wide it takes 720 MB of float32."""


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
