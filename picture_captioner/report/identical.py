"""Photos with the same vector, such as those with the same caption: one place, one cluster.

To UMAP 600 identical captions are 600 points with 15 neighbours each, and end in several groups.
So each vector (a kind of row) is laid out once, and its photos lie around that place in a disc.
HDBSCAN is shown discs, as a theme is so many photos and not so many wordings; the middle decides.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.density import Grouping
from picture_captioner.report.geometry import members_of
from picture_captioner.report.model import NOISE, Indices

GOLDEN_ANGLE = np.pi * (3 - 5**0.5)

REACH = 0.4
"""Of the way to the nearest other place, how far a disc may reach: discs never overlap."""


def distinct(rows: NDArray[np.float32]) -> tuple[Indices, Indices]:
    """The first row of each kind in (n, d), in order, and for each row its kind."""
    bytes_of_rows = np.ascontiguousarray(rows).view(np.dtype((np.void, rows[0].nbytes))).ravel()
    _, first, kind = np.unique(bytes_of_rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[kind.ravel()]


def counted(
    places: NDArray[np.float32], kind: Indices, most: int
) -> tuple[NDArray[np.float32], Indices]:
    """For each kind as many points as it has rows, up to `most`, and which of them is its middle.

    `most` is the smallest cluster, of which one kind is a theme by itself. All of its rows are too
    many: of a library of 34 scenes it parts wordings of one (docs/log.md).
    """
    number = np.minimum(np.bincount(kind), most)
    return in_discs(places, np.repeat(np.arange(len(places)), number)), np.cumsum(number) - number


def at_rows(grouping: Grouping, rows: Indices) -> Grouping:
    """What a grouping says of some of its rows."""
    return Grouping(*(getattr(grouping, field.name)[rows] for field in fields(Grouping)))


def of_kinds(grouping: Grouping, kind: Indices, min_cluster_size: int) -> Grouping:
    """A grouping of kinds as one of their rows.

    A kind that is in no cluster and has rows enough is one of its own; a cluster of too few rows is
    none.
    """
    of_kind, number = grouping.cluster.copy(), np.bincount(kind)
    alone = np.flatnonzero((of_kind == NOISE) & (number >= min_cluster_size))
    of_kind[alone] = of_kind.max(initial=NOISE) + 1 + np.arange(len(alone))
    rows = np.bincount(of_kind[kind] + 1, minlength=int(of_kind.max(initial=NOISE)) + 2)
    of_kind[rows[of_kind + 1] < min_cluster_size] = NOISE
    placed = of_kind != NOISE
    certain = np.isin(np.arange(len(of_kind)), alone)
    return Grouping(
        cluster=of_kind[kind],
        probability=np.where(certain, np.float32(1), grouping.probability * placed)[kind],
        outlier_score=np.where(certain, np.float32(0), grouping.outlier_score)[kind],
        position=in_discs(grouping.position, kind),
    )


def in_discs(places: NDArray[np.float32], kind: Indices) -> NDArray[np.float32]:
    """Positions (n, 2) of rows around the places (k, 2) of their kinds, as seeds in a sunflower."""
    if len(places) in {1, len(kind)}:
        return places[kind]
    number, size = np.empty(len(kind), dtype=np.int64), np.bincount(kind)
    for members in members_of(kind.astype(np.int32)).values():
        number[members] = np.arange(len(members))
    free = _nearest_other(places)
    step = np.minimum(np.median(free) / 2, free / np.sqrt(size)) * REACH
    radius, angle = step[kind] * np.sqrt(number), number * GOLDEN_ANGLE
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    return np.asarray(places[kind] + around, dtype=np.float32)


def _nearest_other(places: NDArray[np.float32]) -> NDArray[np.float64]:
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=2).fit(places).kneighbors(places)
    return np.asarray(distances[:, 1], dtype=np.float64)
