"""Photos with the same caption are in one cluster, at one place."""

from __future__ import annotations

import numpy as np

from picture_captioner.report.density import Grouping
from picture_captioner.report.identical import distinct, in_discs, of_kinds
from tests.report.support import build, photo, themed


def test_600_photos_with_one_caption_are_one_cluster():
    photos, vectors, theme = themed(50)
    same = [photo(f"same/{i}.jpg", caption="A grey square.") for i in range(600)]
    alike = np.repeat(np.random.default_rng(7).normal(size=(1, 64)), 600, axis=0)
    built = build([*photos, *same], np.concatenate([vectors, alike]))
    found = built.report.clustering.cluster
    assert len(set(found[600:].tolist())) == 1
    assert found[600] != -1
    assert {len(set(found[:600][theme == t].tolist()) - {-1}) for t in range(12)} == {1}


def test_a_theme_has_so_many_photos_and_not_so_many_wordings():
    photos, vectors, theme = themed(8)
    wording = vectors[[8 * t + i % 4 for t in theme[::8] for i in range(8)]]
    found = build(photos, wording).report.clustering.cluster
    assert {len(set(found[theme == t].tolist())) for t in range(12)} == {1}
    assert len(set(found.tolist()) - {-1}) == 12


def test_kinds_are_in_order_of_their_first_row():
    first, kind = distinct(np.array([[1, 0], [0, 1], [1, 0], [0.5, 0]], dtype=np.float32))
    assert first.tolist() == [0, 1, 3]
    assert kind.tolist() == [0, 1, 0, 2]


def test_discs_do_not_overlap():
    places = np.random.default_rng(2).normal(size=(40, 2)).astype(np.float32)
    kind = np.repeat(np.arange(40), np.arange(1, 41))
    position = in_discs(places, kind)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(40) * 99
    reached = np.linalg.norm(position - places[kind], axis=1)
    assert (reached < gaps.min(axis=1)[kind] / 2).all()
    assert len(np.unique(position, axis=0)) == len(kind)


def test_kinds_become_rows_and_a_large_one_that_is_alone_a_cluster():
    nothing = np.zeros(5, dtype=np.float32)
    cluster = np.array([0, 0, -1, -1, 1], dtype=np.int32)
    grouping = Grouping(cluster, nothing, nothing, np.eye(5, 2, dtype=np.float32))
    kind = np.array([0, 1, 1, 2, 2, 2, 3, 4])
    assert of_kinds(grouping, kind, 3).cluster.tolist() == [0, 0, 0, 2, 2, 2, -1, -1]
    assert of_kinds(grouping, kind, 2).probability.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
