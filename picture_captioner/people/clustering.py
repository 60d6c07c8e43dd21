"""Faces into clusters: HDBSCAN (Campello, Moulavi & Sander 2013) on an exact graph of neighbours.

The package `hdbscan` measures all distances: 46 s of processor time for 10,000 faces, and four
times that for twice as many. Here the spanning tree is made of each face's nearest neighbours;
condensing the tree and selecting clusters from it are the package's own.

What is farther apart than two faces of one person may be is no connection: the pieces into which
that cuts the graph are clustered one by one. So a library of one person is one cluster, which
HDBSCAN, never taking the whole for a cluster, would leave out, and strangers are no crowd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picture_captioner.people.faces import Vectors
from picture_captioner.people.neighbours import Neighbours, nearest

Labels = NDArray[np.int64]

NEIGHBOURS = 32
MIN_CLUSTER_SIZE = 3
MIN_SAMPLES = 2
"""Pair precision .994, recall .939 on 578 faces of 40 people and 87 strangers (docs/people.md)."""
PAIR = 0.6
"""Cosine above which two faces that are each other's nearest are one person's, though no third is
near: so were 8 of 12 that have two photos; two strangers there came to .49 (docs/log.md)."""
COPIES = 0.9
"""And above which they are one moment's: two files of a photo, or a burst, make nobody known."""
STRAY = 0.4
"""Cosine with the mean of the others in its cluster, below which a face came there by a chain: of
174 faces of 27 people the two below were strangers (docs/log.md)."""
SAME_PERSON = 0.363
"""The cosine above which SFace takes two faces for one person's, as OpenCV documents it."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """What a clustering found.

    `labels`: the cluster of each face, -1 for none. `probabilities`: how firmly it belongs, 0 to 1.
    `outliers`: how much it looks like an outlier (GLOSH), 0 to 1. `core`: the distance to its
    neighbour number `MIN_SAMPLES`. `lambdas`: the λ (1 / distance) at which it leaves the tree, NaN
    where there is none. `births`: for each cluster the λ at which it appears; `persistence`: how
    long it lasts. `tree`: the condensed trees of all pieces, rows of piece, parent, child, λ and
    size of the child.
    """

    labels: Labels
    probabilities: Vectors
    outliers: Vectors
    core: Vectors
    lambdas: Vectors
    births: Vectors
    persistence: Vectors
    tree: NDArray[np.float64]


def cluster(
    vectors: Vectors, *, same_person: float = SAME_PERSON, photos: Sequence[str] | None = None
) -> Clusters:
    """Group unit vectors, shape (n, dim).

    Args:
        photos: the photo of each face. With it two faces of two photos may be a cluster (`PAIR`),
            without it fewer than `MIN_CLUSTER_SIZE` are of none.
    """
    labels = np.full(len(vectors), -1, np.int64)
    probabilities = np.zeros(len(vectors), np.float32)
    outliers = np.ones(len(vectors), np.float32)
    core = np.full(len(vectors), np.nan, np.float32)
    lambdas = np.full(len(vectors), np.nan, np.float32)
    births: list[float] = []
    persistence: list[float] = []
    trees = [np.empty((0, 5))]
    if len(vectors) > 1:
        found = nearest(vectors, vectors, NEIGHBOURS, same=True)
        limit = float(np.sqrt(2.0 - 2.0 * same_person))
        distances = np.sqrt(np.maximum(2.0 - 2.0 * found.cosines.astype(np.float64), 0.0))
        core[:] = distances[:, min(MIN_SAMPLES, distances.shape[1]) - 1]
        for members, edges in _pieces(found.indices, distances, core, limit, MIN_CLUSTER_SIZE):
            piece = _selected(edges, len(members), limit, MIN_CLUSTER_SIZE)
            here = piece.labels >= 0
            labels[members[here]] = piece.labels[here] + len(births)
            probabilities[members], outliers[members] = piece.probabilities, piece.outliers
            lambdas[members] = piece.lambdas
            births += piece.births.tolist()
            persistence += piece.persistence.tolist()
            trees.append(np.insert(piece.tree, 0, len(trees) - 1, axis=1))
        strays = _strays(vectors, labels)
        labels[strays], probabilities[strays], outliers[strays] = -1, 0.0, 1.0
        kept, inside = np.unique(labels[labels >= 0]), labels >= 0
        labels[inside] = np.searchsorted(kept, labels[inside])
        births, persistence = ([of[i] for i in kept.tolist()] for of in (births, persistence))
        for one, other in _pairs(found, labels, photos) if photos is not None else ():
            pair, near = [one, other], 1.0 / distances[one, 0]
            labels[pair], lambdas[pair] = len(births), near
            probabilities[pair], outliers[pair] = 1.0, 0.0
            births.append(near)
            persistence.append(0.0)
    return Clusters(
        labels,
        probabilities,
        outliers,
        core,
        lambdas,
        np.array(births, np.float32),
        np.array(persistence, np.float32),
        np.concatenate(trees),
    )


def _strays(vectors: Vectors, labels: Labels) -> Labels:
    """Faces that are near to one or two of their cluster and like none of the others.

    And all of a cluster that is too small without them: whether two are somebody, `_pairs` says.
    """
    inside = np.flatnonzero(labels >= 0)
    sums = np.zeros((int(labels.max(initial=-1)) + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, labels[inside], vectors[inside])
    others = sums[labels[inside]] - vectors[inside]
    lengths = np.linalg.norm(others, axis=1)
    cosines = np.einsum("ij,ij->i", others, vectors[inside]) / np.maximum(lengths, 1e-9)
    stay = cosines >= STRAY
    small = np.bincount(labels[inside[stay]], minlength=len(sums)) < MIN_CLUSTER_SIZE
    strays: Labels = inside[~stay | small[labels[inside]]]
    return strays


def _pairs(found: Neighbours, labels: Labels, photos: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Faces of no cluster that are each other's nearest, in two photos, and near enough."""
    others, cosines = found.indices[:, 0], found.cosines[:, 0]
    free = (labels < 0) & (cosines > PAIR) & (cosines < COPIES)
    mutual = others[others] == np.arange(len(others))
    for one in np.flatnonzero(free & free[others] & mutual).tolist():
        if one < (other := int(others[one])) and photos[one] != photos[other]:
            yield one, other


