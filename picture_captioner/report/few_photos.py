"""Clusters and a map of a handful of photos, of which density says nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.density import Grouping
from picture_captioner.report.geometry import cosine_distances
from picture_captioner.report.model import NOISE
from picture_captioner.report.neighbours import principal_components

CUT = 0.7
"""Of the height of the whole tree; where dendrograms are commonly cut."""

IDENTICAL = 1e-5
"""Cosine distance that is rounding: float32 vectors of the same photo differ by 1e-7."""


def group_few(rows: NDArray[np.float32], min_cluster_size: int) -> Grouping:
    """Average linkage on cosine distances of unit rows, cut at `CUT` of its height.

    Groups smaller than `min_cluster_size` are noise. Identical photos are one group, photos that
    are all equally far from each other are none.
    """
    cluster = _linked(rows)
    sizes = np.bincount(cluster, minlength=len(rows) + 1)
    cluster[sizes[cluster] < min_cluster_size] = NOISE
    placed = cluster != NOISE
    return Grouping(
        cluster=cluster,
        probability=placed.astype(np.float32),
        outlier_score=(~placed).astype(np.float32),
        position=principal_components(rows, 2),
    )


def _linked(rows: NDArray[np.float32]) -> NDArray[np.int32]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(rows) < 2:
        return np.zeros(len(rows), dtype=np.int32)
    distance = cosine_distances(rows, rows)
    distance = np.where(distance < IDENTICAL, 0.0, (distance + distance.T) / 2)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    height = float(tree[:, 2].max())
    return np.asarray(fcluster(tree, CUT * height, criterion="distance"), dtype=np.int32) - 1
