"""Which embedder `auto` takes: the best that runs here, never by a download, and it says why."""

from __future__ import annotations

import shutil

import pytest

from picture_captioner.embedders import choice, minilm
from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.choice import choose
from picture_captioner.embedders.models import MINILM, SIGLIP2
from picture_captioner.errors import ConfigurationError, UsageError
from tests.needs import need

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOWER = ("config.json", "preprocessor_config.json", "tokenizer_config.json", "model.safetensors")
ENCODER = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def settings(cache):
    return EmbedderSettings(cache_dir=cache, device="cpu")


@pytest.fixture(autouse=True)
def no_package(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "a_package_nobody_has")


@pytest.fixture(autouse=True)
def all_installed(monkeypatch):
    monkeypatch.setattr(choice, "NEEDS", dict.fromkeys(choice.NEEDS, ()))


def store(cache, model, files=TOWER):
    """Put a model into the cache as huggingface_hub lays it out."""
    root = cache / f"models--{model.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    for name in files:
        (snapshot / name).write_text("{}")
    return snapshot


def test_the_embedder_that_was_asked_for(settings):
    assert choose("pixels", settings, photos=9, captions=9) == ("pixels", "asked for", None)
    with pytest.raises(UsageError, match="did you mean 'pixels'"):
        choose("pixel", settings, photos=9, captions=9)


def test_captions_decide_where_most_photos_have_one(settings, cache):
    store(cache, SIGLIP2)
    store(cache, MINILM, ENCODER)
    found = choose("auto", settings, photos=44_000, captions=43_000)
    assert found == ("caption", "real captions of 43,000 of 44,000 photos", None)


def test_without_captions_a_cached_tower_is_best(settings, cache):
    store(cache, SIGLIP2)
    store(cache, MINILM, ENCODER)
    name, reason, wanted = choose("auto", settings, photos=100, captions=0)
    assert name == "siglip2"
    assert reason == (
        "the model is here and can look at 100 photos (caption: real ones of 0 of 100 photos)"
    )
    assert wanted is None


def test_captions_without_the_model_that_reads_them_say_which_is_wanted(settings):
    name, reason, wanted = choose("auto", settings, photos=100, captions=90)
    assert (name, wanted) == ("pixels", MINILM)
    assert "caption: its model is not on this machine" in reason


def test_without_a_gpu_a_large_library_is_left_to_pixels(settings, cache):
    need("torch")
    need("transformers")
    store(cache, SIGLIP2)
    name, reason, _ = choose("auto", settings, photos=44_000, captions=0)
    assert name == "pixels"
    assert "siglip2: without a GPU it takes too long for 44,000 photos" in reason


def test_half_a_model_in_the_cache_is_none(settings, cache):
    store(cache, SIGLIP2, TOWER[:3])
    name, reason, _ = choose("auto", settings, photos=100, captions=0)
    assert name == "pixels"
    assert "siglip2: its model is not on this machine" in reason


def test_captions_of_a_few_photos_are_not_enough(settings, cache):
    store(cache, MINILM, ENCODER)
    assert choose("auto", settings, photos=100, captions=50).name == "caption"
    name, reason, _ = choose("auto", settings, photos=100, captions=49)
    assert name == "pixels"
    assert "caption: real ones of 49 of 100 photos" in reason


def test_a_missing_extra_is_a_reason(settings, cache, monkeypatch):
    store(cache, SIGLIP2)
    monkeypatch.setitem(choice.NEEDS, "siglip2", ("a_package_nobody_has",))
    name, reason, _ = choose("auto", settings, photos=100, captions=0)
    assert name == "pixels"
    assert "siglip2: its extra 'local' is not installed" in reason


def test_a_journal_alone(settings, cache):
    with pytest.raises(ConfigurationError, match="cannot run: its model is not on this machine"):
        choose("auto", settings, photos=0, captions=7)
    store(cache, MINILM, ENCODER)
    name, reason, _ = choose("auto", settings, photos=0, captions=7)
    assert (name, reason) == ("caption", "no photos at hand, 7 captions")
    assert choose("auto", settings, photos=0, captions=0).name == "pixels"


@pytest.mark.parametrize(
    ("config", "file", "name"),
    [
        ('{"model_type": "siglip"}', "model.safetensors", "siglip2"),
        ('{"model_type": "clip"}', "model.safetensors", "clip"),
        ('{"model_type": "bert"}', "model.safetensors", "caption"),
        ('{"model_type": "siglip"}', "onnx/vision_model.onnx", "onnx"),
        ("{}", "model.onnx", "onnx"),
    ],
)
def test_a_folder_tells_by_its_files_what_it_is_for(tmp_path, config, file, name):
    folder = tmp_path / "model"
    (folder / file).parent.mkdir(parents=True)
    (folder / file).touch()
    (folder / "config.json").write_text(config)
    chosen = choose("auto", EmbedderSettings(str(folder)), photos=9, captions=9)
    assert chosen.name == name
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(UsageError, match="holds no model that an embedder runs"):
        choose("auto", EmbedderSettings(str(folder)), photos=9, captions=9)


def test_a_model_that_is_no_folder_needs_its_embedder_named():
    with pytest.raises(UsageError, match="say which embedder it is for, not auto"):
        choose("auto", EmbedderSettings(SIGLIP2), photos=9, captions=9)
