"""Close hashes are found, all of them and no others, and quickly."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.report.hash_pairs import close_pairs, is_telling

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=12)


changed = st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=12)))


def pairs(array, radius):
    found = [pair for i, j in close_pairs(array, radius) for pair in zip(i, j, strict=True)]
    assert len(found) == len(set(found)), "each once"
    return set(found)


@given(hashes, changed, st.integers(0, 12))
def test_the_same_pairs_as_by_comparing_all(values, changes, radius):
    """`changes` makes relatives: random hashes are never close to each other."""
    values = values + [
        values[i % len(values)] ^ sum(1 << bit for bit in bits) for i, bits in changes if values
    ]
    array = np.array(values, dtype=np.uint64)
    assert pairs(array, radius) == {
        (a, b)
        for a in range(len(values))
        for b in range(a + 1, len(values))
        if (values[a] ^ values[b]).bit_count() <= radius
    }


def test_many_photos_with_one_hash_are_not_compared_each_with_each():
    array = np.array([0x0F0F] * 1000 + [0x0F0E] * 1000, dtype=np.uint64)
    found = pairs(array, 5)
    assert len(found) < 100_000
    assert {i for pair in found for i in pair} == set(range(2000))
    assert {(0, i) for i in range(1, 2000)} <= found, "one group, around the first"


def test_flat_pictures_say_nothing():
    assert is_telling(
        np.array([0, 2**64 - 1, 0b111, 0x0F0F0F0F0F0F0F0F], dtype=np.uint64)
    ).tolist() == [
        False,
        False,
        False,
        True,
    ]


def test_a_large_library_is_not_compared_with_itself():
    values = np.random.default_rng(0).integers(0, 2**63, size=20_000, dtype=np.uint64)
    started = time.process_time()
    for _ in close_pairs(values, 10):
        pass
    assert time.process_time() - started < 15
