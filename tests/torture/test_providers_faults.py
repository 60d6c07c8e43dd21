"""Every fault of a provider, crossed with a SIGKILL at each point and a resume: in the end every
photo is captioned once, and nobody paid for more than was in flight."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preloaded import Preloaded
from tests.providers import anthropic_server, gemini_server
from tests.providers.hostile import Client, Hostile
from tests.providers.openai_server import completion
from tests.support import library, records
from tests.torture.faults import POINTS
from tests.torture.paid import captioned, photo_in

KEY = "sk-canary-0123456789abcdef"
BACKENDS = ("openai", "anthropic", "gemini", "ollama")
PHOTOS, WORKERS = 8, 2


def right_answer(backend: str, text: str | None, ending: str = "") -> bytes:
    """The body that a provider sends; `ending` is its word for why it stopped."""
    if backend == "anthropic":
        return anthropic_server.message(text, ending or "end_turn").encoded()[0]
    if backend == "gemini":
        return gemini_server.response(text, ending or "STOP").encoded()[0]
    return json.dumps(completion(text, ending or "stop")).encode()


def models(backend: str) -> bytes:
    if backend == "anthropic":
        return json.dumps(anthropic_server.model_info(anthropic_server.MODEL)).encode()
    if backend == "gemini":
        name = f"models/{gemini_server.MODEL}"
        return json.dumps(
            {"name": name, "supportedGenerationMethods": ["generateContent"]}
        ).encode()
    names = ("gpt-5-mini", "qwen2.5vl:3b")
    return json.dumps(
        {"object": "list", "data": [{"id": n, "object": "model"} for n in names]}
    ).encode()


def http(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def said(status: int, text: str, *headers: str) -> bytes:
    error = {"message": text, "type": "api_error", "code": status, "status": "INTERNAL"}
    return http(status, json.dumps({"type": "error", "error": error}).encode(), *headers)


PASSING: dict[str, bytes] = {
    "429": said(429, "slow down"),
    "429, at once": said(429, "slow down", "retry-after: 0"),
    "429, in words": said(429, "slow down", "retry-after: soon"),
    "500": said(500, "out of order"),
    "502, a web page": http(502, b"<html>Bad Gateway</html>", kind="text/html"),
    "503": said(503, "later"),
    "529": said(529, "overloaded"),
    "a login page": http(200, b"<html>Hotel WiFi</html>", kind="text/html"),
    "truncated JSON": http(200, b'{"id": "chatcmpl-1", "choi'),
    "no connection": b"",
    "cut in the middle": http(200, b" " * 4000)[:900],
}
ENDING: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "401": (said(401, f"your key {KEY} is odd"), (77,)),
    "403": (said(403, f"not with {KEY}"), (77,)),
    "404": (said(404, "model not found"), (69, 78)),
    "301": (http(301, b"", "location: https://elsewhere.example/?key=" + KEY), (69,)),
}
ENDINGS = {
    "openai": "content_filter",
    "ollama": "content_filter",
    "anthropic": "refusal",
    "gemini": "SAFETY",
}
VERDICTS = ("refusal", "empty", "400")


class Provider(Hostile):
    """Answers as `rule` says: None is the right answer, which is paid for."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.rule: Iterator[bytes | None] = itertools.repeat(None)
        self.paid: list[str] = []
        self._lock = threading.Lock()
        super().__init__(self._behave)

    def _behave(self, client: Client) -> None:
        while True:
            request = client.request()
            if not request.startswith(b"POST") or b"/api/show" in request.split(b"\r\n", 1)[0]:
                client.send(http(200, models(self.backend)))
                continue
            photo = photo_in(request)
            with self._lock:
                fault = next(self.rule)
                if fault is None:
                    self.paid.append(photo)
            if fault is not None and not fault.endswith((b"}", b">", b"\n")):
                client.send(fault)
                return
            body = right_answer(self.backend, f"Photo {photo}.")
            client.send(http(200, body) if fault is None else fault)


class Library:
    """A journal that one backend fills, in runs that may be killed."""

    def __init__(self, server: Preloaded, folder: Path, photos: Path, provider: Provider) -> None:
        self.server, self.folder, self.provider = server, folder, provider
        folder.mkdir(parents=True)
        (folder / "photos").symlink_to(photos)
        self.journal = folder / "captions.jsonl"

    def run(self, *flags: str, die: tuple[str, int] | None = None):
        faults: list[tuple[object, ...]] = [("short_waits", 0.01)]
        if die:
            faults += [("die_at_group", str(self.journal), str(self.folder / "synced"), *die)]
        address = self.provider.url + (
            "/v1" if self.provider.backend in ("openai", "ollama") else ""
        )
        run = self.server.start(
            "run", f"--backend={self.provider.backend}", f"--base-url={address}",
            "--photos-dir=photos", f"--max-workers={WORKERS}", "--decode-workers=1",
            "--max-photo-cost=1", *flags,  # the bills are those of larger photos
            cwd=self.folder, faults=faults,
            OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY=KEY, GEMINI_API_KEY=KEY,
        )  # fmt: skip
        run.wait(60)
        return run

    def complaints(self, kills: int) -> list[str]:
        """At the end: every photo once in the journal, and paid once but for what was killed."""
        found = captioned(self.journal)
        wrong = []
        if len(found) != PHOTOS or set(found.values()) != {1}:
            wrong.append(f"captioned {found}")
        twice = sum(Counter(self.provider.paid).values()) - PHOTOS
        if twice > kills * WORKERS:
            wrong.append(f"{twice} photos paid twice by {kills} kills")
        return wrong


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("library"), PHOTOS)


