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
"""Columns of the first block: sorting it gives every row a limit that few of the others pass."""


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
    cosines = np.full((len(queries), k), -2.0, np.float32)
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
    best = np.full((len(rows), k), -2.0, np.float32)
    who = np.zeros((len(rows), k), np.int64)
    # Few rows, more columns: after each product OpenBLAS's threads wait for the next, busily.
    columns = ROWS * COLUMNS // len(rows)
    bounds = [0, *range(FIRST, len(vectors), columns), len(vectors)]
    for start, end in pairwise(bounds):
        similar = rows @ vectors[start:end].T
        if among is not None:
            similar[:, np.flatnonzero(~among[start:end])] = -2.0
        if own is not None:
            mine = np.arange(own, own + len(rows)) - start
            inside = np.flatnonzero((mine >= 0) & (mine < end - start))
            similar[inside, mine[inside]] = -2.0
        if start == 0 and end > k:
            column = np.argpartition(similar, end - k, axis=1)[:, -k:]
            row, column = np.repeat(np.arange(len(rows)), k), column.ravel()
        else:  # few beat the k-th best so far, and only these are sorted in
            flat = np.flatnonzero(similar > best[:, -1:])
            row, column = np.divmod(flat, end - start)
        _sort_in(best, who, row, column + start, similar[row, column])
    return Neighbours(who, best)


def _sort_in(
    best: Vectors,
    who: NDArray[np.int64],
    row: NDArray[np.int64],
    index: NDArray[np.int64],
    cosine: Vectors,
) -> None:
    """Merge candidates, sorted by row, into the best so far."""
    touched = np.unique(row)
    k = best.shape[1]
    rows = np.concatenate([np.repeat(touched, k), row])
    values = np.concatenate([best[touched].ravel(), cosine])
    indices = np.concatenate([who[touched].ravel(), index])
    order = np.lexsort((indices, -values, rows))  # equal cosines by index: the same every time
    rows, values, indices = rows[order], values[order], indices[order]
    firsts = np.searchsorted(rows, touched)
    taken = firsts[:, None] + np.arange(k)
    best[touched], who[touched] = values[taken], indices[taken]
