"""Whole runs against Anthropic and Gemini: cost, a refusal, a dead key, a service down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.providers import anthropic_server, gemini_server
from tests.support import caption, effective, library, records


class Vendor:
    """How one vendor's server is made to fail."""

    def __init__(self, backend, server, module, key_name, refusal, down, dead):
        self.backend, self.server, self.key_name = backend, server, key_name
        self.key, self.model = module.KEY, module.MODEL
        self.refusal, self.down, self.dead = refusal, down, dead

    def run(self, cwd, url, *arguments, key=None):
        flags = (f"--backend={self.backend}", f"--base-url={url}", "--photos-dir=photos")
        return caption("run", *flags, *arguments, cwd=cwd, **{self.key_name: key or self.key})


VENDORS = {
    "anthropic": Vendor(
        "anthropic",
        anthropic_server.AnthropicServer,
        anthropic_server,
        "ANTHROPIC_API_KEY",
        anthropic_server.message(None, "refusal"),
        anthropic_server.error(529, "overloaded_error", "Overloaded"),
        anthropic_server.error(401, "authentication_error", "invalid x-api-key"),
    ),
    "gemini": Vendor(
        "gemini",
        gemini_server.GeminiServer,
        gemini_server,
        "GEMINI_API_KEY",
        gemini_server.blocked("PROHIBITED_CONTENT"),
        gemini_server.error(503, "UNAVAILABLE", "The model is overloaded."),
        gemini_server.bad_key(),
    ),
}


def asked(server):
    return [request for request in server.received if request.method == "POST"]


@pytest.fixture(params=VENDORS)
def vendor(request, tmp_path):
    library(tmp_path / "photos", 25)
    return VENDORS[request.param]


def test_a_run_records_cost_and_goes_on_after_a_refusal(tmp_path, vendor):
    with vendor.server() as server:
        first = server.scripted
        server.scripted = lambda otherwise: (
            vendor.refusal if len(asked(server)) == 3 else first(otherwise)
        )
        done = vendor.run(tmp_path, server.url, "--max-workers=1")
        assert done.returncode == 0, done.stderr
        assert f"Sending 25 photos to {server.host}" in done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == len(effective(tmp_path / "captions.jsonl")) == 25
    failed = [record for record in found if record["status"] != "success"]
    assert [record["error"]["code"] for record in failed] == ["refused"]
    for record in (record for record in found if record not in failed):
        assert record["caption"] == "A dog on a beach."
        assert record["model"] == vendor.model
        assert record["model_version"].startswith(vendor.model)
        assert 0 < record["cost_usd"] < 0.01
        assert record["requests"] == 1


def test_a_dead_key_meets_a_few_requests_and_leaves_no_record(tmp_path, vendor):
    with vendor.server() as server:
        done = vendor.run(tmp_path, server.url, key="wrong-key-0123456789")
        assert done.returncode == 77, done.stderr
        assert len(server.received) <= 3
    assert vendor.key_name in done.stderr
    assert "wrong-key" not in done.stderr + (tmp_path / "caption.log").read_text()
    assert records(tmp_path / "captions.jsonl") == []


def test_a_service_that_is_down_is_69_and_is_resumed_later(tmp_path, vendor):
    with vendor.server() as server:
        server.script.append(vendor.down)
        done = vendor.run(tmp_path, server.url)
        assert done.returncode == 69, done.stderr
        assert len(asked(server)) <= 25
    assert records(tmp_path / "captions.jsonl") == []
    with vendor.server() as server:
        assert vendor.run(tmp_path, server.url).returncode == 0
    assert len(effective(tmp_path / "captions.jsonl")) == 25


def test_a_key_that_dies_during_the_run_stops_it(tmp_path, vendor):
    with vendor.server() as server:
        good = server.scripted
        server.scripted = lambda otherwise: (
            good(otherwise) if len(asked(server)) <= 10 else vendor.dead
        )
        done = vendor.run(tmp_path, server.url)
        assert done.returncode == 77, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert {record["status"] for record in found} == {"success"}
    assert 0 < len(found) <= 10


def test_credit_that_runs_out_in_the_middle_is_no_verdict_on_a_photo(tmp_path):
    """Google's answer since August 2026; 402 was unknown, and each further photo had failed."""
    library(tmp_path / "photos", 20)
    text = "Your prepayment credits are depleted. Please go to AI Studio."
    empty = gemini_server.error(402, "RESOURCE_EXHAUSTED", text)
    with gemini_server.GeminiServer() as server:
        good = server.scripted
        server.scripted = lambda otherwise: good(otherwise) if len(asked(server)) <= 5 else empty
        done = VENDORS["gemini"].run(tmp_path, server.url)
        assert done.returncode == 77, done.stderr
    assert "has no credit or quota left; add credit there, then run again" in done.stderr
    assert {r["status"] for r in records(tmp_path / "captions.jsonl")} == {"success"}
    assert len(records(tmp_path / "captions.jsonl")) == 5


@pytest.mark.parametrize("spoilt", ["no usage", "negative", "blocked"])
def test_a_ceiling_holds_where_answers_have_no_price(tmp_path, vendor, spoilt):
    """12 photos were captioned under a ceiling of less than one; what is blocked was withheld."""
    library(tmp_path / "photos", 12)
    names = {"anthropic": "usage", "gemini": "usageMetadata"}
    with vendor.server() as server:
        first = server.scripted

        def spoil(otherwise):
            reply = vendor.refusal if spoilt == "blocked" else first(otherwise)
            if not isinstance(reply.body, dict) or names[vendor.backend] not in reply.body:
                return reply
            usage = reply.body[names[vendor.backend]]
            counts = {name: -1 if isinstance(n, int) else n for name, n in usage.items()}
            changed = {"no usage": None, "negative": counts, "blocked": usage}[spoilt]
            return replace(reply, body=reply.body | {names[vendor.backend]: changed})

        server.scripted = spoil
        arguments = ("--max-workers=1", "--max-cost=0.00001")
        done = vendor.run(tmp_path, server.url, *arguments)
        assert done.returncode == 3, done.stderr
        assert len(asked(server)) == 1
        again = vendor.run(tmp_path, server.url, *arguments)
        assert again.returncode == 3, again.stderr
        assert len(asked(server)) == 1
    for run in (done, again):
        assert "stopped at --max-cost" in run.stderr
        assert run.stderr.count("without a price (no token counts") == (spoilt != "blocked")
    assert [("cost_usd" in r) for r in records(tmp_path / "captions.jsonl")] == [
        spoilt == "blocked"
    ]
