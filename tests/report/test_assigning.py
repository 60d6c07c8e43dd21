"""New photos into the clusters of an earlier run."""

from __future__ import annotations

import numpy as np
import pytest

from picture_captioner.errors import UsageError
from picture_captioner.report.model import NOISE
from tests.report.support import build, photo, themed


def with_new(themes, per_theme: int):
    photos, vectors, theme = themed(per_theme, seed=11)
    return [*themes.photos, *photos], np.concatenate([themes.vectors, vectors]), theme


def test_new_photos_join_the_theme_that_they_show(themes):
    photos, vectors, theme = with_new(themes, 2)
    found = build(photos, vectors, themes.built.state, assign=True)
    old = themes.built.report.clustering
    new = found.report.clustering
    assert np.array_equal(new.cluster[:600], old.cluster)
    assert np.array_equal(new.position[:600], old.position)
    id_of = {themes.theme[c.medoid]: c.id for c in themes.built.report.clusters}
    assert np.mean(new.cluster[600:] == [id_of[t] for t in theme]) >= 0.95
    assert np.isfinite(new.position[600:]).all()
    assert any("24 new photos" in note for note in found.report.head.notes)


def test_a_photo_unlike_all_others_is_noise(themes):
    photos, vectors, _ = with_new(themes, 1)
    vectors[-1] = -themes.vectors.mean(axis=0)
    found = build(photos, vectors, themes.built.state, assign=True).report.clustering
    assert found.cluster[-1] == NOISE
    assert np.isnan(found.distance[-1])


def test_when_too_many_came_since_it_says_so(themes):
    photos, vectors, _ = with_new(themes, 4)  # 48 of 648
    once = build(photos, vectors, themes.built.state, assign=True)
    assert not any("without --assign" in note for note in once.report.head.notes)
    more, rows, _ = themed(3, seed=12)  # and 36: 84 of 684
    twice = build([*photos, *more], np.concatenate([vectors, rows]), once.state, assign=True)
    assert any("12% of the photos" in note for note in twice.report.head.notes)
    assert twice.state.added.sum() == 84
    assert not build(photos, vectors, twice.state).state.added.any(), "clustering starts afresh"


def test_photos_that_went_away_are_forgotten(themes):
    found = build(themes.photos[:300], themes.vectors[:300], themes.built.state, assign=True)
    assert np.array_equal(
        found.report.clustering.cluster, themes.built.report.clustering.cluster[:300]
    )


def test_a_photo_whose_vector_is_new_is_placed(themes):
    vectors = themes.vectors.copy()
    vectors[10] = 0
    before = build(themes.photos, vectors)
    found = build(themes.photos, themes.vectors, before.state, assign=True).report.clustering
    assert np.isfinite(found.position[10]).all()
    assert found.cluster[10] == found.cluster[11]


def test_it_needs_an_earlier_run_of_the_same_embedder(themes):
    with pytest.raises(UsageError, match="no earlier report"):
        build(themes.photos, themes.vectors, assign=True)
    with pytest.raises(UsageError, match="made with test:1"):
        build(themes.photos, themes.vectors, themes.built.state, assign=True, embedder="siglip2:x")
    with pytest.raises(UsageError, match="another length"):
        build([photo("a.jpg")], np.ones((1, 3)), themes.built.state, assign=True)
