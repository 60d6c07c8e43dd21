"""Zero-shot tags: the numbers are those of transformers' own pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from tests.needs import need

need("torch")
need("transformers")

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.registry import embedder_class
from picture_captioner.tags.zero_shot import (
    Scale,
    chosen,
    confidences,
    ensembled,
    floors,
    nearest,
)
from tests.embedders import checkpoints
from tests.images import gradient, noise

TERMS = ["dog", "beach", "snow", "city at night"]
TEMPLATE = "a photo of the {}."
IMAGES = [gradient(40, 30), noise(30, 40), gradient(64, 90), noise(90, 20)]


@pytest.mark.parametrize("name", ["siglip2", "clip"])
def test_confidences_are_those_of_the_zero_shot_pipeline(tmp_path, name):
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, pipeline

    folder = {"siglip2": checkpoints.siglip, "clip": checkpoints.clip}[name](tmp_path)
    embedder = embedder_class(name)(EmbedderSettings(str(folder), device="cpu"))
    scale = Scale(*embedder.text_scale)
    assert scale.kind == ("sigmoid" if name == "siglip2" else "softmax")
    photos = embedder.embed_images(IMAGES)
    terms, other = (
        np.stack([ensembled(embedder.embed_texts([TEMPLATE.format(term)])) for term in some])
        for some in (TERMS, ["of"])
    )
    ours = confidences(photos, terms, other[0], scale, compete=True)
    # As SigLIP's own tokenizer: its text tower saw no mask.
    names = ["input_ids"] if name == "siglip2" else ["input_ids", "attention_mask"]
    reference = pipeline(
        "zero-shot-image-classification",
        model=AutoModel.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder, model_input_names=names),
        image_processor=AutoImageProcessor.from_pretrained(folder, backend="pil"),
        device="cpu",
    )
    # What competes with the terms of CLIP is one more candidate.
    candidates = TERMS if name == "siglip2" else [*TERMS, "of"]
    for row, answer in zip(
        ours,
        reference(IMAGES, candidate_labels=candidates, hypothesis_template=TEMPLATE),
        strict=True,
    ):
        wanted = {found["label"]: found["score"] for found in answer}
        assert row == pytest.approx([wanted[term] for term in TERMS], abs=1e-4)


def test_alone_a_term_of_a_softmax_is_compared_with_something_else_only():
    photos = np.array([[1, 0], [0, 1]], np.float32)
    terms = np.array([[1, 0], [0.6, 0.8]], np.float32)
    other = np.array([0, 1], np.float32)
    sure = confidences(photos, terms, other, Scale("softmax", 2.0), compete=False)
    wanted = 1 / (1 + np.exp([[-2, -1.2], [2, 0.4]]))
    assert np.allclose(sure, wanted)
    alone = confidences(photos, terms, other, Scale("sigmoid", 1e9, -9.0), compete=True)
    assert np.allclose(alone, [[1, 1], [0, 1]], atol=1e-3)


def test_single_takes_the_best_and_multi_all_that_are_sure_enough():
    sure = np.array([[0.7, 0.6], [0.1, 0.2], [0.2, 0.9]])
    assert list(chosen(sure, 0.5, "single")) == [(0, 0, 0.7), (2, 1, 0.9)]
    assert list(chosen(sure, 0.5, "multi")) == [(0, 0, 0.7), (0, 1, 0.6), (2, 1, 0.9)]
    assert list(chosen(np.zeros((0, 2)), 0.5, "single")) == []


def test_an_ensemble_is_the_mean_direction():
    found = ensembled(np.array([[1, 0], [0, 1]], np.float32))
    assert np.allclose(found, [2**-0.5, 2**-0.5])
    assert np.isfinite(ensembled(np.array([[1, 0], [-1, 0]], np.float32))).all()


def test_nouns_are_those_over_their_own_floor_and_nearer_than_something_else():
    chance = np.random.default_rng(1)
    photos = chance.normal(size=(200, 16)).astype(np.float32)
    photos[:, 0] += 6  # what all photos have in common
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    terms = np.eye(4, 16, dtype=np.float32)
    least = floors(photos, terms)
    assert least[0] > 0.5, "a term near every photo has a high floor"
    other = np.full(16, -0.25, np.float32)
    found = nearest(photos, terms, other, least, 2)
    for photo, places in zip(photos, found, strict=True):
        over = [t for t in np.argsort(-(terms @ photo)) if terms[t] @ photo >= least[t]]
        assert places == over[:2]
    assert sum(0 in places for places in found) < 20
    assert (floors(photos[:50], terms) == -1).all()
    assert nearest(photos[:1], terms, photos[0], np.full(4, -1, np.float32), 9) == [[]]
