"""No two clusters of a report have the same name or caption."""

from __future__ import annotations

import numpy as np

from picture_captioner.report.keywords import cluster_names, speakers_of
from tests.report.support import build, photo


def test_a_name_is_as_few_keywords_as_tell_it_apart():
    words = [("beach", "sea", "sand"), ("beach", "sea", "dog"), ("beach", "sea"), ("sea",), ()]
    assert cluster_names(words) == [
        "Beach, sea",
        "Beach, sea, dog",
        "Beach, sea (2)",
        "Sea",
        "",
    ]


def test_a_caption_that_speaks_for_a_larger_cluster_speaks_for_no_other():
    texts = ["a beach", "a beach", "waves", "a beach", ""]
    members = [np.array([0, 2]), np.array([1, 2]), np.array([3]), np.array([4])]
    assert speakers_of(members, texts) == [
        (0, "a beach"),
        (2, "waves"),
        (3, "a beach (2)"),
        (4, ""),
    ]


def test_clusters_of_a_report_with_one_caption_have_names_of_their_own():
    random = np.random.default_rng(3)
    vectors = np.repeat(random.normal(size=(6, 32)), 20, axis=0)
    vectors += random.normal(scale=0.05, size=vectors.shape)
    photos = [photo(f"{i}.jpg", caption="A dog on a beach by the sea.") for i in range(120)]
    clusters = build(photos, vectors).report.clusters
    assert len(clusters) > 1
    assert len({c.name for c in clusters}) == len(clusters)
    assert len({c.label for c in clusters}) == len(clusters)
