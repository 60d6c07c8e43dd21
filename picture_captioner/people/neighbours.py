"""The nearest neighbours of unit vectors, exactly, in blocks of bounded memory.

An index library was tried and left out: HNSW found .83 to .91 of the neighbours that matter here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.people.faces import Vectors

ROWS, COLUMNS = 1024, 8192
"""A block of similarities takes 32 MB."""
FIRST = 2048
"""Columns of the first block, which gives every row a limit that few of the others pass."""
NOBODY, NEVER = -2.0, -3.0
"""Cosines of a place that is free yet, and of who may not be a neighbour."""


class Neighbours(NamedTuple):
    """For each vector its `k` nearest others, the nearest first: indices and cosines, (n, k)."""

    indices: NDArray[np.int64]
    cosines: Vectors


class Near(NamedTuple):
    """Pairs of a row and another vector, by row, and their cosines; arrays of one length."""

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    cosines: Vectors


def near(rows: Vectors, vectors: Vectors, least: float) -> Near:
    """All pairs with a cosine above `least`, of unit vectors; few are expected."""
    parts = [Near(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for start in range(0, len(rows) if len(vectors) else 0, ROWS):
        cosines = rows[start : start + ROWS] @ vectors.T
        flat = np.flatnonzero(cosines > least)
        row, other = np.divmod(flat, len(vectors))
        parts.append(Near(row + start, other, cosines.ravel()[flat]))
    return Near(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def nearest(
    queries: Vectors,
    vectors: Vectors,
    k: int,
    *,
    same: bool = False,
    among: NDArray[np.bool_] | None = None,
) -> Neighbours:
    """The `k` nearest of `vectors` for each of `queries`, all of unit length.

    Args:
        same: both are the same vectors, and nobody is a neighbour of their own.
        among: which of the vectors may be neighbours: a copy of most of 200,000 takes 0.1 s.
    """
    k = max(0, min(k, (len(vectors) if among is None else int(among.sum())) - same))
    indices = np.zeros((len(queries), k), np.int64)
    cosines = np.full((len(queries), k), NOBODY, np.float32)
    if k > 0:
        for start in range(0, len(queries), ROWS):
            part = slice(start, min(start + ROWS, len(queries)))
            indices[part], cosines[part] = _of_rows(
                queries[part], vectors, k, start if same else None, among
            )
    return Neighbours(indices, cosines)


def _of_rows(
    rows: Vectors, vectors: Vectors, k: int, own: int | None, among: NDArray[np.bool_] | None
) -> Neighbours:
    """The neighbours of a block of rows; `own` is the index of the first among `vectors`."""
    best = np.full((len(rows), k), _key(np.array([NOBODY], np.float32), 0))
    least = np.full((len(rows), 1), NOBODY, np.float32)
    # Few rows, more columns: after each product OpenBLAS's threads wait for the next, busily.
    columns = ROWS * COLUMNS // len(rows)
    bounds = [0, *range(FIRST, len(vectors), columns), len(vectors)]
    for start, end in pairwise(bounds):
        similar = rows @ vectors[start:end].T
        if among is not None:
            similar[:, np.flatnonzero(~among[start:end])] = NEVER
        if own is not None:
            mine = np.arange(own, own + len(rows)) - start
            inside = np.flatnonzero((mine >= 0) & (mine < end - start))
            similar[inside, mine[inside]] = NEVER
        if start == 0 and end > k:
            least = np.maximum(least, np.partition(similar, end - k, axis=1)[:, end - k, None])
        # Few pass the k-th best so far, and only these are sorted in.
        flat = np.flatnonzero(similar >= least)
        row, column = np.divmod(flat, end - start)
        best = _sorted_in(best, row, _key(similar.ravel()[flat], column + start))
        least = _cosines(best[:, -1:])
    return Neighbours(best & 0xFFFFFFFF, _cosines(best))


def _sorted_in(
    best: NDArray[np.int64], row: NDArray[np.int64], keys: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The best so far, (n, k), and others, those of each row together: the k best of both."""
    counts = np.bincount(row, minlength=len(best))
    k = best.shape[1]
    wide = np.full((len(best), k + int(counts.max())), np.iinfo(np.int64).max)
    wide[:, :k] = best
    wide[row, k + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = keys
    wide.sort(axis=1)
    return wide[:, :k]


def _key(cosines: Vectors, others: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """One number for a cosine and an index, in the order of nearness and then of index.

    Sorting such numbers takes a tenth of the time of sorting by two columns. The bits of a positive
    IEEE 754 number, read as an integer, are in its order; those of a negative one in the reverse.
    """
    bits = cosines.view(np.int32)
    ordered = ~(bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    keys: NDArray[np.int64] = (ordered << 32) | others
    return keys


def _cosines(keys: NDArray[np.int64]) -> Vectors:
    """The cosines in such numbers."""
    bits = (~(keys >> 32)).astype(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)
