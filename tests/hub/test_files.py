"""Downloads from a real loopback server: right, wrong, cut, resumed, already there."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from werkzeug import Request, Response

from picture_captioner.errors import BackendUnavailableError, ConfigurationError
from picture_captioner.hub.files import download_manifest

DATA = random.Random(0).randbytes(3_000_000)


class Server:
    """Serves DATA, honours ranges, and notes what it was asked for."""

    def __init__(self, httpserver):
        self.ranges: list[str | None] = []
        self.body = DATA
        self.cut_at: int | None = None
        self.ignore_ranges = False
        self.tells_length = True
        self.url = httpserver.url_for("/model.onnx")
        httpserver.expect_request("/model.onnx").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.ranges.append(request.headers.get("Range"))
        start = 0
        if request.range and not self.ignore_ranges:
            ((start, _),) = request.range.ranges
        body = self.body[start:]
        sent = body if self.cut_at is None else body[: self.cut_at]
        response = Response(iter([sent]), status=206 if start else 200)
        if self.tells_length:
            response.headers["Content-Length"] = str(len(body))
        return response


@pytest.fixture
def server(httpserver):
    return Server(httpserver)


@pytest.fixture
def manifest(tmp_path, server):
    def write(**changes):
        file = {
            "name": "onnx/model.onnx",
            "url": server.url,
            "sha256": hashlib.sha256(DATA).hexdigest(),
            "size": len(DATA),
        }
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({"files": [file | changes]}))
        return path

    return write


def fetch(manifest, tmp_path, progress=lambda *_: None):
    return download_manifest(manifest, tmp_path / "model", progress)


def left(tmp_path):
    folder = tmp_path / "model" / "onnx"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_fetched_verified_and_not_fetched_again(server, manifest, tmp_path):
    seen = []
    (path,) = fetch(manifest(), tmp_path, lambda *news: seen.append(news))
    assert path.read_bytes() == DATA
    assert left(tmp_path) == ["model.onnx"]
    assert seen[-1] == ("onnx/model.onnx", len(DATA), len(DATA))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert len(seen) > 1
    assert fetch(manifest(), tmp_path) == []
    assert server.ranges == [None]


def test_a_file_of_the_right_size_and_wrong_bytes_is_fetched_again(server, manifest, tmp_path):
    (tmp_path / "model" / "onnx").mkdir(parents=True)
    (tmp_path / "model" / "onnx" / "model.onnx").write_bytes(bytes(len(DATA)))
    (path,) = fetch(manifest(), tmp_path)
    assert path.read_bytes() == DATA


def test_wrong_bytes_never_get_the_name(server, manifest, tmp_path):
    server.body = bytes(len(DATA))
    with pytest.raises(ConfigurationError, match="SHA-256 differs"):
        fetch(manifest(), tmp_path)
    assert left(tmp_path) == []


def test_a_server_that_sends_without_end_is_not_stored(server, manifest, tmp_path):
    server.body, server.tells_length = DATA * 5, False
    with pytest.raises(ConfigurationError, match="SHA-256 differs"):
        fetch(manifest(), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("ignore_ranges", [False, True])
def test_a_cut_connection_is_gone_on_from(server, manifest, tmp_path, ignore_ranges):
    server.cut_at = 1_200_000
    with pytest.raises(BackendUnavailableError, match=r"was cut at .* of 3,000,000 bytes"):
        fetch(manifest(), tmp_path)
    (part,) = left(tmp_path)
    have = (tmp_path / "model" / "onnx" / part).stat().st_size
    assert part == "model.onnx.part"
    assert 0 < have <= 1_200_000
    server.cut_at, server.ignore_ranges = None, ignore_ranges
    (path,) = fetch(manifest(), tmp_path)
    assert path.read_bytes() == DATA
    assert server.ranges == [None, f"bytes={have}-"]
    assert left(tmp_path) == ["model.onnx"]


def test_a_whole_part_is_only_renamed(server, manifest, tmp_path):
    (tmp_path / "model" / "onnx").mkdir(parents=True)
    (tmp_path / "model" / "onnx" / "model.onnx.part").write_bytes(DATA)
    fetch(manifest(), tmp_path)
    assert (server.ranges, left(tmp_path)) == ([], ["model.onnx"])


def test_a_part_that_a_power_cut_spoilt_is_fetched_anew(server, manifest, tmp_path):
    (tmp_path / "model" / "onnx").mkdir(parents=True)
    (tmp_path / "model" / "onnx" / "model.onnx.part").write_bytes(DATA[:5000] + bytes(2000))
    (path,) = fetch(manifest(), tmp_path)
    assert path.read_bytes() == DATA
    assert (server.ranges, left(tmp_path)) == (["bytes=7000-", None], ["model.onnx"])


def test_two_that_fetch_one_file_do_not_mix_their_bytes(server, manifest, tmp_path):
    told = []

    def meanwhile(*_):
        if not told:
            told.append("begun")
            with pytest.raises(BackendUnavailableError, match=r"another process is fetching onnx"):
                fetch(manifest(), tmp_path)

    (path,) = fetch(manifest(), tmp_path, meanwhile)
    assert path.read_bytes() == DATA
    assert (told, server.ranges, left(tmp_path)) == (["begun"], [None], ["model.onnx"])


def test_what_another_process_finished_at_this_moment_is_taken(
    server, manifest, tmp_path, monkeypatch
):
    """It renames the part between our opening of it and our lock."""
    part = tmp_path / "model" / "onnx" / "model.onnx.part"

    def finished(*_):
        part.write_bytes(DATA)
        part.rename(part.with_suffix(""))

    monkeypatch.setattr("picture_captioner.hub.files.fcntl.flock", finished)
    (path,) = fetch(manifest(), tmp_path)
    assert path.read_bytes() == DATA
    assert (server.ranges, left(tmp_path)) == ([], ["model.onnx"])


def test_a_page_in_its_place_is_no_part_of_the_file(server, manifest, tmp_path):
    server.cut_at = 1_000
    with pytest.raises(BackendUnavailableError, match="was cut at 1,000"):
        fetch(manifest(), tmp_path)
    server.cut_at, server.ignore_ranges, server.body = None, True, b"<html>sign in</html>"
    with pytest.raises(ConfigurationError, match=r"20 bytes in place of 3,000,000.*sign-in page"):
        fetch(manifest(), tmp_path)
    server.ignore_ranges, server.body = False, DATA
    (path,) = fetch(manifest(), tmp_path)
    assert server.ranges == [None, "bytes=1000-", "bytes=1000-"]
    assert path.read_bytes() == DATA


def test_a_server_that_says_no(manifest, tmp_path, httpserver):
    url = httpserver.url_for("/gone")
    with pytest.raises(BackendUnavailableError, match=r"HTTP (404|500)"):
        fetch(manifest(url=url), tmp_path)
    assert left(tmp_path) == []


def test_a_server_that_is_not_there(manifest, tmp_path):
    with pytest.raises(
        BackendUnavailableError, match=r"did not begin: .*refused.*; check the network"
    ):
        fetch(manifest(url="http://127.0.0.1:9/model.onnx"), tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "../model.onnx"}, "leads out of the model's folder"),
        ({"name": "/etc/model.onnx"}, "leads out of the model's folder"),
        ({"url": "file:///etc/passwd"}, "only https:// is fetched"),
        ({"url": "http://example.org/model.onnx"}, "only https:// is fetched"),
        ({"sha256": "abc"}, "sha256: string should match"),
        ({"size": -1}, "size: input should be greater"),
    ],
)
def test_a_manifest_that_makes_no_sense(manifest, tmp_path, changes, told):
    with pytest.raises(ConfigurationError, match=told):
        fetch(manifest(**changes), tmp_path)
    assert not (tmp_path / "model").exists()


def test_a_manifest_that_is_no_json(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"manifest\.json cannot be read as JSON"):
        fetch(tmp_path / "manifest.json", tmp_path)


def test_the_onnx_embedder_downloads_only_when_asked(server, tmp_path):
    from picture_captioner.embedders.base import EmbedderSettings
    from picture_captioner.embedders.onnx import OnnxEmbedder
    from tests.embedders import checkpoints

    folder = checkpoints.onnx_encoder(tmp_path / "encoder")
    server.body = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").unlink()
    file = {
        "name": "model.onnx",
        "url": server.url,
        "sha256": hashlib.sha256(server.body).hexdigest(),
        "size": len(server.body),
    }
    (folder / "manifest.json").write_text(json.dumps({"files": [file]}))
    with pytest.raises(ConfigurationError, match="has no image encoder"):
        OnnxEmbedder(EmbedderSettings(str(folder))).check()
    assert server.ranges == []
    OnnxEmbedder(EmbedderSettings(str(folder), device="cpu", allow_download=True)).check()
    assert server.ranges == [None]
