"""Where models come from: nothing is asked of the network unless a download was asked for."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from picture_captioner.embedders.base import EmbedderSettings
from picture_captioner.embedders.models import digest, find_model
from picture_captioner.errors import ConfigurationError, UsageError
from tests.needs import need
from tests.support import ROOT, environment

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "siglip"}',
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle",
    "modeling.py": b"code",
}

FIND = """
import sys
from pathlib import Path
from picture_captioner.embedders.base import (EmbedderSettings)
from picture_captioner.embedders.models import find_model
from picture_captioner.errors import FatalError
settings = EmbedderSettings(cache_dir=Path(sys.argv[2]), allow_download=sys.argv[3] == "True")
try:
    found = find_model(sys.argv[1], ["config.json"], settings)
    print(found.label, *sorted(path.name for path in found.folder.iterdir()))
except FatalError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def hub(httpserver):
    """A model hub on this machine; `log` holds what it was asked."""
    siblings = [{"rfilename": name} for name in FILES]
    info = {"id": "maker/model", "sha": COMMIT, "siblings": siblings}
    for revision in ("main", COMMIT):
        httpserver.expect_request(f"/api/models/maker/model/revision/{revision}").respond_with_json(
            info
        )
    tree = [{"type": "file", "path": n, "size": len(d), "oid": "0" * 40} for n, d in FILES.items()]
    httpserver.expect_request(f"/api/models/maker/model/tree/{COMMIT}").respond_with_json(tree)
    for name, data in FILES.items():
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        httpserver.expect_request(f"/maker/model/resolve/{COMMIT}/{name}").respond_with_data(
            data, headers=headers
        )
    return httpserver


def find(hub, cache, model="maker/model", download=False):
    env = environment(HF_ENDPOINT=hub.url_for("").rstrip("/"))
    env = {name: value for name, value in env.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", FIND, model, str(cache), str(download)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_asked_of_the_hub_unless_a_download_was_asked_for(hub, tmp_path):
    told = find(hub, tmp_path)
    assert told.startswith("ModelMissingError the model maker/model is not (or not wholly)")
    assert "'caption.py models download maker/model'" in told
    assert hub.log == []


def test_a_download_takes_no_pickle_and_no_code_and_is_then_found_offline(hub, tmp_path):
    found = find(hub, tmp_path, download=True)
    assert found == "maker/model@0123456789ab config.json model.safetensors"
    asked = len(hub.log)
    agents = " ".join(request.headers.get("User-Agent", "") for request, _ in hub.log)
    assert "torch" not in agents, "no telemetry"
    assert find(hub, tmp_path) == found
    assert find(hub, tmp_path, model=f"maker/model@{COMMIT}") == found
    assert len(hub.log) == asked


def test_a_model_that_the_hub_does_not_have(hub, tmp_path):
    hub.expect_request("/api/models/maker/other/revision/main").respond_with_json(
        {"error": "no"}, status=404, headers={"X-Error-Code": "RepoNotFound"}
    )
    told = find(hub, tmp_path, model="maker/other", download=True)
    assert told.startswith("ConfigurationError the hub has no model maker/other")


def test_a_hub_that_cannot_be_reached_is_a_sentence(hub, tmp_path):
    class Gone:
        def url_for(self, _):
            return "http://127.0.0.1:9"

    told = find(Gone(), tmp_path, download=True)
    assert told.startswith("BackendUnavailableError maker/model is not (or not wholly) on this")
    assert "hf download maker/model" in told


def test_loading_a_folder_asks_nothing_of_the_hub(hub, tmp_path):
    for package in ("torch", "transformers"):
        need(package)
    from tests.embedders import checkpoints

    folder = checkpoints.siglip(tmp_path / "model")
    code = (
        "import sys\n"
        "from picture_captioner.embedders.base import EmbedderSettings\n"
        "from picture_captioner.embedders.registry import embedder_class\n"
        "made = embedder_class('siglip2')(EmbedderSettings(sys.argv[1], device='cpu'))\n"
        "print(made.embed_texts(['a dog']).shape)\n"
    )
    env = environment(HF_ENDPOINT=hub.url_for("").rstrip("/"))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={name: value for name, value in env.items() if name != "HF_HUB_OFFLINE"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("(1, 32)\n", "")
    assert hub.log == []


@pytest.mark.parametrize("model", ["/no/such/folder", "./none", "~/none"])
def test_a_folder_that_is_not_there_is_not_taken_for_a_name(model):
    with pytest.raises(ConfigurationError, match=f"there is no model folder {model}"):
        find_model(model, [], EmbedderSettings())


@pytest.mark.parametrize("model", ["a/b/c", "what ever", "--"])
def test_what_is_neither_folder_nor_name(model):
    with pytest.raises(UsageError, match="neither a folder nor a model's name"):
        find_model(model, [], EmbedderSettings())


def test_the_digest_counts_what_the_model_consists_of(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    before = digest(tmp_path)
    (tmp_path / "README.md").write_text("a model")
    assert digest(tmp_path) == before
    (tmp_path / "vocab.json").write_text("{}")
    assert digest(tmp_path) != before