def stormy(rng: random.Random, fault: bytes) -> Iterator[bytes | None]:
    """Two of five requests meet the fault, but no photo meets it five times."""
    while True:
        yield from rng.sample([fault, fault, None, None, None], 5)


@pytest.mark.timeout(3600)
def test_a_fault_that_passes_and_a_kill_cost_no_photo_and_little_money(
    tmp_path, photos, preloaded, share, tried
):
    every = list(itertools.product(BACKENDS, PASSING, POINTS))
    chosen = share([("openai", "503", "written"), ("ollama", "429", "torn")], every)
    wrong: list[str] = []
    for number, (backend, name, point) in enumerate(chosen):
        rng = random.Random(number)
        with Provider(backend) as provider:
            case = Library(preloaded, tmp_path / str(number), photos, provider)
            provider.rule = stormy(rng, PASSING[name])
            kills = 0
            for when in (rng.randint(1, 4), rng.randint(1, 3)):
                run = case.run(die=(point, when))
                kills += run.returncode == -9
                if run.returncode not in (-9, 0, 69) or KEY in run.said:
                    wrong.append(f"{backend}, {name}, {point}: {run.returncode}: {run.said[-400:]}")
            provider.rule = itertools.repeat(None)
            flags = ("--retry-status=error_api,error_model",)  # five faults in a row are a verdict
            last = case.run(*flags)
            _drop_failures(case.journal)
            wrong += [f"{backend}, {name}, {point}: {c}" for c in case.complaints(kills)]
            if last.returncode != 0:
                wrong.append(f"{backend}, {name}, {point}: {last.returncode}: {last.said[-400:]}")
    tried("a fault that passes, and a kill", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def _drop_failures(journal: Path) -> None:
    """Leave captions only, which `captioned` counts."""
    lines = [line for line in journal.read_bytes().splitlines(True) if b'"success"' in line]
    journal.write_bytes(b"".join(lines))


@pytest.mark.timeout(1200)
def test_a_fault_that_ends_the_run_leaves_no_record_and_is_resumed(
    tmp_path, photos, preloaded, share, tried
):
    every = list(itertools.product(BACKENDS, ENDING, (0, 3)))
    chosen = share([("openai", "401", 3), ("ollama", "301", 0)], every)
    wrong: list[str] = []
    for number, (backend, name, good) in enumerate(chosen):
        fault, statuses = ENDING[name]
        with Provider(backend) as provider:
            case = Library(preloaded, tmp_path / str(number), photos, provider)
            provider.rule = itertools.chain([None] * good, itertools.repeat(fault))
            run = case.run()
            what = f"{backend}, {name} after {good}: {run.returncode}: {run.said[-400:]}"
            wrong += [what] if run.returncode not in statuses else []
            wrong += [f"key: {what}"] if KEY in run.said or "Traceback" in run.said else []
            wrong += [f"records: {what}"] if len(records(case.journal)) != good else []
            provider.rule = itertools.repeat(None)
            run = case.run()
            wrong += [f"not resumed: {run.said[-400:]}"] if run.returncode != 0 else []
            wrong += [f"{what}: {complaint}" for complaint in case.complaints(0)]
    tried("a fault that ends the run", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def verdict(backend: str, name: str) -> bytes:
    if name == "400":
        return said(400, "could not process image")
    if name == "empty":
        return http(200, right_answer(backend, ""))
    return http(200, right_answer(backend, "I cannot", ENDINGS[backend]))


@pytest.mark.timeout(1200)
def test_a_verdict_is_one_record_and_is_asked_again_only_when_told_to(
    tmp_path, photos, preloaded, share, tried
):
    every = list(itertools.product(BACKENDS, VERDICTS))
    chosen = share([("openai", "empty")], every)
    wrong: list[str] = []
    for number, (backend, name) in enumerate(chosen):
        with Provider(backend) as provider:
            case = Library(preloaded, tmp_path / str(number), photos, provider)
            refused = itertools.repeat(verdict(backend, name), 3 if name == "empty" else 1)
            provider.rule = itertools.chain([None, None], refused, itertools.repeat(None))
            codes = [case.run("--max-workers=1").returncode, case.run().returncode]
            found = Counter(record["status"] for record in records(case.journal))
            failed = found["error_api"] + found["error_model"]
            what = f"{backend}, {name}: {codes} {dict(found)}"
            wrong += [what] if codes != [0, 0] or failed != 1 or found["success"] != 7 else []
            run = case.run("--retry-status=error_api,error_model")
            _drop_failures(case.journal)
            wrong += [f"{what}: {c}" for c in case.complaints(0)]
            wrong += [f"{what}: {run.said[-400:]}"] if run.returncode else []
    tried("a verdict of the provider", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)
