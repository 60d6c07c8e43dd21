"""New photos into the clusters of the previous run, without clustering again (`--assign`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.geometry import cosine_distances, unit_rows
from picture_captioner.report.model import NOISE, Clustering
from picture_captioner.report.run_state import RunState

VOTERS = 5
"""Nearest photos of the previous run that decide on a new one."""

STALE_SHARE = 0.1
"""Of the photos: when more than that were only assigned, it is time to cluster again."""

SLACK = 1.05
"""Times the distance of a cluster's outermost members, beyond which a new photo is noise."""


class Assigned(NamedTuple):
    """The clustering with new photos in it, which of them were added since, and how many now."""

    clustering: Clustering
    added: NDArray[np.bool_]
    new: int


def assign(
    vectors: NDArray[np.float32], rows_before: NDArray[np.int64], state: RunState
) -> Assigned:
    """Keep known photos where they were, and give new ones the cluster of their neighbours.

    `vectors` is (n, d), zeros where unknown; `rows_before` (n,) the photo's row in the state or
    -1. A new photo joins the cluster of most of its nearest photos if it is not further from the
    centroid than the members are; its place on the map is among those photos.
    """
    known, _ = unit_rows(vectors)
    before = rows_before >= 0
    before[before] &= ~np.isnan(state.clustering.position[rows_before[before], 0])
    before &= known
    clustering = _carried_over(before, rows_before, state.clustering)
    added = np.zeros(len(vectors), dtype=np.bool_)
    added[before] = state.added[rows_before[before]]
    new = np.flatnonzero(known & ~before)
    if len(new) and before.any():
        _place(new, np.flatnonzero(before), vectors, clustering, state)
    added[new] = True
    return Assigned(clustering, added, len(new))


def is_stale(added: NDArray[np.bool_], clustering: Clustering) -> bool:
    """Whether so many photos were only assigned that the clusters may not be theirs."""
    placed = ~np.isnan(clustering.position[:, 0])
    return bool(placed.any()) and float(added[placed].mean()) > STALE_SHARE


def _carried_over(
    before: NDArray[np.bool_], rows: NDArray[np.int64], old: Clustering
) -> Clustering:
    n = len(before)
    new = Clustering(
        cluster=np.full(n, NOISE, dtype=np.int32),
        probability=np.full(n, np.nan, dtype=np.float32),
        outlier_score=np.full(n, np.nan, dtype=np.float32),
        distance=np.full(n, np.nan, dtype=np.float32),
        position=np.full((n, 2), np.nan, dtype=np.float32),
    )
    for name in ("cluster", "probability", "outlier_score", "distance", "position"):
        getattr(new, name)[before] = getattr(old, name)[rows[before]]
    return new


def _place(
    new: NDArray[np.int64],
    old: NDArray[np.int64],
    vectors: NDArray[np.float32],
    clustering: Clustering,
    state: RunState,
) -> None:
    """Fill in the rows of the new photos."""
    from sklearn.neighbors import NearestNeighbors

    _, old_rows = unit_rows(vectors[old])
    _, new_rows = unit_rows(vectors[new])
    search = NearestNeighbors(n_neighbors=min(VOTERS, len(old)), algorithm="brute").fit(old_rows)
    voters = old[search.kneighbors(new_rows, return_distance=False)]
    clustering.position[new] = clustering.position[voters].mean(axis=1)
    clustering.probability[new] = 0.0
    clustering.outlier_score[new] = 1.0
    place = {int(i): k for k, i in enumerate(state.centroids.ids)}
    for photo, row, votes in zip(new, new_rows, clustering.cluster[voters], strict=True):
        winner, share = _winner(votes)
        if winner not in place:
            continue
        k = place[winner]
        distance = float(cosine_distances(row[None], state.centroids.rows[k])[0])
        if distance <= SLACK * float(state.centroids.limits[k]):
            clustering.cluster[photo] = winner
            clustering.probability[photo] = share
            clustering.outlier_score[photo] = 1.0 - share
            clustering.distance[photo] = distance


def _winner(votes: NDArray[np.int32]) -> tuple[int, float]:
    """The id with most votes, the nearest's among equals, and its share of them."""
    ids, first, counts = np.unique(votes, return_index=True, return_counts=True)
    best = np.lexsort((first, -counts))[0]
    return int(ids[best]), float(counts[best] / len(votes))
