"""A model's files: a folder, the hub's cache, the hub; and a hub that cannot be reached."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from functools import partial

import pytest
from werkzeug import Response

from tests.needs import need

need("torch")

import huggingface_hub
from huggingface_hub import constants

from picture_captioner.backends.base import BackendSettings, Caption
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    ModelMissingError,
    UsageError,
)
from picture_captioner.hub import repositories
from picture_captioner.hub.catalogue import known_model
from picture_captioner.hub.repositories import (
    download_repository,
    find_repository,
    is_snapshot,
    local_folder,
    remove_repository,
)
from tests.local_models import NEW_TOKENS

NAME = "somebody/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and a hub at an address where nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    return folder


def put_into(cache, model):
    """What the hub's library leaves behind after a download."""
    repo = cache / f"models--{NAME.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    shutil.copytree(model, snapshot)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    return snapshot


def silent(name, done, size):
    """Progress that nobody looks at."""


def test_a_hub_that_cannot_be_reached_is_one_sentence_with_the_way_around(cache):
    with pytest.raises(BackendUnavailableError) as error:
        download_repository(NAME, "v1.0", silent)
    said = str(error.value)
    assert "cannot be reached" in said
    assert f"hf download {NAME} --revision v1.0 --include '*.safetensors'" in said
    assert "--local-dir tiny; copy that folder here and give --model ./tiny" in said
    assert "\n" not in said


def test_offline_mode_is_named(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BackendUnavailableError, match="HF_HUB_OFFLINE forbids"):
        download_repository(NAME, None, silent)


@pytest.mark.parametrize("offline", [False, True])
def test_a_cached_model_needs_no_network(cache, local_model, monkeypatch, offline):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    snapshot = put_into(cache, local_model())
    assert find_repository(NAME) == find_repository(NAME, COMMIT) == snapshot
    assert is_snapshot(snapshot)


@pytest.mark.parametrize("below", [NAME, "tiny", f"models--{NAME.replace('/', '--')}"])
def test_a_folder_of_models_is_looked_into(cache, tmp_path, local_model, below):
    folder = tmp_path / "models"
    if "--" in below:
        expected = put_into(folder, local_model())
    else:
        expected = folder / below
        shutil.copytree(local_model(), expected)
    assert find_repository(NAME, models_dir=folder) == expected
    with pytest.raises(ModelMissingError):
        find_repository(NAME)


def test_a_missing_model_is_a_sentence_with_the_command_and_asks_nobody(cache):
    with pytest.raises(ModelMissingError) as error:
        find_repository(NAME, "v1.0")
    assert error.value.model == f"{NAME}@v1.0"
    assert f"run 'caption.py models download {NAME}@v1.0'" in str(error.value)
    with pytest.raises(ModelMissingError, match=r"google/siglip2.*1\.5 GB, Apache-2\.0"):
        find_repository("google/siglip2-base-patch16-224")


def test_the_backend_downloads_nothing_by_itself(cache):
    with pytest.raises(ModelMissingError, match="models download somebody/tiny"):
        LocalBackend(BackendSettings(model=NAME, options=LocalOptions(device="cpu"))).check()


def test_a_model_that_is_removed_is_gone(cache, local_model):
    put_into(cache, local_model())
    assert remove_repository(NAME) > 0
    assert remove_repository(NAME) == 0
    with pytest.raises(ModelMissingError):
        find_repository(NAME)


def test_the_commit_of_a_cached_model_is_recorded(cache, local_model):
    from PIL import Image

    put_into(cache, local_model())
    options = LocalOptions(device="cpu")
    backend = LocalBackend(BackendSettings(model=NAME, max_tokens=NEW_TOKENS, options=options))
    answer = backend.caption(Image.new("RGB", (64, 64), (1, 2, 3)), ())
    assert isinstance(answer, Caption)
    assert answer.model_version == COMMIT[:12]
    assert backend.settings.model == NAME


def test_a_download_that_was_cut_is_not_taken_for_a_model(cache, local_model):
    snapshot = put_into(cache, local_model())
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    index = {"weight_map": shards}
    (snapshot / "model.safetensors").rename(snapshot / shards["a"])
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelMissingError, match="not wholly"):
        find_repository(NAME)
    (snapshot / shards["b"]).write_bytes(b"")
    assert find_repository(NAME) == snapshot


def test_a_folder_is_a_model_and_a_wrong_path_is_told(local_model, tmp_path, monkeypatch):
    assert local_folder(str(local_model())) == local_model()
    assert local_folder("Qwen/Qwen2.5-VL-3B-Instruct") is None
    for wrong in ("/nowhere/model", "./model", "~/no-such-model", str(tmp_path)):
        with pytest.raises(ConfigurationError, match=r"no config\.json"):
            local_folder(wrong)
    with pytest.raises(UsageError, match="neither a folder nor a model's name"):
        find_repository("a/b/c")


# --- a hub that answers --------------------------------------------------------------------------


@pytest.fixture
def hub(cache, httpserver, monkeypatch):
    address = httpserver.url_for("").rstrip("/")
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("{repo_id}")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{''.join(template[1:])}"
    )
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    return httpserver


EXPIRED = "Invalid credentials in Authorization header"
"""By which the hub's library tells a token from a model that is not there."""


