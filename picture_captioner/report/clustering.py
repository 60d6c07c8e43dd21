"""From vectors to a `Clustering`: an engine's groups, with photos that have no vector.

And which cluster is which of the previous run, so that cluster 12 is still the beach next month.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.density import IDENTICAL, Grouping
from picture_captioner.report.engines import Engine
from picture_captioner.report.geometry import (
    centroid,
    cosine_distances,
    members_of,
    nearest,
    unit_rows,
)
from picture_captioner.report.layout import scaled
from picture_captioner.report.model import NOISE, Clustering, Indices


@dataclass(frozen=True, slots=True)
class Centroids:
    """The clusters' mean directions.

    `ids` (k,) int32, `rows` (k, d) float32 of unit length, `limits` (k,) float32: the cosine
    distance within which 99 in 100 of the members are.
    """

    ids: NDArray[np.int32]
    rows: NDArray[np.float32]
    limits: NDArray[np.float32]


LIMIT_PERCENTILE = 99.0


def cluster_vectors(
    vectors: NDArray[np.float32], engine: Engine, min_cluster_size: int, seed: int | None
) -> Clustering:
    """Cluster the rows of (n, d) that are vectors; the ids are provisional, 0 the largest.

    A row that is zero or not finite is a photo without a vector: it is in no cluster and has no
    place on the map.
    """
    known, rows = unit_rows(vectors)
    grouping = _grouped(rows, engine, min_cluster_size, seed)
    return spread(known, _by_size(grouping), rows)


def _grouped(
    rows: NDArray[np.float32], engine: Engine, min_cluster_size: int, seed: int | None
) -> Grouping:
    if len(rows) > 1 and (cosine_distances(rows, rows[0]) < IDENTICAL).all():
        return Grouping(
            cluster=np.zeros(len(rows), dtype=np.int32),
            probability=np.ones(len(rows), dtype=np.float32),
            outlier_score=np.zeros(len(rows), dtype=np.float32),
            position=np.zeros((len(rows), 2), dtype=np.float32),
        )
    if len(rows) < 2:
        min_cluster_size = 2  # one photo is no cluster
    return engine(rows, min_cluster_size, seed)


def _by_size(grouping: Grouping) -> Grouping:
    """The same groups, numbered from the largest."""
    members = members_of(grouping.cluster)
    ranked = sorted(members, key=lambda i: (-len(members[i]), int(members[i][0])))
    renumbered = np.full_like(grouping.cluster, NOISE)
    for rank, old in enumerate(ranked):
        renumbered[members[old]] = rank
    return replace(grouping, cluster=renumbered)


def spread(known: NDArray[np.bool_], grouping: Grouping, rows: NDArray[np.float32]) -> Clustering:
    """Give all n photos a row: those in `known` the group's, the others nothing."""
    cluster = np.full(len(known), NOISE, dtype=np.int32)
    cluster[known] = grouping.cluster
    position = np.full((len(known), 2), np.nan, dtype=np.float32)
    if len(rows):
        position[known] = scaled(grouping.position)
    return Clustering(
        cluster=cluster,
        probability=_at(known, grouping.probability),
        outlier_score=_at(known, grouping.outlier_score),
        distance=_at(known, distances_to_centroids(rows, grouping.cluster)),
        position=position,
    )


def _at(known: NDArray[np.bool_], values: NDArray[np.float32]) -> NDArray[np.float32]:
    found = np.full(len(known), np.nan, dtype=np.float32)
    found[known] = values
    return found


def distances_to_centroids(
    rows: NDArray[np.float32], cluster: NDArray[np.int32]
) -> NDArray[np.float32]:
    """From each unit row to the centroid of its cluster; NaN for noise."""
    distance = np.full(len(rows), np.nan, dtype=np.float32)
    for members in members_of(cluster).values():
        distance[members] = cosine_distances(rows[members], centroid(rows[members]))
    return distance


