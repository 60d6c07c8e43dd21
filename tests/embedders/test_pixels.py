"""Colours, texture and layout: groups are found, blank images have vectors."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.pixels import PixelsEmbedder, to_lab
from picture_captioner.errors import UsageError
from tests.scenes import THEMES, scene

EACH = 50
TRUTH = np.repeat(np.arange(len(THEMES)), EACH)


@pytest.fixture(scope="module")
def embedder():
    return PixelsEmbedder(EmbedderSettings())


@pytest.fixture(scope="module")
def pictures():
    return [scene(theme, number) for theme in THEMES for number in range(EACH)]


@pytest.fixture(scope="module")
def vectors(embedder, pictures):
    return embedder.embed_images(pictures)


def test_rows_have_unit_length(embedder, vectors):
    assert vectors.shape == (len(THEMES) * EACH, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed_images([]).shape == (0, embedder.dimension)
    assert embedder.identity == "pixels:2"


def test_scenes_of_twelve_themes_are_told_apart(vectors):
    found = KMeans(len(THEMES), n_init=3, random_state=0).fit_predict(vectors)
    assert adjusted_rand_score(TRUTH, found) >= 0.95


def test_the_nearest_picture_is_of_the_same_theme(vectors):
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    assert (TRUTH[likeness.argmax(axis=1)] == TRUTH).mean() >= 0.99


def test_pictures_of_a_theme_differ(vectors):
    likeness = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert likeness.max() < 0.9999


def test_a_scene_is_drawn_the_same_each_time(pictures):
    again = scene(THEMES[3], 7)
    assert again.tobytes() == pictures[3 * EACH + 7].tobytes()


def test_a_batch_gives_the_same_as_one_at_a_time(embedder, pictures, vectors):
    singles = [embedder.embed_images([picture]) for picture in pictures[::100]]
    assert np.array_equal(np.concatenate(singles), vectors[::100])


@pytest.mark.parametrize("color", ["black", "white", "gray", "red", (1, 2, 3)])
@pytest.mark.parametrize("size", [(64, 64), (1, 1), (2, 900)])
def test_a_blank_image_has_a_vector(embedder, color, size):
    (vector,) = embedder.embed_images([Image.new("RGB", size, color)])
    assert np.isclose(np.linalg.norm(vector), 1)


def test_blank_images_of_different_colours_are_apart(embedder):
    images = [Image.new("RGB", (9, 9), color) for color in ("black", "white", "red", "blue")]
    likeness = embedder.embed_images(images) @ embedder.embed_images(images).T
    assert (likeness[~np.eye(4, dtype=bool)] < 0.8).all()


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: ImageEnhance.Brightness(image).enhance(1.15),
        lambda image: image.resize((128, 96)),
        lambda image: image.crop((6, 5, 250, 188)),
        lambda image: ImageEnhance.Color(image).enhance(0.8),
    ],
    ids=["brighter", "smaller", "cropped", "paler"],
)
def test_an_edited_picture_stays_nearest_to_its_original(embedder, pictures, vectors, changed):
    (vector,) = embedder.embed_images([changed(pictures[120])])
    assert TRUTH[(vectors @ vector).argmax()] == TRUTH[120]
    assert vectors[120] @ vector > 0.95


def test_lab_of_known_colours():
    colors = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]], np.uint8)
    known = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert np.allclose(to_lab(colors)[0], known, atol=0.02)


def test_texts_are_refused(embedder):
    assert not embedder.embeds_texts
    with pytest.raises(UsageError, match="pixels embedder does not embed texts"):
        embedder.embed_texts(["a dog"])


def test_it_is_quick(embedder, pictures):
    begun = time.process_time()
    embedder.embed_images(pictures[::6])
    assert (time.process_time() - begun) / 100 < 0.006, "3 ms a photo, and room for a slow machine"
