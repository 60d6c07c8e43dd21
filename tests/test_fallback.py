"""Whole runs with `--fallback`: who is asked about what, who pays, and who is named."""

from __future__ import annotations

import threading
import time

import pytest

from picture_captioner.cli.commands.compose import make_chain
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.config import load_settings
from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.support import caption, library, records

REFUSED = Reply(body=completion(None, refusal="I cannot help with that."))
FIRST, SECOND = "compatible, model first", "compatible, model second"


class Server(OpenAIServer):
    """Serves one model, and answers each caption request as `rule(number)` says."""

    def __init__(self, model, rule=lambda number: None):
        self.models = (model,)
        self.rule = rule
        self.asked = 0
        self.lock = threading.Lock()
        super().__init__()

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        with self.lock:
            self.asked += 1
            number = self.asked
        return self.rule(number) or Reply(body=completion(f"Seen by {self.models[0]}."))


def run(cwd, first, second, *arguments, timeout=60, **env):
    flags = (
        "--photos-dir=photos",
        "--backend=compatible",
        f"--base-url={first.base_url}",
        "--model=first",
        f"--fallback=compatible:second@{second.base_url}",
    )
    return caption("run", *flags, *arguments, cwd=cwd, timeout=timeout, **env)


def prices(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(
        '{"first": {"input_per_million": 1000, "output_per_million": 0},'
        ' "second": {"input_per_million": 10000, "output_per_million": 0}}'
    )
    return f"--prices-file={path}"


def test_the_next_is_asked_about_what_the_first_refuses_and_is_named(tmp_path):
    library(tmp_path / "photos", 12)
    with (
        Server("first", lambda number: REFUSED if number % 3 == 0 else None) as first,
        Server("second") as second,
    ):
        done = run(tmp_path, first, second, prices(tmp_path))
        assert done.returncode == 0, done.stderr
        assert (first.asked, second.asked) == (12, 4)
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == 12
    assert {r["status"] for r in found} == {"success"}
    for record in found:
        assert record["caption"] == f"Seen by {record['model']}."
        handed_on = record["model"] == "second"
        # 900 tokens each: the refusal was billed too, and counts.
        assert record["requests"] == 1 + handed_on
        assert record["cost_usd"] == pytest.approx(9.9 if handed_on else 0.9)
    assert f"What that cannot caption goes to {second.host} ({SECOND})" in done.stderr
    assert f"8 by {FIRST}" in done.stderr
    assert f"4 by {SECOND}" in done.stderr


def without_usage(text, **message):
    body = completion(text, **message)
    del body["usage"]
    return Reply(body=body)


def test_answers_without_a_price_are_not_lost_beside_one_that_has_a_price(tmp_path):
    """They were billed: the ceiling of a later run counts them as the most that one has cost."""
    library(tmp_path / "photos", 4)
    refused = without_usage(None, refusal="I cannot help with that.")
    with Server("first", lambda _: refused) as first, Server("second") as second:
        assert run(tmp_path, first, second, prices(tmp_path)).returncode == 0
        for record in records(tmp_path / "captions.jsonl"):
            assert (record["requests"], record["unpriced_requests"]) == (2, 1)
            assert record["cost_usd"] == pytest.approx(9)
        stats = caption("stats", cwd=tmp_path)
        assert "36.0000 USD, and what 4 requests without a price took" in stats.stdout
        library(tmp_path / "photos", 5)
        stopped = run(tmp_path, first, second, prices(tmp_path), "--max-cost=50")
        assert stopped.returncode == 3, stopped.stderr
        assert first.asked == 4


def test_an_answer_that_was_asked_for_again_keeps_what_is_not_known_of_its_cost(tmp_path):
    library(tmp_path / "photos", 2)
    empty = without_usage("")
    with Server("first", lambda number: empty if number % 2 else None) as server:
        address = f"--base-url={server.base_url}"
        flags = ("--backend=compatible", address, "--model=first", "--max-workers=1")
        done = caption("run", "--photos-dir=photos", *flags, prices(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for record in records(tmp_path / "captions.jsonl"):
        assert (record["requests"], record["unpriced_requests"]) == (2, 1)
        assert record["cost_usd"] == pytest.approx(0.9)


def test_a_photo_that_nobody_captions_is_recorded_once_with_all_it_cost(tmp_path):
    library(tmp_path / "photos", 6)
    refuse = threading.Lock()
    refused = []

    def rule(number):
        with refuse:
            if number == 2:
                refused.append(number)
                return REFUSED
        return None

    with Server("first", rule) as first, Server("second", lambda _: REFUSED) as second:
        done = run(tmp_path, first, second, prices(tmp_path), "--max-workers=1")
        assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    failed = [r for r in found if r["status"] != "success"]
    assert len(found) == 6
    assert len(failed) == 1
    assert failed[0]["status"] == "error_model"
    assert failed[0]["model"] == "second"
    assert failed[0]["requests"] == 2
    assert failed[0]["cost_usd"] == pytest.approx(9.9)


def test_a_service_that_goes_down_is_put_aside_and_the_run_goes_on(tmp_path):
    library(tmp_path / "photos", 40)
    refuse_all = Reply(body=completion(None, refusal="no"))
    with Server("first", lambda _: refuse_all) as first, Server("second") as second:
        done = run(tmp_path, first, second)
        assert done.returncode == 0, done.stderr
        assert 20 <= first.asked < 40
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == 40
    assert {r["model"] for r in found} == {"second"}
    assert f"{FIRST} is put aside: the first 20 photos all failed the same way" in done.stderr
    assert f"Going on with {SECOND}" in done.stderr


def test_when_all_are_down_nothing_is_recorded(tmp_path):
    library(tmp_path / "photos", 30)
    down = failure(500, "out of order")
    with Server("first", lambda _: down) as first, Server("second", lambda _: down) as second:
        done = run(tmp_path, first, second)
        assert done.returncode == 69, done.stderr
        assert first.asked <= 25
        assert second.asked <= 25
    assert records(tmp_path / "captions.jsonl") == []


def test_one_that_is_down_from_the_start_is_left_out_aloud(tmp_path):
    library(tmp_path / "photos", 3)
    with Server("first") as first:
        pass
    with Server("second") as second:
        done = run(tmp_path, first, second)
        assert done.returncode == 0, done.stderr
    assert {r["model"] for r in records(tmp_path / "captions.jsonl")} == {"second"}
    assert f"{FIRST} is left out: " in done.stderr
    assert f"Sending 3 photos to {second.host}" in done.stderr


def test_a_rejected_key_stops_the_run_although_another_could_answer(tmp_path):
    library(tmp_path / "photos", 10)
    rejected = failure(401, "no such key", "invalid_api_key")
    with (
        Server("first", lambda number: rejected if number > 3 else None) as first,
        Server("second") as second,
    ):
        done = run(tmp_path, first, second, "--max-workers=1")
        assert done.returncode == 77, done.stderr
        assert second.asked == 0


def test_a_caption_of_a_fallback_is_not_stale(tmp_path):
    library(tmp_path / "photos", 4)
    with Server("first", lambda _: REFUSED) as first, Server("second") as second:
        assert run(tmp_path, first, second).returncode == 0
        asked = first.asked
        done = run(tmp_path, first, second, "--stale=model,prompt")
        assert done.returncode == 0
        assert "Nothing to do" in done.stderr
        assert first.asked == asked
    with Server("third") as third:
        flags = ("--backend=compatible", f"--base-url={third.base_url}", "--photos-dir=photos")
        done = caption("run", *flags, "--stale=model", cwd=tmp_path)
        assert third.asked == 4


def test_the_ceiling_on_requests_counts_everybody(tmp_path):
    library(tmp_path / "photos", 10)
    with Server("first", lambda _: REFUSED) as first, Server("second") as second:
        done = run(tmp_path, first, second, "--max-requests=6", "--max-workers=1")
        assert done.returncode == 3, done.stderr
        assert first.asked + second.asked == 6


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fallback=template"], 64, "writes placeholders"),
        (["--fallback=opneai"], 64, "did you mean 'openai'"),
        (["--fallback=openai:gpt-5.6-luna"], 78, "OPENAI_API_KEY="),
        (["--fallback=compatible:m@http://example.org/v1"], 78, "plain http"),
        (["--fallback=openai", "--local-only"], 78, "--local-only"),
        (["--fallback=openai", "--in-process"], 64, "go with a model on this machine"),
    ],
)
def test_a_fallback_that_cannot_work_is_refused_before_anything_is_sent(
    tmp_path, words, code, said
):
    library(tmp_path / "photos", 2)
    with Server("first") as first:
        flags = ("--photos-dir=photos", "--backend=compatible", f"--base-url={first.base_url}")
        done = caption("run", *flags, *words, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert first.asked == 0


@pytest.mark.needs("torch")
def test_flags_of_a_model_here_are_heard_by_a_fallback_that_is_one(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789abcdef")
    flags = RunFlags(in_process=True, model_restart_every=500)
    settings = load_settings(backend="openai", fallback="local")
    chain = make_chain(flags, settings, None, print)
    assert [backend.name for backend in chain] == ["openai", "local"]


def test_the_setting_and_a_model_name_with_colons(tmp_path):
    library(tmp_path / "photos", 3)
    with Server("first", lambda _: REFUSED) as first, Server("qwen2.5vl:3b") as second:
        flags = ("--photos-dir=photos", "--backend=compatible", f"--base-url={first.base_url}")
        chain = f"ollama:qwen2.5vl:3b@{second.base_url}"
        done = caption("run", *flags, cwd=tmp_path, CAPTION_FALLBACK=chain)
        assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert {(r["backend"], r["model"]) for r in found} == {("ollama", "qwen2.5vl:3b")}


def test_hints_reach_the_model_and_are_announced(tmp_path):
    library(tmp_path / "photos", 3)
    (tmp_path / "hints.jsonl").write_text(
        '{"rel_path": "000/00001.jpg", "tags": ["Anna", "sailing  boat"]}\n'
    )
    with Server("first") as server:
        flags = ("--photos-dir=photos", "--backend=compatible", f"--base-url={server.base_url}")
        done = caption("run", *flags, "--hints=hints.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        asked = [str(seen.json["messages"]) for seen in server.captions_asked()]
        assert sum("Anna, sailing boat" in text for text in asked) == 1
        assert not any("00001.jpg" in text for text in asked)
        assert "pixels, the prompt and the hints of 1, no names, no metadata" in done.stderr

        # The hints are part of the question: other hints, another question about that photo.
        again = caption("run", *flags, "--hints=hints.jsonl", "--stale=prompt", cwd=tmp_path)
        assert "Nothing to do" in again.stderr
        before = server.asked
        again = caption("run", *flags, "--stale=prompt", cwd=tmp_path)
        assert again.returncode == 0
        assert server.asked == before + 1


def test_a_bad_file_of_hints_is_a_usage_error(tmp_path):
    library(tmp_path / "photos", 1)
    (tmp_path / "hints.jsonl").write_text("dog\n")
    done = caption(
        "run", "--backend=mock", "--photos-dir=photos", "--hints=hints.jsonl", cwd=tmp_path
    )
    assert done.returncode == 64
    assert "hints.jsonl, line 1" in done.stderr


@pytest.mark.torture
def test_workers_that_find_the_first_one_down_at_the_same_time_lose_no_photo(tmp_path):
    library(tmp_path / "photos", 60)

    def slowly_down(number):
        if number <= 8:
            return None
        time.sleep(0.05)
        return failure(500, "out of order")

    with Server("first", slowly_down) as first, Server("second") as second:
        done = run(tmp_path, first, second, "--max-workers=8", timeout=280)
        assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert len({r["rel_path"] for r in found}) == len(found) == 60
    assert {r["status"] for r in found} == {"success"}


def test_what_the_first_was_paid_counts_when_the_ceiling_stops_the_second(tmp_path):
    library(tmp_path / "photos", 2)
    rule = {2: REFUSED}.get
    with Server("first", rule) as first, Server("second") as second:
        for _ in range(2):
            done = run(tmp_path, first, second, "--max-requests=2", "--max-workers=1")
        assert (first.asked, second.asked) == (2, 0), done.stderr
    captioned, refused = records(tmp_path / "captions.jsonl")
    assert (captioned["status"], refused["error"]["code"]) == ("success", "refused")
    assert (captioned["requests"], refused["requests"]) == (1, 1)