def refuse(hub, status, code):
    hub.expect_request(f"/api/models/{NAME}/revision/main").respond_with_json(
        {"error": "no"}, status=status, headers={"X-Error-Code": code, "X-Error-Message": EXPIRED}
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (404, "RepoNotFound", ConfigurationError, "the hub has no model somebody/tiny"),
        (404, "RevisionNotFound", ConfigurationError, "no --revision"),
        (403, "GatedRepo", AccessDeniedError, "accept terms first"),
        (401, "", AccessDeniedError, "rejects the token .* run `hf auth login`"),
        (503, "", BackendUnavailableError, "answers HTTP 503 .* again later, it goes on"),
        (429, "", BackendUnavailableError, "answers HTTP 429 .* again later, it goes on"),
    ],
)
def test_what_the_hub_refuses_is_told_with_its_remedy(hub, status, code, kind, words):
    refuse(hub, status, code)
    with pytest.raises(kind, match=words):
        download_repository(NAME, None, silent)


PAGE = b"<html><title>Hotel WLAN</title>Sign in</html>"


@pytest.mark.parametrize("answer", [PAGE, b"[]", b"{}", b'"hello"'])
def test_what_is_no_hub_is_told_for_that(hub, answer):
    hub.expect_request(f"/api/models/{NAME}/revision/main").respond_with_data(answer)
    with pytest.raises(BackendUnavailableError, match="is not a hub of models: the sign-in page"):
        download_repository(NAME, None, silent)


def test_no_photo_and_no_word_about_this_machine_but_the_library_goes_to_the_hub(hub):
    refuse(hub, 404, "RepoNotFound")
    with pytest.raises(ConfigurationError):
        download_repository(NAME, None, silent)
    requests = [request for request, _ in hub.log]
    assert all(request.get_data() == b"" for request in requests)
    assert constants.HF_HUB_DISABLE_TELEMETRY


def serve(hub, files, etags, sent=None):
    """A model; `sent` makes of a file's bytes what comes instead of them, cut off or not."""
    hub.expect_request(f"/api/models/{NAME}/revision/main").respond_with_json(
        {"id": NAME, "sha": COMMIT, "siblings": []}
    )
    tree = [
        {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
        for name, data in files.items()
    ]
    hub.expect_request(f"/api/models/{NAME}/tree/{COMMIT}").respond_with_json(tree)
    for name, data in files.items():
        headers = {"ETag": f'"{etags[name]}"', "X-Repo-Commit": COMMIT}
        asked = hub.expect_request(f"/{NAME}/resolve/{COMMIT}/{name}")
        if sent is None:
            asked.respond_with_data(data, headers=headers)
        else:
            asked.respond_with_handler(partial(sent, data=data, headers=headers))


def a_page(_request, data, headers):
    return Response(PAGE)


def half(_request, data, headers):
    return Response(iter([data[:1000]]), headers=headers | {"Content-Length": str(len(data))})


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (a_page, "is not a hub of models"),
        (half, "was cut .* again, it goes on from there"),
    ],
)
def test_what_comes_in_a_file_s_place_is_told_for_what_it_is(hub, sent, words):
    serve(hub, {"config.json": b"x" * 100_000}, {"config.json": "0" * 40}, sent)
    with pytest.raises(BackendUnavailableError, match=words):
        download_repository(NAME, None, silent)


@pytest.mark.parametrize("into_folder", [False, True])
def test_a_download_takes_safetensors_and_no_code_and_tells_its_progress(
    hub, local_model, tmp_path, into_folder
):
    files = {file.name: file.read_bytes() for file in local_model().iterdir()}
    files |= {"pytorch_model.bin": b"a pickle", "modeling_evil.py": b"raise SystemExit"}
    serve(hub, files, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    told = []
    models_dir = tmp_path / "models" if into_folder else None
    folder = download_repository(NAME, None, lambda *n: told.append(n), models_dir=models_dir)
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        path.name for path in local_model().iterdir()
    }
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert find_repository(NAME, models_dir=models_dir) == folder
    assert told[-1][0] == NAME
    assert told[-1][1] >= len(files["model.safetensors"])
    asked = {request.path for request, _ in hub.log}
    assert not any(path.endswith((".bin", ".py")) for path in asked)


@pytest.mark.parametrize("into_folder", [False, True])
def test_a_file_that_is_not_the_hubs_is_thrown_away(hub, local_model, tmp_path, into_folder):
    files = {file.name: file.read_bytes() for file in local_model().iterdir()}
    serve(hub, files, {name: hashlib.sha256(name.encode()).hexdigest() for name in files})
    models_dir = tmp_path / "models" if into_folder else None
    with pytest.raises(ConfigurationError, match="is not the hub's file"):
        download_repository(NAME, None, silent, models_dir=models_dir)


def test_the_graph_that_the_list_names_is_fetched_alone(hub, tmp_path, monkeypatch):
    row = known_model("dfine-nano")._replace(repository=NAME)
    monkeypatch.setattr(repositories, "CATALOGUE", (row,))
    files = {"config.json": b"{}", "onnx/model.onnx": b"graph", "onnx/model_q4.onnx": b"other"}
    serve(hub, files, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    with pytest.raises(ModelMissingError):
        find_repository(NAME, models_dir=tmp_path)
    folder = download_repository(NAME, None, silent, models_dir=tmp_path)
    assert (folder / "onnx/model.onnx").read_bytes() == b"graph"
    assert not (folder / "onnx/model_q4.onnx").exists()
    assert find_repository(NAME, models_dir=tmp_path) == folder
    (folder / "onnx/model.onnx").unlink()
    with pytest.raises(ModelMissingError):
        find_repository(NAME, models_dir=tmp_path)
