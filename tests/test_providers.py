"""Whole runs against a provider on loopback: what it is asked, and what is left of a fault."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.support import caption, draw, effective, library, records

KEY = "sk-canary-0123456789abcdef"


class Provider(OpenAIServer):
    """Answers each caption request as `rule` says, and remembers when each came."""

    def __init__(self, rule=None):
        self.rule = rule or (lambda number, request: None)
        self.times = []
        self.lock = threading.Lock()
        super().__init__()

    def reply_to(self, request):
        usual = super().reply_to(request)
        if not request.path.endswith("/chat/completions"):
            return usual
        with self.lock:
            self.times.append(time.monotonic())
            number = len(self.times)
        return self.rule(number, request) or usual


def run_openai(cwd, server, *arguments, **env):
    flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
    return caption("run", *flags, *arguments, cwd=cwd, **({"OPENAI_API_KEY": KEY} | env))


def test_a_run_records_usage_cost_and_who_answered(tmp_path):
    library(tmp_path / "photos", 10)
    with Provider() as server:
        done = run_openai(tmp_path, server)
        assert done.returncode == 0, done.stderr
        assert f"Sending 10 photos to {server.host}" in done.stderr
        assert len(server.times) == 10
    for record in records(tmp_path / "captions.jsonl"):
        assert record["caption"] == "A dog on a beach."
        assert record["model_version"] == "gpt-5.6-luna-2026-07-09"
        assert (record["input_tokens"], record["output_tokens"]) == (900, 12)
        assert record["requests"] == 1
        assert 0 < record["cost_usd"] < 0.001


def test_a_pause_that_the_provider_asks_for_is_kept_by_every_worker(tmp_path):
    library(tmp_path / "photos", 20)

    def rule(number, _):
        if number == 6:
            return failure(429, "slow down", "rate_limit_exceeded", headers={"Retry-After": "7"})
        return None

    with Provider(rule) as server:
        done = run_openai(tmp_path, server)
        assert done.returncode == 0, done.stderr
    asked = server.times[5]
    under_way = [t for t in server.times if asked < t < asked + 0.5]
    assert len(under_way) <= 8, "only what was sent already"
    assert not [t for t in server.times if asked + 0.5 <= t < asked + 7]
    assert len(effective(tmp_path / "captions.jsonl")) == 20


def many_photos(folder, count):
    """Photos of a few hundred bytes that differ behind the end of their picture."""
    folder.mkdir()
    picture = draw(folder / "00000.jpg").read_bytes()
    for i in range(1, count):
        (folder / f"{i:05d}.jpg").write_bytes(picture + i.to_bytes(4, "big"))


@pytest.mark.parametrize("count", [2_000, pytest.param(40_000, marks=pytest.mark.torture)])
def test_a_dead_key_meets_a_few_requests_and_leaves_no_record(tmp_path, count):
    many_photos(tmp_path / "photos", count)
    dead = failure(401, "Incorrect API key provided", "invalid_api_key")
    with Provider(lambda *_: dead) as server:  # its list of models is open to everybody
        done = run_openai(tmp_path, server)
        assert done.returncode == 77, done.stderr
        assert f"Sending {count:,} photos" in done.stderr
        assert 1 <= len(server.times) <= 3
    assert "OPENAI_API_KEY" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


def test_a_dead_key_that_the_list_of_models_refuses_meets_one_request(tmp_path):
    library(tmp_path / "photos", 20)
    with Provider() as server:
        server.keys = ("another",)
        done = run_openai(tmp_path, server)
        assert done.returncode == 77, done.stderr
        assert len(server.seen) == 1
    assert records(tmp_path / "captions.jsonl") == []


def test_a_key_that_dies_during_the_run_stops_it_after_what_is_under_way(tmp_path):
    library(tmp_path / "photos", 100)

    def rule(number, _):
        return failure(401, "key revoked", "invalid_api_key") if number > 20 else None

    with Provider(rule) as server:
        done = run_openai(tmp_path, server)
        assert done.returncode == 77, done.stderr
        assert len(server.times) <= 20 + 8
    assert {r["status"] for r in records(tmp_path / "captions.jsonl")} == {"success"}
    assert len(records(tmp_path / "captions.jsonl")) == 20


def test_a_service_that_is_down_meets_25_requests_at_most_and_is_resumed_later(tmp_path):
    library(tmp_path / "photos", 60)
    with Provider(lambda *_: failure(500, "out of order")) as server:
        done = run_openai(tmp_path, server)
        assert done.returncode == 69, done.stderr
        assert len(server.times) <= 25
    assert records(tmp_path / "captions.jsonl") == []
    with Provider() as server:
        assert run_openai(tmp_path, server).returncode == 0
    assert len(effective(tmp_path / "captions.jsonl")) == 60


def test_one_photo_that_the_service_cannot_take_costs_three_requests_and_a_plain_picture(tmp_path):
    library(tmp_path / "photos", 12)
    cursed = []

    def rule(number, request):
        with server.lock:
            if not cursed:
                cursed.append(request.body)
        if request.body == cursed[0]:
            return failure(500, "boom")
        time.sleep(0.3)  # others are answered while it is tried again
        return None

    server = Provider(rule)
    with server:
        done = run_openai(tmp_path, server, "--max-workers=2")
        assert done.returncode == 0, done.stderr
        assert sum(seen.body == cursed[0] for seen in server.captions_asked()) == 3
    failed = [r for r in records(tmp_path / "captions.jsonl") if r["status"] != "success"]
    assert [r["error"]["code"] for r in failed] == ["http_500"]
    assert failed[0]["requests"] in {3, 4}, "with the plain picture where nobody else was answered"


FAULTS = {
    "refusal": Reply(body=completion(None, refusal="I cannot help with that.")),
    "filter": Reply(body=completion("", "content_filter")),
    "truncated": Reply(body=completion("A dog on a", "length")),
    "empty": Reply(body=completion("")),
    "only reasoning": Reply(body=completion("<think>Let me see</think>")),
    "bad request": failure(400, "invalid image"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_is_no_caption_is_never_stored_as_one(tmp_path, fault):
    library(tmp_path / "photos", 6)
    asked_again = 2 if fault in {"truncated", "empty", "only reasoning"} else 0
    faulty = range(3, 4 + asked_again)
    with Provider(lambda number, _: FAULTS[fault] if number in faulty else None) as server:
        # The server bills 900 tokens for a picture of thirty: three times that is no runaway here.
        done = run_openai(tmp_path, server, "--max-workers=1", "--max-photo-cost=1")
        assert done.returncode == 0, done.stderr
        assert len(server.times) == 6 + asked_again
    found = records(tmp_path / "captions.jsonl")
    failed = [r for r in found if r["status"] != "success"]
    assert len(found) == 6
    assert len(failed) == 1
    assert failed[0]["caption"] is None
    assert failed[0]["error"]["code"] not in {"", "exception"}
    assert failed[0]["requests"] == 1 + asked_again


@pytest.mark.parametrize("fault", [401, 403, 404, 429, 500])
def test_the_key_is_in_no_output_at_any_level(tmp_path, fault):
    library(tmp_path / "photos", 3)
    reply = failure(fault, f"your key {KEY} is odd", "invalid_api_key" if fault < 404 else None)
    with Provider(lambda *_: reply) as server:
        done = run_openai(tmp_path, server, CAPTION_LOG_LEVEL="DEBUG")
        assert done.returncode in {0, 69, 77, 78}, done.stderr
    log = (tmp_path / "caption.log").read_text()
    journal = (tmp_path / "captions.jsonl").read_text()
    assert KEY not in done.stdout + done.stderr + log + journal
    assert "Traceback" not in done.stderr


def test_a_missing_key_and_a_foreign_address_are_refused_before_anything_is_sent(tmp_path):
    library(tmp_path / "photos", 2)
    flags = ("--backend=openai", "--photos-dir=photos")
    done = caption("run", *flags, cwd=tmp_path)
    assert done.returncode == 78
    assert "OPENAI_API_KEY=" in done.stderr
    for more in (["--base-url=http://example.org/v1"], ["--local-only"]):
        done = caption("run", *flags, *more, cwd=tmp_path, OPENAI_API_KEY=KEY)
        assert done.returncode == 78, done.stderr
        assert KEY not in done.stderr


def test_a_server_that_is_not_there_is_69(tmp_path):
    library(tmp_path / "photos", 2)
    with Provider() as server:
        gone = server.base_url
    flags = ("--backend=ollama", f"--base-url={gone}", "--photos-dir=photos")
    done = caption("run", *flags, cwd=tmp_path)
    assert done.returncode == 69
    assert "ollama serve" in done.stderr


def test_a_local_server_with_one_model_needs_no_model_name(tmp_path):
    library(tmp_path / "photos", 2)
    with Provider() as server:
        server.models = ("my-model",)
        flags = ("--backend=compatible", f"--base-url={server.base_url}", "--photos-dir=photos")
        done = caption("run", *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert {r["model"] for r in records(tmp_path / "captions.jsonl")} == {"my-model"}


@pytest.mark.parametrize(
    ("flags", "key", "code"),
    [
        (["--model=nonsense"], KEY, 78),
        ([], "sk-another", 77),
        ([], "", 78),
        (["--model=llava:latest", "--max-cost=1"], KEY, 78),
        (["--include=nothing"], KEY, 66),
    ],
)
def test_a_run_that_is_refused_leaves_no_new_journal(tmp_path, flags, key, code):
    library(tmp_path / "photos", 2)
    with Provider() as server:
        server.keys = (KEY,)
        refused = run_openai(tmp_path, server, *flags, OPENAI_API_KEY=key)
        assert refused.returncode == code, refused.stderr
        assert list(tmp_path.glob("captions.*")) == []
        assert "Beginning a new journal" in run_openai(tmp_path, server).stderr
        refused = run_openai(tmp_path, server, "--force", *flags, OPENAI_API_KEY=key)
        assert refused.returncode == code
    assert len(effective(tmp_path / "captions.jsonl")) == 2, "one that was there stays"


def test_a_run_without_a_photos_directory_begins_no_file(tmp_path):
    refused = caption("run", "--backend=mock", "--photos-dir=none", cwd=tmp_path)
    assert refused.returncode == 78, refused.stderr
    assert list(tmp_path.iterdir()) == []


def monsters():
    """Answers of which each ended a run, or filled the journal, by one value in it."""
    usage = {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912}
    digits = b"9" * 400
    for more in (
        {},
        {"usage": usage | {"prompt_tokens": "DIGITS"}},
        {"usage": usage | {"completion_tokens": "DIGITS", "total_tokens": float("inf")}},
        {"usage": usage | {"cost": float("inf")}},
        {"usage": usage | {"cost": 1e308}},
        {"usage": usage | {"prompt_tokens_details": {"cached_tokens": "DIGITS"}}},
        {"model": "m" * 3_000_000},
        {"model": ["m"], "service_tier": "t" * 3_000_000},
        {"model": "m\ud83d\x00\x1b]0;x\x07", "service_tier": "\ud83d"},
    ):
        body = completion(f"A \udcff boat beside {len(str(more))} gulls.") | more
        yield Reply(body=json.dumps(body).encode().replace(b'"DIGITS"', digits))
    chinese = completion("".join(chr(0x4E00 + n * 7 % 20_000) for n in range(3_000_000)))
    yield Reply(body=json.dumps(chinese, ensure_ascii=False).encode())
    yield Reply(body=completion(" ".join(f"word{n}" for n in range(200_000))))


def test_an_absurd_answer_costs_no_run_and_no_room(tmp_path):
    answers = list(monsters())
    library(tmp_path / "photos", len(answers) + 1)
    with Provider() as server:
        server.script.extend(answers)
        done = run_openai(tmp_path, server, "--max-workers=1")
        assert done.returncode == 0, done.stderr
        assert len(server.captions_asked()) == len(answers) + 1
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == len(answers) + 1
    assert (tmp_path / "captions.jsonl").stat().st_size < 1_000 * len(found)
    failed = [record for record in found if record["status"] != "success"]
    assert [record["error"]["code"] for record in failed] == ["too_long"] * 2
    for record in found:
        assert record["requests"] == 1
        assert record.get("cost_usd", 0) < 0.01
        assert record.get("input_tokens") in {900, None}
    assert all(record["cost_usd"] for record in failed), "what was billed is recorded"
