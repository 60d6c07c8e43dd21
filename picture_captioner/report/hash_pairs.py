"""Pairs of 64-bit perceptual hashes that are close, without comparing all with all.

Multi-index hashing (Norouzi, Punjani & Fleet 2012): of r + 1 bands, two hashes that differ in at
most r bits agree in one band at least. So only hashes that share a band are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.model import Indices

BITS = 64
FLAT_BITS = 6
"""A hash with so few ones or zeros is of a picture without structure (a wall, the sky, a black
frame): such pictures resemble each other and everything that is blurred."""


def is_telling(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes say something about their pictures."""
    ones = np.bitwise_count(hashes)
    return np.asarray((ones > FLAT_BITS) & (ones < BITS - FLAT_BITS))


def close_pairs(hashes: NDArray[np.uint64], radius: int) -> tuple[Indices, Indices]:
    """The pairs i < j of hashes (n,) that differ in at most `radius` bits."""
    unique, inverse = np.unique(hashes, return_inverse=True)
    groups = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    found = {(i, j) for a, b in _unique_pairs(unique, radius) for i, j in zip(a, b, strict=True)}
    pairs = [(int(i), int(j)) for a, b in sorted(found) for i in groups[a] for j in groups[b]]
    for group in groups:
        pairs += [(int(group[0]), int(other)) for other in group[1:]]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array.min(axis=1), array.max(axis=1)


def _unique_pairs(hashes: NDArray[np.uint64], radius: int) -> Iterator[tuple[list[int], list[int]]]:
    edges = np.linspace(0, BITS, radius + 2).astype(int)
    for low, high in pairwise(edges):
        mask = np.uint64((1 << int(high - low)) - 1)
        band = (hashes >> np.uint64(low)) & mask
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, starts):
            yield from _in_bucket(bucket, hashes, radius)


def _in_bucket(
    bucket: Indices, hashes: NDArray[np.uint64], radius: int
) -> Iterator[tuple[list[int], list[int]]]:
    bucket = np.sort(bucket)
    for place, i in enumerate(bucket[:-1]):
        others = bucket[place + 1 :]
        close = others[np.bitwise_count(hashes[others] ^ hashes[i]) <= radius]
        if len(close):
            yield [int(i)] * len(close), close.tolist()
