"""Groups in the map: HDBSCAN (Campello, Moulavi & Sander 2013).

A handful of photos, of which density says nothing, is grouped by average linkage.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.geometry import cosine_distances, principal_components
from picture_captioner.report.model import NOISE

SMALLEST_CLUSTER = 5
FEW = 30
"""Below two neighbourhoods of UMAP, everything is a neighbour of everything: no density."""
FEW_CLUSTER = 2
"""The smallest cluster among so few: two photos of one thing are a theme there."""
SMOOTH_SAMPLES = 15
"""HDBSCAN's `min_samples`. With 8 to 10, some themes of 50 photos split, others at the next run: on
12 x 50 scenes and captions over 5 seeds, 15 kept 96 to 100 % of the photos in their cluster when
5 % were added, 8 kept 90 to 96 % (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """What an engine says of n photos: `cluster` int32, numbered from 0 in any order, -1 noise.

    `probability` and `outlier_score` are float32, 0 to 1; `position` is the map, (n, 2) float32.
    """

    cluster: NDArray[np.int32]
    probability: NDArray[np.float32]
    outlier_score: NDArray[np.float32]
    position: NDArray[np.float32]


def automatic_min_cluster_size(photos: int) -> int:
    """A third of the root of the number of photos, at least 5; 2 of fewer than 30 photos.

    That is 8 of 600, 33 of 10,000, 70 of 44,000.

    Themes get larger with the library, but less than in proportion: a person who photographs
    twice as much has more themes as well.
    """
    if photos < FEW:
        return FEW_CLUSTER
    return max(SMALLEST_CLUSTER, round(math.sqrt(photos) / 3))


def density_samples(photos: int, min_cluster_size: int) -> int:
    """How many neighbours make a place dense.

    A person who names a smaller cluster than the automatic one wants it found: clusters of fewer
    photos than this are not.
    """
    if min_cluster_size < automatic_min_cluster_size(photos):
        return min_cluster_size
    return min(SMOOTH_SAMPLES, max(min_cluster_size, photos // 40))


def dense_groups(
    position: NDArray[np.float32], min_cluster_size: int, *, parallel: bool
) -> Grouping:
    """HDBSCAN on the map's positions (n, 2)."""
    import hdbscan

    model = hdbscan.HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=density_samples(len(position), min_cluster_size),
        core_dist_n_jobs=-1 if parallel else 1,
    )
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # scikit-learn's renamed arguments, divisions by zero
        model.fit(position.astype(np.float64))
        outlier = model.outlier_scores_
    return Grouping(
        cluster=np.asarray(model.labels_, dtype=np.int32),
        probability=_share(model.probabilities_),
        outlier_score=_share(outlier),
        position=position,
    )


def _share(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Photos that lie in one point make HDBSCAN divide by zero: that is a NaN, and no outlier."""
    return np.asarray(np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0), dtype=np.float32)


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
