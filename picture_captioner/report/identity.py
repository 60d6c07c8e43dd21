"""Which cluster is which of the previous run, so that cluster 12 is still the beach next month."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.model import NOISE

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
