"""Pairs of 64-bit perceptual hashes that are close, without comparing all with all.

Multi-index hashing (Norouzi, Punjani & Fleet 2012): of four bands, two hashes that differ in at
most r bits agree in one but for r // 4 bits. So each hash is compared with those alone that have
one of its bands, or one that is so near. A band takes every fourth bit: neighbouring bits say the
same in many photos (a sky), and would put them all together.

Pairs come in blocks, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import combinations
from operator import or_

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.model import Indices

BITS = 64
FLAT_BITS = 6
"""A hash with so few ones or zeros is of a picture without structure (a wall, the sky, a black
frame): such pictures resemble each other and everything that is blurred."""

_BANDS = 4
_WIDTH = BITS // _BANDS

_BLOCK = 1 << 20
"""Pairs that are compared at a time."""

_FIRST_EQUALS = 16
"""Of many photos with one hash (a camera that watches a door), the first so many are compared
with all: each with each would be millions of pairs, and says no more."""


def is_telling(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which hashes say something about their pictures."""
    ones = np.bitwise_count(hashes)
    return np.asarray((ones > FLAT_BITS) & (ones < BITS - FLAT_BITS))


def close_pairs(hashes: NDArray[np.uint64], radius: int) -> Iterator[tuple[Indices, Indices]]:
    """The pairs i < j of hashes (n,) that differ in at most `radius` bits, each once."""
    unique, inverse, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(sizes) - sizes
    few = np.minimum(sizes, _FIRST_EQUALS)
    many = np.flatnonzero(sizes > 1)
    for i, j in _products(starts[many], few[many], starts[many], sizes[many]):
        yield order[i[i < j]], order[j[i < j]]
    for a, b in _unique_pairs(unique, radius):
        for i, j in (
            *_products(starts[a], sizes[a], starts[b], few[b]),
            *_products(starts[a], few[a], starts[b] + few[b], (sizes - few)[b]),
        ):
            one, other = order[i], order[j]
            yield np.minimum(one, other), np.maximum(one, other)


def _unique_pairs(hashes: NDArray[np.uint64], radius: int) -> Iterator[tuple[Indices, Indices]]:
    flips = radius // _BANDS
    keys = _bands(hashes)
    masks = [
        reduce(or_, (1 << bit for bit in bits), 0)
        for count in range(flips + 1)
        for bits in combinations(range(_WIDTH), count)
    ]
    for band, key in enumerate(keys):
        order = np.argsort(key, kind="stable")
        ordered, of_band = hashes[order], key[order]
        first = np.searchsorted(of_band, np.arange((1 << _WIDTH) + 1))
        for mask in masks:
            beside = of_band ^ mask
            start, end = first[beside], first[beside + 1]
            if mask:
                end = np.where(of_band < beside, end, start)
            else:
                start = np.arange(1, len(of_band) + 1)
            rows = np.arange(len(of_band))
            for i, j in _products(rows, np.ones_like(rows), start, end - start):
                near = np.bitwise_count(ordered[i] ^ ordered[j]) <= radius
                one, other = order[i[near]], order[j[near]]
                for earlier in keys[:band]:  # there the pair was found already
                    new = np.bitwise_count(earlier[one] ^ earlier[other]) > flips
                    one, other = one[new], other[new]
                if len(one):
                    yield one, other


def _bands(hashes: NDArray[np.uint64]) -> list[Indices]:
    """Every fourth bit of the hashes, four times."""
    found = []
    for band in range(_BANDS):
        key = np.zeros(len(hashes), dtype=np.int64)
        for place in range(_WIDTH):
            bit = hashes >> np.uint64(place * _BANDS + band) & np.uint64(1)
            key |= bit.astype(np.int64) << place
        found.append(key)
    return found


def _products(
    starts: Indices, sizes: Indices, other_starts: Indices, other_sizes: Indices
) -> Iterator[tuple[Indices, Indices]]:
    """All of each range with all of the range beside it, about `_BLOCK` pairs at a time."""
    counts = sizes * other_sizes
    some = np.flatnonzero(counts)
    done = np.cumsum(counts[some])
    edges = np.searchsorted(done, np.arange(_BLOCK, int(counts.sum()), _BLOCK))
    for rows in np.split(some, edges):
        repeated = np.repeat(rows, counts[rows])
        ends = np.cumsum(counts[rows])
        within = np.arange(len(repeated)) - np.repeat(ends - counts[rows], counts[rows])
        width = other_sizes[repeated]
        yield starts[repeated] + within // width, other_starts[repeated] + within % width