def centroids_of(vectors: NDArray[np.float32], clustering: Clustering) -> Centroids:
    """The centroids of a clustering of the rows of (n, d)."""
    members = members_of(clustering.cluster)
    ids = np.array(sorted(members), dtype=np.int32)
    rows = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
    limits = np.zeros(len(ids), dtype=np.float32)
    for k, i in enumerate(ids):
        rows[k] = centroid(unit_rows(vectors[members[int(i)]])[1])
        limits[k] = np.percentile(clustering.distance[members[int(i)]], LIMIT_PERCENTILE)
    return Centroids(ids, rows, limits)


def outwards(clustering: Clustering, members: Indices) -> Indices:
    """The members of a cluster from its medoid outwards."""
    return members[np.lexsort((members, clustering.distance[members]))]


def reassign_noise(vectors: NDArray[np.float32], clustering: Clustering) -> Clustering:
    """Give every outlier that has a vector its nearest cluster, by the centroids.

    Its probability stays what it was, 0: such a member was never dense enough.
    """
    targets = centroids_of(vectors, clustering)
    known, rows = unit_rows(vectors)
    outliers = np.flatnonzero(known & (clustering.cluster == NOISE))
    if not len(targets.ids) or not len(outliers):
        return clustering
    index, distance = nearest(rows[(clustering.cluster == NOISE)[known]], targets.rows)
    cluster, distances = clustering.cluster.copy(), clustering.distance.copy()
    cluster[outliers] = targets.ids[index]
    distances[outliers] = distance
    return replace(clustering, cluster=cluster, distance=distances)


SAME_CLUSTER = 0.3
"""Least Jaccard index of two clusters that are one: the larger part of a cluster that splits in
two keeps its name, and of three that merge in equal shares one does."""

FIRST_ID = 1


class Matched(NamedTuple):
    """The clusters under their lasting ids, and the next id that was never given."""

    cluster: NDArray[np.int32]
    next_id: int


def keep_ids(
    cluster: NDArray[np.int32], previous: NDArray[np.int32], next_id: int = FIRST_ID
) -> Matched:
    """Rename provisional clusters (n,) to the ids that their members had in the previous run.

    `previous` (n,) is the id each photo had, `NOISE` for none or for a photo that is new. Pairs
    are chosen so that the sum of their Jaccard indices, over photos that both runs know, is the
    largest (Kuhn 1955). Clusters without a partner get ids from `next_id` on, the largest first:
    an id that is not met again is never given to another cluster.
    """
    ids = np.unique(cluster[cluster != NOISE])
    names = _partners(cluster, previous)
    for provisional in ids:
        if int(provisional) not in names:
            names[int(provisional)] = next_id
            next_id += 1
    renamed = np.full_like(cluster, NOISE)
    for provisional, name in names.items():
        renamed[cluster == provisional] = name
    return Matched(renamed, next_id)


def _partners(cluster: NDArray[np.int32], previous: NDArray[np.int32]) -> dict[int, int]:
    from scipy.optimize import linear_sum_assignment

    known = previous != NOISE
    new_ids = np.unique(cluster[known & (cluster != NOISE)])
    old_ids = np.unique(previous[known])
    if not len(new_ids) or not len(old_ids):
        return {}
    jaccard = _jaccard(cluster[known], previous[known], new_ids, old_ids)
    pairs = zip(*linear_sum_assignment(jaccard, maximize=True), strict=True)
    return {int(new_ids[n]): int(old_ids[o]) for n, o in pairs if jaccard[n, o] >= SAME_CLUSTER}


def _jaccard(
    cluster: NDArray[np.int32],
    previous: NDArray[np.int32],
    new_ids: NDArray[np.int32],
    old_ids: NDArray[np.int32],
) -> NDArray[np.float64]:
    shared = np.zeros((len(new_ids), len(old_ids)))
    placed = cluster != NOISE
    rows = np.searchsorted(new_ids, cluster[placed])
    columns = np.searchsorted(old_ids, previous[placed])
    np.add.at(shared, (rows, columns), 1)
    old_sizes = np.array([np.count_nonzero(previous == i) for i in old_ids])
    union = shared.sum(axis=1)[:, None] + old_sizes[None, :] - shared
    return np.asarray(shared / union)
