"""The largest batch that fits is found, and one that did not fit is not tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.backends.local_batching import FINE_ENOUGH, BatchSize


def search(batch: BatchSize, capacity: int, batches: int = 40) -> list[int]:
    """What is tried on a device that takes `capacity` photos at a time."""
    tried = []
    for _ in range(batches):
        size = batch.size
        tried.append(size)
        if size <= capacity:
            batch.fitted(size)
        else:
            batch.failed(size)
    return tried


@given(capacity=st.integers(1, 200), limit=st.integers(2, 128))
def test_the_search_ends_near_the_largest_that_fits_and_overruns_little(capacity, limit):
    batch = BatchSize(1, limit)
    tried = search(batch, capacity)
    reachable = min(capacity, limit)
    assert tried[-1] <= reachable
    assert reachable - tried[-1] <= max(reachable // FINE_ENOUGH, 1)
    assert sum(size > capacity for size in tried) <= 6
    assert tried[-1] == tried[-10], "it settles"


@given(capacity=st.integers(1, 64), size=st.integers(1, 64))
def test_a_size_that_was_given_only_shrinks(capacity, size):
    tried = search(BatchSize(size, size), capacity)
    assert tried == sorted(tried, reverse=True)
    assert tried[-1] <= capacity


def test_growth_waits_for_a_full_batch():
    batch = BatchSize(1, 64)
    for size in (1, 2, 4):
        batch.fitted(size)
    assert batch.size == 8
    batch.fitted(3)
    assert batch.size == 8


def test_what_did_not_fit_is_remembered():
    batch = BatchSize(1, 64)
    for size in (1, 2, 4, 8):
        batch.fitted(size)
    assert batch.failed(16)
    assert (batch.size, batch.limit) == (8, 15)
    assert not batch.failed(16), "no news: another thread said so"
    batch.fitted(8)
    assert batch.size == 12


@pytest.mark.parametrize("start", [1, 2])
def test_one_photo_that_does_not_fit_says_nothing_about_batches(start):
    batch = BatchSize(start, 8)
    assert not batch.failed(1)
    assert (batch.size, batch.limit) == (start, 8)
