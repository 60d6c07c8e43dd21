"""SigLIP 2 and CLIP through their real classes, on tiny checkpoints with random weights."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.needs import need

need("torch")
need("transformers")

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModel

from picture_captioner.embedders import towers
from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.registry import embedder_class
from picture_captioner.errors import (
    BackendUnavailableError,
    ConfigurationError,
    ModelError,
    UsageError,
)
from picture_captioner.workers import device_errors
from tests.embedders import checkpoints
from tests.images import gradient, noise

MAKERS = {"siglip2": checkpoints.siglip, "clip": checkpoints.clip}
DIMENSIONS = {"siglip2": 32, "clip": 24}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(params=MAKERS)
def embedder(request, folders):
    settings = EmbedderSettings(str(folders[request.param]), device="cpu", batch_size=3)
    made = embedder_class(request.param)(settings)
    yield made
    made.close()


@pytest.fixture
def copy(folders, tmp_path):
    """A copy of the SigLIP folder, to be damaged."""
    return shutil.copytree(folders["siglip2"], tmp_path / "model")


def siglip(folder, **settings):
    return embedder_class("siglip2")(EmbedderSettings(str(folder), device="cpu", **settings))


IMAGES = [gradient(40, 30), noise(30, 40), gradient(32, 32), noise(90, 20), gradient(64, 90)]
TEXTS = ["a photo of the dog", "Snow at night.", "", "the city \udce9", "beach " * 100]


def test_rows_have_unit_length_and_images_share_the_space_of_texts(embedder):
    embedder.check()
    for vectors in (embedder.embed_images(IMAGES), embedder.embed_texts(TEXTS)):
        assert vectors.dtype == np.float32
        assert vectors.shape == (5, DIMENSIONS[embedder.name])
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.embed_images([]).shape == embedder.embed_texts([]).shape
    assert embedder.embed_images([]).shape == (0, DIMENSIONS[embedder.name])


def test_a_batch_gives_the_same_as_one_at_a_time(embedder):
    for embed, items in ((embedder.embed_images, IMAGES), (embedder.embed_texts, TEXTS)):
        together = embed(items)
        assert np.allclose(together, np.concatenate([embed([item]) for item in items]), atol=1e-5)
        assert not np.allclose(together[0], together[1], atol=1e-3)


def test_vectors_are_what_transformers_says(embedder, folders):
    folder = folders[embedder.name]
    model = AutoModel.from_pretrained(folder).eval()
    inputs = AutoImageProcessor.from_pretrained(folder, backend="pil")(IMAGES, return_tensors="pt")
    with torch.no_grad():
        wanted = model.get_image_features(**inputs).pooler_output.numpy()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.allclose(embedder.embed_images(IMAGES), wanted, atol=1e-5)


def test_siglip_reads_lower_case_padded_to_64(folders):
    embedder = siglip(folders["siglip2"])
    (ids,) = embedder.tokenize(["A photo"])["input_ids"].tolist()
    assert len(ids) == 64
    assert ids[2:] == [1] + [0] * 61, "the end, then padding"
    upper, lower = embedder.embed_texts(["A PHOTO OF THE DOG", "a photo of the dog"])
    assert np.array_equal(upper, lower)


def test_the_identity_follows_the_weights_and_not_the_path(folders, copy):
    before = siglip(copy).identity
    name, _, revision = before.partition("@")
    assert name == "siglip2:model"
    assert siglip(folders["siglip2"]).identity.endswith(f"@{revision}")
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert siglip(copy).identity != before


def test_a_file_cut_short_is_told_before_the_first_photo(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigurationError, match=r"cannot be loaded .*fetch it again"):
        siglip(copy).check()


def test_weights_that_lack_a_layer_are_not_made_up(copy):
    config = json.loads((copy / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=r"do not fit its config\.json: 16 are missing"):
        siglip(copy).check()


def test_a_pickle_is_not_read(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="a pickle may run any program"):
        siglip(copy).check()


def test_code_beside_the_model_is_not_run(copy, tmp_path):
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: pass\n")
    config = json.loads((copy / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil.C", "AutoConfig": "evil.C"}, "model_type": "evil"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError):
        siglip(copy).check()
    assert not (tmp_path / "ran").exists()


def test_the_model_of_another_embedder_is_named(folders):
    with pytest.raises(UsageError, match="of type 'clip'; the siglip2 embedder runs siglip"):
        siglip(folders["clip"]).check()


def test_a_device_that_is_not_here(folders):
    settings = EmbedderSettings(str(folders["clip"]), device="warp")
    with pytest.raises(UsageError, match="no device 'warp' here"):
        embedder_class("clip")(settings).check()


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError('NVML_SUCCESS == r INTERNAL ASSERT FAILED at "CUDACachingAllocator.cpp":1016'),
]


def test_a_card_without_room_for_the_model_is_told_with_advice(folders, monkeypatch):
    def full(*_):
        raise OUT_OF_MEMORY[0]

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(BackendUnavailableError, match="nvidia-smi"):
        siglip(folders["siglip2"]).check()


def test_on_a_card_the_memory_is_capped_before_the_model_goes_there(folders, monkeypatch):
    done = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2e9, 8e9))
    monkeypatch.setattr(towers, "cap_memory", done.append)
    monkeypatch.setattr(torch.nn.Module, "to", lambda model, device: done.append(device) or model)
    embedder = siglip(folders["siglip2"])
    embedder._device = torch.device("cuda")
    embedder.check()
    assert done == [2e9, torch.device("cuda")]


def test_another_error_on_the_device_is_not_taken_for_want_of_memory(folders, monkeypatch):
    embedder = siglip(folders["siglip2"])

    def fails(_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(embedder, "_image_features", fails)
    with pytest.raises(RuntimeError, match="mat1"):
        embedder.embed_images(IMAGES)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["plain", "cuBLAS", "NVML"])
def test_a_batch_that_does_not_fit_is_halved(folders, monkeypatch, error):
    notices = []
    embedder = siglip(folders["siglip2"], batch_size=5, notice=notices.append)
    wanted = embedder.embed_images(IMAGES)
    features, room = embedder._image_features, 2

    def cramped(images):
        if len(images) > room:
            raise error
        return features(images)

    monkeypatch.setattr(embedder, "_image_features", cramped)
    assert np.allclose(embedder.embed_images(IMAGES), wanted, atol=1e-5)
    assert notices == ["siglip2: out of memory, going on with 2 at once"]
    room = 0
    with pytest.raises(BackendUnavailableError, match="no room on cpu for one photo"):
        embedder.embed_images(IMAGES)


def test_vectors_that_are_none_are_refused(folders, monkeypatch):
    embedder = siglip(folders["siglip2"])
    embedder.check()
    with torch.no_grad():
        embedder._model.vision_model.post_layernorm.bias.fill_(torch.nan)
    with pytest.raises(ModelError, match="NaN or infinity"):
        embedder.embed_images(IMAGES)


def test_a_closed_embedder_can_be_used_again(embedder):
    before = embedder.embed_texts(TEXTS)
    embedder.close()
    assert "_model" not in vars(embedder)
    assert np.array_equal(embedder.embed_texts(TEXTS), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_half_precision_on_a_gpu_gives_nearly_the_same(folders):
    settings = EmbedderSettings(str(folders["siglip2"]))
    gpu = embedder_class("siglip2")(settings)
    assert gpu._dtype is torch.float16
    assert np.allclose(
        gpu.embed_images(IMAGES), siglip(folders["siglip2"]).embed_images(IMAGES), atol=1e-2
    )


def test_auto_takes_a_gpu_where_there_is_one():
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (towers.pick_device("auto", print).type != "cpu") == there


@pytest.mark.parametrize(("device", "card"), [("auto", True), ("auto", False), ("cpu", True)])
def test_a_card_that_does_not_start_is_told_once(device, card, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(device_errors, "SIGNS_OF_NVIDIA", (str(tmp_path / "version"),))
    if card:
        (tmp_path / "version").touch()
    old = "The NVIDIA driver on your system is too old (found version 12040). Please update"

    def init():
        raise RuntimeError(old + "\nand more lines")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    said = []
    settings = EmbedderSettings(str(folders["clip"]), device=device, notice=said.append)
    embedder = embedder_class("clip")(settings)
    embedder.embed_images(IMAGES[:1])
    embedder.embed_texts(TEXTS[:1])
    assert embedder._device.type == "cpu"
    told = [line for line in said if "CUDA does not start" in line]
    assert len(told) == (device == "auto" and card)
    assert all(old in line and "on the CPU" in line and "\n" not in line for line in told)