def _pieces(
    indices: Labels, distances: NDArray[np.float64], core: Vectors, limit: float, least: int
) -> Iterator[tuple[Labels, NDArray[np.float64]]]:
    """The connected pieces of at least that size: who is in it, and its spanning tree.

    An edge is (one end, other end, mutual reachability), the ends counted within the piece.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    count, k = indices.shape
    ends = np.repeat(np.arange(count), k), indices.ravel()
    mutual = np.maximum(distances.ravel(), np.maximum(core[ends[0]], core[ends[1]]))
    near = np.flatnonzero(mutual <= limit)
    # Each pair once, and none of length 0, which a sparse graph does not know: copies of a face.
    pairs = np.minimum(*ends)[near] * count + np.maximum(*ends)[near]
    pairs, firsts = np.unique(pairs, return_index=True)
    lengths = np.maximum(mutual[near][firsts], 1e-9)
    graph = coo_array((lengths, np.divmod(pairs, count)), shape=(count, count))
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    _, piece = connected_components(tree, directed=False)
    by_piece = np.argsort(piece, kind="stable")
    bounds = np.flatnonzero(np.diff(piece[by_piece], prepend=-1, append=count))
    place = np.empty(count, np.int64)  # of a face within its piece
    place[by_piece] = np.arange(count) - np.repeat(bounds[:-1], np.diff(bounds))
    edges = np.stack([place[tree.row], place[tree.col], tree.data], axis=1)
    of_edge = piece[tree.row]
    order = np.lexsort((edges[:, 1], edges[:, 0], edges[:, 2], of_edge))
    edges, of_edge = edges[order], of_edge[order]
    for number, (start, end) in enumerate(pairwise(bounds.tolist())):
        if end - start >= least:
            first, last = np.searchsorted(of_edge, [number, number + 1])
            yield by_piece[start:end], edges[first:last]


def _selected(
    edges: NDArray[np.float64], count: int, limit: float, min_cluster_size: int
) -> Clusters:
    """Condense a piece's tree and take the clusters that last longest (excess of mass)."""
    from hdbscan._hdbscan_linkage import label
    from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters, outlier_scores

    # A second group, at the limit, so that the piece itself is no root and may be a cluster.
    others = np.arange(count, count + min_cluster_size, dtype=np.float64)
    tie = np.append(np.full(len(others) - 1, 1e-9), limit)
    group = np.stack([np.append(others[:-1], 0), np.append(others[1:], others[0])], axis=1)
    joined = np.concatenate([edges, np.column_stack([group, tie])])
    linked = label(np.ascontiguousarray(joined[np.argsort(joined[:, 2], kind="stable")]))
    tree = condense_tree(linked, min_cluster_size)
    found, probabilities, persistence = get_clusters(tree, dict(compute_stability(tree)))
    raw = np.asarray(found, np.int64)[:count]
    names, labels = np.unique(raw[raw >= 0], return_inverse=True)
    raw[raw >= 0] = labels
    rows = np.stack([np.asarray(tree[name], np.float64) for name in tree.dtype.names], axis=1)
    lambdas = np.full(count, np.nan, np.float32)
    single = rows[(rows[:, 3] == 1) & (rows[:, 1] < count)]
    lambdas[single[:, 1].astype(np.int64)] = single[:, 2]
    return Clusters(
        raw,
        np.asarray(probabilities, np.float32)[:count],
        np.nan_to_num(np.asarray(outlier_scores(tree), np.float32))[:count],
        np.zeros(count, np.float32),
        lambdas,
        _births(rows, raw, count + len(others)),
        np.asarray(persistence, np.float32)[names],
        rows,
    )


def _births(tree: NDArray[np.float64], labels: Labels, points: int) -> Vectors:
    """λ at which each cluster appears: that of the highest node of which all faces are in it."""
    nodes = int(tree[:, :2].max()) + 1
    lowest, highest = np.full(nodes, np.inf), np.full(nodes, -np.inf)
    lowest[: len(labels)] = highest[: len(labels)] = labels
    lowest[len(labels) : points] = highest[len(labels) : points] = -1
    for parent, child in tree[::-1, :2].astype(
        np.int64
    ):  # a child's number is its parent's or more
        lowest[parent] = min(lowest[parent], lowest[child])
        highest[parent] = max(highest[parent], highest[child])
    births = np.zeros(int(labels.max(initial=-1)) + 1, np.float32)
    for _, child, born, size in tree[::-1]:
        node = int(child)
        if size > 1 and lowest[node] == highest[node] >= 0:
            births[int(lowest[node])] = born  # the last one to be written is the highest
    return births
