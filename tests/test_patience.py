"""Whole runs against a service that fails photos, or is not there yet: whose fault is it?"""

from __future__ import annotations

import base64
import io
import re
import socket
import time

import pytest
from PIL import Image

from picture_captioner.pipeline.asking.retry import TELL_AFTER
from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.support import caption, effective, library, records

ICON = (250, 10, 10)
BUSY = failure(503, "Loading model")


class Server(OpenAIServer):
    """Answers HTTP 500 for icons, and 503 for all in the first `loading` seconds of requests.

    And until it has refused enough of them for the run to say so: its pauses are random.
    """

    models = ("first",)

    def __init__(self, loading=0.0):
        self.loading = loading
        self.first_asked = None
        self.refused = 0
        super().__init__()

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        self.first_asked = self.first_asked or time.monotonic()
        over = time.monotonic() >= self.first_asked + self.loading and self.refused >= TELL_AFTER
        if self.loading and not over:
            self.refused += 1
            return BUSY
        return failure(500, "GGML_ASSERT") if _is_icon(request) else Reply(body=completion("Good."))


def _is_icon(request):
    parts = request.json["messages"][-1]["content"]
    url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as sent:
        red, green, _ = sent.convert("RGB").getpixel((sent.width // 2, sent.height // 2))
    return red > 200 and green < 60


def greens(folder, first, count):
    for number in range(first, first + count):
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 36), (number, 200, 40)).save(folder / f"{number}.png")


def icons(folder, count=10):
    for number in range(count):
        folder.mkdir(parents=True, exist_ok=True)
        icon = Image.new("RGB", (16, 16), ICON)
        icon.putpixel((0, 0), (200, number, 0))
        icon.save(folder / f"{number}.png")


def run(cwd, url, *arguments, timeout=60, **env):
    flags = ("--photos-dir=photos", "--backend=compatible", f"--base-url={url}", "--model=first")
    return caption("run", *flags, *arguments, cwd=cwd, timeout=timeout, **env)


@pytest.mark.parametrize("workers", [1, 20])
@pytest.mark.parametrize("place", ["000-first", "001-in-the-middle"])
def test_icons_that_the_server_cannot_take_are_its_verdict_and_hold_up_nobody(
    tmp_path, place, workers
):
    greens(tmp_path / "photos" / "000-photos", 0, 30)
    greens(tmp_path / "photos" / "002", 100, 60)
    icons(tmp_path / "photos" / place)
    with Server() as server:
        done = run(tmp_path, server.base_url, f"--max-workers={workers}")
        requests = len(server.captions_asked())
    assert done.returncode == 0, done.stderr
    found = effective(tmp_path / "captions.jsonl")
    failed = {path: r for path, r in found.items() if r["status"] != "success"}
    assert set(failed) == {f"{place}/{number}.png" for number in range(10)}
    assert {(r["status"], r["error"]["code"]) for r in failed.values()} == {
        ("error_api", "http_500")
    }
    assert len(found) == 100
    # The pictures of our own are in the count, which is what the ceiling goes by.
    assert sum(r["requests"] for r in found.values()) == requests < 90 + 10 * 8
    assert "The service fails" not in done.stderr


@pytest.mark.parametrize("workers", [1, 20])
def test_a_service_that_loads_its_model_is_waited_for_and_that_is_said(tmp_path, workers):
    library(tmp_path / "photos", 30)
    with Server(loading=6) as server:
        done = run(tmp_path, server.base_url, f"--max-workers={workers}", "--patience=30")
    assert done.returncode == 0, done.stderr
    assert [r["status"] for r in records(tmp_path / "captions.jsonl")] == ["success"] * 30
    assert "HTTP 503" in done.stderr
    assert "it is asked again for up to 30 s (--patience)" in done.stderr
    assert "The service answers again" in done.stderr


def test_a_service_that_never_comes_is_given_up_after_the_patience(tmp_path):
    library(tmp_path / "photos", 30)
    with Server(loading=3600) as server:
        done = run(tmp_path, server.base_url, "--max-workers=20", "--patience=5")
    assert done.returncode == 69, done.stderr
    assert 5 <= int(re.search(r"no request succeeded for (\d+) s", done.stderr)[1]) < 15
    assert records(tmp_path / "captions.jsonl") == []
    assert "run the same command again when the service is up" in done.stderr


def test_where_nothing_listens_the_run_ends_at_once(tmp_path):
    library(tmp_path / "photos", 3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = run(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}/v1", "--patience=3600")
    assert done.returncode == 69, done.stderr
    assert not (tmp_path / "captions.jsonl").exists() or not records(tmp_path / "captions.jsonl")
