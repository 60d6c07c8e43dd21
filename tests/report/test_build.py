"""Clusters of a library whose themes are known, and of libraries that are hardly any."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from picture_captioner.errors import Status, UsageError
from picture_captioner.report.density import automatic_min_cluster_size
from picture_captioner.report.model import NOISE, LabelSource
from tests.report.support import THEMES, build, photo, themed


def test_themes_are_found(themes):
    report = themes.built.report
    assert adjusted_rand_score(themes.theme, report.clustering.cluster) >= 0.9
    assert report.noise_share <= 0.05
    for cluster in report.clusters:
        spoken_of = set(THEMES[themes.theme[cluster.medoid]].split())
        assert spoken_of & set(cluster.keywords), "its keywords are of its theme"
        assert cluster.label == report.photos[cluster.medoid].caption
        assert cluster.label_source is LabelSource.CAPTION


def test_members_go_outwards_from_the_medoid(themes):
    clustering = themes.built.report.clustering
    for cluster in themes.built.report.clusters:
        assert (np.diff(clustering.distance[cluster.members]) >= 0).all()
        assert set(clustering.cluster[cluster.members]) == {cluster.id}


def test_numbers_are_in_their_range(themes):
    found = themes.built.report.clustering
    for values in (found.probability, found.outlier_score, found.position):
        assert values.dtype == np.float32
        assert (values >= 0).all() and (values <= 1).all()
    placed = found.cluster != NOISE
    assert (found.distance[placed] >= 0).all()
    assert np.isnan(found.distance[~placed]).all()


def test_the_same_seed_gives_the_same_clusters_and_map(themes):
    again = build(themes.photos, themes.vectors).report.clustering
    first = themes.built.report.clustering
    assert np.array_equal(again.cluster, first.cluster)
    assert np.array_equal(again.position, first.position)


def test_without_a_seed_all_cores_find_the_themes_too(themes):
    found = build(themes.photos, themes.vectors, seed=None).report
    assert found.head.seed is None
    assert adjusted_rand_score(themes.theme, found.clustering.cluster) >= 0.9


def test_clusters_keep_their_ids_when_photos_are_added(themes):
    more, vectors, _ = themed(per_theme=3, seed=7)
    both = [*more, *themes.photos]
    found = build(both, np.concatenate([vectors, themes.vectors]), themes.built.state).report
    old, new = themes.built.report.clustering.cluster, found.clustering.cluster[len(more) :]
    assert np.mean(old == new) >= 0.95


def test_a_cluster_that_went_away_leaves_its_id_unused(themes):
    gone = themes.theme == 3
    kept = [p for p, g in zip(themes.photos, gone, strict=True) if not g]
    without = build(kept, themes.vectors[~gone], themes.built.state)
    ids = {c.id for c in without.report.clusters}
    lost = {c.id for c in themes.built.report.clusters} - ids
    assert len(lost) == 1
    fresh, vectors, _ = themed(per_theme=50, seed=3)
    unlike = -vectors[:50] * np.linspace(1, 2, 64)
    photos, rows = [*kept, *fresh[:50]], np.concatenate([themes.vectors[~gone], unlike])
    found = build(photos, rows, without.state).report
    assert {c.id for c in found.clusters}.isdisjoint(lost)
    assert max(c.id for c in found.clusters) > max(c.id for c in themes.built.report.clusters)


@pytest.mark.parametrize("count", [0, 1, 3, 14])
def test_a_handful_of_photos_is_a_report(count):
    photos, vectors, _ = themed(per_theme=2)
    report = build(photos[:count], vectors[:count]).report
    assert len(report.clustering.cluster) == count
    assert not np.isnan(report.clustering.position).any()
    pairs = {tuple(sorted(c.members.tolist())) for c in report.clusters}
    expected = {(i, i + 1) for i in range(0, count - 1, 2)}
    assert pairs == expected, "two photos of one theme are a cluster where there are few"


@pytest.mark.parametrize("count", [2, 3, 20, 200])
def test_identical_photos_are_one_cluster(count):
    photos = [photo(f"{i}.jpg", caption="The same.") for i in range(count)]
    report = build(photos, np.ones((count, 16))).report
    assert [len(c.members) for c in report.clusters] == [count]
    assert report.noise_share == 0


def test_repeated_captions_do_not_break_the_map():
    """Texts repeat: their vectors coincide, and distances of zero are divided by."""
    random = np.random.default_rng(5)
    vectors = random.normal(size=(8, 16))[np.repeat(np.arange(8), 40)]
    photos = [photo(f"{i}.jpg", caption=f"Caption {i // 40}.") for i in range(320)]
    found = build(photos, vectors).report.clustering
    assert adjusted_rand_score(np.repeat(np.arange(8), 40), found.cluster) == 1.0
    assert np.isfinite(found.probability).all()


def test_photos_that_have_nothing_in_common_are_noise():
    report = build([photo(f"{i}.jpg") for i in range(20)], np.eye(20)).report
    assert report.clusters == ()
    assert report.noise_share == 1.0


def test_photos_without_vectors_are_in_no_cluster_and_not_on_the_map(themes):
    vectors = themes.vectors.copy()
    vectors[5], vectors[70], vectors[200, 3] = 0, np.nan, np.inf
    report = build(themes.photos, vectors).report
    for i in (5, 70, 200):
        assert report.clustering.cluster[i] == NOISE
        assert np.isnan(report.clustering.position[i]).all()
        assert np.isnan(report.clustering.distance[i])
    assert np.isnan(report.clustering.position[:, 0]).sum() == 3
    nothing = build(themes.photos[:5], np.zeros((5, 0))).report
    assert nothing.clusters == () and nothing.noise_share == 0.0


def test_a_library_of_errors_alone(caplog):
    photos = [photo(f"{i}.jpg", status=Status.ERROR_API, last_error="timeout") for i in range(3)]
    built = build(photos, np.zeros((3, 8)))
    assert built.labels.summary == "0 captioned, 3 errors, 0 vocabulary fallbacks"
    assert len(caplog.records) == 3


def test_reassigned_outliers_have_the_nearest_cluster(themes):
    stray = (themes.vectors[0] + themes.vectors[60]) * 1.2
    photos, vectors = [*themes.photos, photo("stray.jpg")], np.vstack([themes.vectors, stray])
    plain = build(photos, vectors).report
    full = build(photos, vectors, reassign_noise=True)
    assert full.report.noise_share == 0.0
    was_placed = plain.clustering.cluster != NOISE
    same = plain.clustering.cluster == full.report.clustering.cluster
    assert same[was_placed].all()
    assert np.isfinite(full.report.clustering.distance).all()
    assert np.array_equal(full.state.clustering.cluster, plain.clustering.cluster)


def test_the_smallest_cluster_grows_with_the_library():
    assert [automatic_min_cluster_size(n) for n in (0, 29, 30, 600, 44_000)] == [2, 2, 5, 8, 70]


def test_a_smallest_cluster_that_was_asked_for_holds_among_few_photos_too():
    photos, vectors, _ = themed(per_theme=2)
    found = build(photos, vectors).report
    assert found.head.min_cluster_size == 2
    assert found.clusters
    assert build(photos, vectors, min_cluster_size=3).report.clusters == ()


def test_an_unknown_engine_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"umap-hdbscam.*did you mean 'umap-hdbscan'"):
        build([], np.zeros((0, 4)), engine="umap-hdbscam")


def test_the_engine_none_makes_a_map_and_no_clusters(themes):
    report = build(themes.photos, themes.vectors, engine="none").report
    assert report.clusters == ()
    assert np.isfinite(report.clustering.position).all()
