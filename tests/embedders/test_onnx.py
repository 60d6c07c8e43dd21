"""ONNX encoders: the numbers they are fed, batches, the limit on time, and folders that lie."""

from __future__ import annotations

import json
import logging
import time

import numpy as np
import pytest

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.onnx import OnnxEmbedder
from picture_captioner.embedders.onnx_encoder import OnnxEncoder, Preprocessing
from picture_captioner.errors import BackendUnavailableError, ConfigurationError, UsageError
from picture_captioner.workers import onnx_graph
from picture_captioner.workers.onnx_graph import pick_providers
from tests.embedders import checkpoints
from tests.images import gradient, noise
from tests.needs import need

IMAGES = [gradient(40, 30), noise(30, 40), noise(32, 32), gradient(90, 20), noise(64, 64)]


def embedder(folder, **settings):
    return OnnxEmbedder(EmbedderSettings(str(folder), device="cpu", **settings))


def configure(folder, **changes):
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def folder(tmp_path):
    return checkpoints.onnx_encoder(tmp_path / "encoder")


def test_vectors_are_the_means_of_fields_that_the_graph_computes(folder):
    made = embedder(folder, batch_size=2)
    made.check()
    vectors = made.embed_images(IMAGES)
    assert vectors.dtype == np.float32
    pixels = np.stack([np.asarray(image.resize((32, 32), 2)) for image in IMAGES]) / 255.0
    pixels = (pixels - [0.5, 0.4, 0.3]) / [0.5, 0.6, 0.7]
    means = pixels.reshape(5, 4, 8, 4, 8, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    wanted = means.reshape(5, -1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.allclose(vectors, wanted, atol=1e-5)
    assert made.embed_images([]).shape == (0, 48)
    made.close()
    assert np.array_equal(made.embed_images(IMAGES), vectors)


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_batch_gives_the_same_as_one_at_a_time(tmp_path, batch):
    made = embedder(checkpoints.onnx_encoder(tmp_path / "encoder", batch=batch))
    together = made.embed_images(IMAGES)
    singles = [made.embed_images([image]) for image in IMAGES]
    assert np.allclose(together, np.concatenate(singles), atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resample": 3, "size": {"height": 24, "width": 40}},
        {
            "size": {"shortest_edge": 40},
            "do_center_crop": True,
            "crop_size": {"height": 32, "width": 24},
        },
        {"do_normalize": False},
        {"do_rescale": True, "rescale_factor": 0.01, "do_normalize": True},
    ],
    ids=["fixed", "oblong", "cropped", "raw", "scaled"],
)
@pytest.mark.parametrize("kind", ["SiglipImageProcessorPil", "CLIPImageProcessorPil"])
def test_preprocessing_is_what_transformers_does(folder, changes, kind):
    transformers = need("transformers")
    configure(folder, **{"do_center_crop": False} | changes)
    path = folder / "preprocessor_config.json"
    reference = getattr(transformers, kind)(**json.loads(path.read_text()))
    ours = Preprocessing.read(path)
    for image in IMAGES:
        wanted = np.asarray(reference(images=image, return_tensors="np")["pixel_values"])
        assert np.allclose(ours([image]), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": {"height": 32}}, "size: .*needs height and width, or shortest_edge"),
        ({"size": {"height": 10**9, "width": 32}}, r"size\.height: .*less than or equal"),
        ({"image_mean": [0.5]}, r"image_mean"),
        ({"resample": 77}, "resample: .*less than or equal to 5"),
    ],
)
def test_a_preprocessor_config_that_makes_no_sense(folder, changes, told):
    configure(folder, **changes)
    with pytest.raises(ConfigurationError, match=rf"preprocessor_config\.json: {told}"):
        embedder(folder).check()


def test_a_graph_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    slow = checkpoints.onnx_encoder(tmp_path / "slow", turns=10**12)
    encoder = OnnxEncoder(slow / "model.onnx", "cpu", seconds_each=0.3)
    begun = time.monotonic()
    with pytest.raises(BackendUnavailableError) as error:
        encoder({"pixel_values": np.zeros((2, 3, 32, 32), np.float32)})
    assert str(error.value).startswith("model.onnx took over 0.3 s a photo and was stopped")
    assert 0.6 <= time.monotonic() - begun < onnx_graph.GRACE, "it was ended, not left behind"


def test_images_of_a_size_that_the_graph_does_not_take(folder):
    configure(folder, size={"height": 48, "width": 48})
    with pytest.raises(BackendUnavailableError, match="may not fit its preprocessor_config"):
        embedder(folder).check()


def test_text_tower_shares_the_space(tmp_path):
    need("transformers")
    made = embedder(checkpoints.onnx_encoder(tmp_path / "both", texts=True))
    assert made.embeds_texts
    made.check()
    vectors = made.embed_texts(["a photo of the dog", "", "A PHOTO OF THE DOG", "\udce9"])
    assert vectors.shape == (4, 48) == (4, made.embed_images(IMAGES).shape[1])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.array_equal(vectors[0], vectors[2])


def test_without_a_text_tower_texts_are_refused(folder):
    made = embedder(folder)
    assert not made.embeds_texts
    with pytest.raises(UsageError, match="onnx embedder does not embed texts"):
        made.embed_texts(["a dog"])


def test_the_identity_follows_the_files(folder):
    before = embedder(folder).identity
    assert before.startswith("onnx:encoder@")
    configure(folder, resample=3)
    assert embedder(folder).identity != before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.onnx", "the folder encoder has no image encoder: one of vision_model.onnx"),
        ("preprocessor_config.json", "preprocessor_config.json cannot be read: fetch it again"),
    ],
)
def test_a_file_that_is_missing(folder, name, told):
    (folder / name).unlink()
    with pytest.raises(ConfigurationError, match=told):
        embedder(folder).check()


def test_a_graph_cut_short(folder, capfd):
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigurationError, match=r"cannot load model\.onnx .*fetch it again"):
        embedder(folder).check()
    assert capfd.readouterr().err == "", "the exception says it all"


def test_no_folder_at_all(tmp_path):
    with pytest.raises(ConfigurationError, match="needs the folder of an image encoder"):
        embedder("").check()
    with pytest.raises(ConfigurationError, match="there is no model folder"):
        embedder(tmp_path / "none").check()


def test_providers_are_the_ones_that_are_there():
    assert pick_providers("cpu") == ["CPUExecutionProvider"]
    assert pick_providers("auto")[-1] == "CPUExecutionProvider"
    if "CUDAExecutionProvider" not in pick_providers("auto"):
        with pytest.raises(UsageError, match=r"no device 'cuda:0' .*install onnxruntime-gpu"):
            pick_providers("cuda:0")


def test_the_time_of_each_stage_is_logged(folder, caplog):
    with caplog.at_level(logging.DEBUG, logger="picture_captioner"):
        embedder(folder).check()
    logged = "\n".join(caplog.messages)
    for stage in ("preprocessing: 1 in", "model.onnx: 1 in", "onnx warm-up:", "runs on CPU"):
        assert stage in logged
