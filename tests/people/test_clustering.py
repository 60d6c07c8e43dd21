"""HDBSCAN on the graph of neighbours is HDBSCAN, and right where that has nothing to say."""

from __future__ import annotations

import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from picture_captioner.people.clustering import SAME_PERSON, cluster
from picture_captioner.people.neighbours import nearest


def unit(array):
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def crowd(people, faces, seed=0, spread=(0.55, 1.0)):
    """Faces of so many people; about as far apart as those of one person are for SFace."""
    rng = np.random.default_rng(seed)
    who = np.sort(rng.integers(0, people, faces))
    centres = unit(rng.normal(size=(people, 128)))
    noise = rng.normal(size=(faces, 128)) / np.sqrt(128) * rng.uniform(*spread, (faces, 1))
    return who, unit(centres[who] + noise)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 33, 1000, 2500])
def test_neighbours_are_those_that_sorting_all_finds(count):
    vectors = (
        unit(np.random.default_rng(1).normal(size=(count, 16))) if count else np.zeros((0, 16))
    )
    found = nearest(vectors, vectors, 32, same=True)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2)
    k = min(32, max(count - 1, 0))
    assert found.indices.shape == (count, k)
    expected = -np.sort(-near, axis=1)[:, :k]
    assert np.allclose(found.cosines, expected, atol=1e-6)
    assert all(i not in row for i, row in enumerate(found.indices.tolist()))


def test_it_agrees_with_the_package():
    who, vectors = crowd(150, 2500)
    package = hdbscan.HDBSCAN(min_cluster_size=3, min_samples=2).fit_predict(vectors.astype(float))
    labels = cluster(vectors).labels
    assert adjusted_rand_score(package, labels) >= 0.98
    assert adjusted_rand_score(who, labels) >= 0.98


@pytest.mark.parametrize("faces", [3, 4, 11, 40])
def test_a_library_of_one_person_is_one_cluster(faces):
    _, vectors = crowd(1, faces)
    assert set(cluster(vectors).labels.tolist()) == {0}


@pytest.mark.parametrize("strangers", [0, 1, 2, 3, 40, 400])
def test_strangers_are_nobody(strangers):
    vectors = unit(np.random.default_rng(2).normal(size=(strangers, 128)))
    assert (cluster(vectors).labels == -1).all()


def test_two_people_and_strangers():
    who, vectors = crowd(2, 30)
    strangers = unit(np.random.default_rng(3).normal(size=(20, 128)))
    labels = cluster(np.concatenate([vectors, strangers])).labels
    assert adjusted_rand_score(who, labels[:30]) == 1.0
    assert (labels[30:] == -1).all()


def test_copies_of_a_face_stay_together():
    _, vectors = crowd(3, 30)
    labels = cluster(np.concatenate([vectors, vectors, vectors])).labels
    assert (labels[:30] == labels[30:60]).all()
    assert (labels[:30] == labels[60:]).all()


def test_the_same_faces_give_the_same_clusters():
    _, vectors = crowd(40, 600)
    first, second = cluster(vectors), cluster(vectors.copy())
    assert (first.labels == second.labels).all()
    assert np.allclose(first.births, second.births)


def test_what_is_told_of_clusters():
    _, vectors = crowd(20, 400)
    found = cluster(vectors)
    count = int(found.labels.max()) + 1
    assert found.births.shape == found.persistence.shape == (count,)
    assert (found.births >= 1 / np.sqrt(2 - 2 * 0.363) - 1e-4).all()
    assert np.isfinite(found.births).all()
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()
    assert (found.probabilities[found.labels >= 0] > 0).all()
    assert ((found.outliers >= 0) & (found.outliers <= 1)).all()
    assert found.tree.shape[1] == 5


def test_two_faces_of_two_photos_are_a_cluster_if_they_are_near_and_no_copies():
    def two(cosine):
        return unit(np.array([[1, 0, 0, 0], [cosine, np.sqrt(1 - cosine**2), 0, 0]]))

    def labels(cosine, photos):
        return cluster(two(cosine), photos=photos).labels.tolist()

    assert labels(0.7, ["a", "b"]) == [0, 0]
    assert labels(0.7, ["a", "a"]) == labels(0.95, ["a", "b"]) == [-1, -1]
    assert labels(0.55, ["a", "b"]) == [-1, -1]
    strangers = unit(np.random.default_rng(2).normal(size=(400, 128)))
    assert (cluster(strangers, photos=[str(i) for i in range(400)]).labels == -1).all()


def test_a_face_that_came_by_a_chain_is_in_no_cluster():
    """It is near to two that are far from the others' middle, and like none but them."""
    rng = np.random.default_rng(3)
    axis, aside, stray = unit(np.eye(64)[:3])
    own = unit(axis + 0.3 * rng.normal(size=(12, 64)) / 8)
    bridge = unit(np.stack([axis + 0.9 * aside, axis + 1.0 * aside]))
    far = unit((0.15 * axis + aside + 0.9 * stray)[None])[0]
    assert (bridge @ far > SAME_PERSON).all()
    labels = cluster(np.vstack([own, bridge, far[None]]).astype(np.float32)).labels
    assert set(labels[:-1].tolist()) == {0}
    assert labels[-1] == -1


def test_two_that_a_stray_leaves_are_a_cluster_only_if_they_were_one_without_it():
    one, aside, stray, other = unit(np.eye(64)[:4])
    copy = unit((one + 0.2 * aside)[None])[0]
    middle = unit((one + copy)[None])[0]
    far = 0.385 * middle + np.sqrt(1 - 0.385**2) * stray
    third = unit(other + 0.1 * np.eye(64)[10:13])
    assert (np.stack([one, copy]) @ far > SAME_PERSON).all()
    vectors = np.vstack([one, copy, far, third]).astype(np.float32)
    found = cluster(vectors, photos=list("abcdef"))
    assert found.labels.tolist() == [-1, -1, -1, 0, 0, 0]
    assert len(found.births) == len(found.persistence) == 1
