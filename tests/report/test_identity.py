"""Clusters keep their ids by their members."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.report.clustering import keep_ids

NOISE = -1


def ids(*groups: tuple[int, int]) -> np.ndarray:
    """`(7, 3)` is three photos in cluster 7."""
    return np.concatenate([np.full(n, i, dtype=np.int32) for i, n in groups])


def test_the_first_run_counts_from_one():
    found = keep_ids(ids((0, 5), (1, 3), (NOISE, 2)), ids((NOISE, 10)))
    assert found.cluster.tolist() == [1] * 5 + [2] * 3 + [NOISE] * 2
    assert found.next_id == 3


def test_other_numbers_for_the_same_groups_change_nothing():
    found = keep_ids(ids((2, 5), (0, 3), (1, 9)), ids((7, 5), (4, 3), (9, 9)), next_id=10)
    assert found.cluster.tolist() == [7] * 5 + [4] * 3 + [9] * 9
    assert found.next_id == 10


def test_of_a_cluster_that_splits_the_larger_part_keeps_the_id():
    found = keep_ids(ids((0, 6), (1, 4)), ids((7, 10)), next_id=8)
    assert found.cluster.tolist() == [7] * 6 + [8] * 4


def test_of_clusters_that_merge_the_larger_gives_its_id():
    found = keep_ids(ids((0, 10)), ids((7, 6), (8, 4)), next_id=9)
    assert found.cluster.tolist() == [7] * 10
    assert found.next_id == 9


def test_a_few_shared_photos_do_not_make_it_the_same_cluster():
    before = ids((7, 2), (NOISE, 18))
    found = keep_ids(ids((0, 20)), before, next_id=8)
    assert found.cluster.tolist() == [7] * 20, "of the photos that both runs know, all are the same"
    before = ids((7, 2), (8, 18))
    assert keep_ids(ids((0, 2), (1, 9), (2, 9)), before, 9).cluster.tolist() == (
        [7] * 2 + [8] * 9 + [9] * 9
    )


def test_the_sum_decides_not_the_best_pair():
    """New 0 and old 7 fit best; taken so, new 1 and old 8 would be left without a partner."""
    before = ids((7, 6), (8, 4), (7, 4))
    found = keep_ids(ids((0, 6), (0, 4), (1, 4)), before, next_id=9)
    assert found.cluster.tolist() == [8] * 10 + [7] * 4


clusterings = st.lists(st.integers(-1, 6), min_size=1, max_size=60)


@given(st.data(), clusterings)
def test_groups_stay_groups_and_no_id_is_given_twice(data, cluster):
    now = np.array(cluster, dtype=np.int32)
    before = np.array(
        data.draw(st.lists(st.integers(-1, 9), min_size=len(now), max_size=len(now))), np.int32
    )
    found = keep_ids(now, before, next_id=10)
    pairs = set(zip(now.tolist(), found.cluster.tolist(), strict=True))
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert ((now == NOISE) == (found.cluster == NOISE)).all()
    assert all(b in before or b >= 10 or b == NOISE for _, b in pairs)
    assert found.next_id == 10 + sum(b >= 10 for _, b in pairs)
    assert keep_ids(now, found.cluster, found.next_id).cluster.tolist() == found.cluster.tolist()
