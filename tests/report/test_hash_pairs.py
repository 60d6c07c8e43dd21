"""Close hashes are found, all of them and no others, and quickly."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.report.hash_pairs import close_pairs, is_telling

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=12)


@given(hashes, st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=7))))
def test_the_same_pairs_as_by_comparing_all(values, changes):
    """`changes` makes relatives: random hashes are never close to each other."""
    values = values + [
        values[i % len(values)] ^ sum(1 << bit for bit in bits) for i, bits in changes if values
    ]
    array = np.array(values, dtype=np.uint64)
    i, j = close_pairs(array, 5)
    found = set(zip(i.tolist(), j.tolist(), strict=True))
    close = {
        (a, b)
        for a in range(len(values))
        for b in range(a + 1, len(values))
        if (values[a] ^ values[b]).bit_count() <= 5
    }
    assert found <= close
    different = {(a, b) for a, b in close if values[a] != values[b]}
    assert different <= found
    # Of equal hashes the first is paired with each, which is enough to be one group.
    first = {v: values.index(v) for v in values}
    assert {(first[values[b]], b) for b in range(len(values)) if first[values[b]] != b} <= found


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
    close_pairs(values, 5)
    assert time.process_time() - started < 15
