"""`backends`: the table, and what the providers that are set up answer to one free question."""

from __future__ import annotations

import json

import pytest

from tests.providers import anthropic_server, bedrock_server, gemini_server
from tests.providers.contracts import contract
from tests.providers.openai_server import OpenAIServer, Reply, failure
from tests.support import caption

KEY = "sk-canary-0123456789abcdef"


class XaiServer(OpenAIServer):
    bars: tuple[str, ...] = ()

    def reply_to(self, request):
        if request.path == "/v1/api-key":
            return Reply(body={"api_key_blocked": False, "team_blocked": False} | dict(self.bars))
        return super().reply_to(request)


KEY_OF_OPENROUTER = {
    "data": {"limit_remaining": 74.5, "usage": 25.5, "label": "sk-or-v1-au7...890"}
}


class OpenRouterServer(OpenAIServer):
    key: object = None

    def reply_to(self, request):
        if request.path == "/v1/key":
            return Reply(body=self.key)
        return super().reply_to(request)


def check(cwd, *arguments, **env):
    done = caption("backends", "--check", "--json", *arguments, cwd=cwd, **env)
    assert "Traceback" not in done.stderr, done.stderr
    assert KEY not in done.stdout + done.stderr
    rows = json.loads(done.stdout)
    return done, {row["name"]: row for row in rows}


def test_every_provider_that_is_set_up_is_asked_once_and_told_about(tmp_path):
    with (
        OpenAIServer() as openai,
        anthropic_server.AnthropicServer() as anthropic,
        gemini_server.GeminiServer() as gemini,
        OpenAIServer() as ollama,
    ):
        ollama.show = {
            "model_info": {"x.context_length": 128_000},
            "capabilities": ["completion", "vision"],
        }
        done, rows = check(
            tmp_path,
            CAPTION_OPENAI_BASE_URL=openai.base_url,
            OPENAI_API_KEY=KEY,
            CAPTION_ANTHROPIC_BASE_URL=anthropic.url,
            ANTHROPIC_API_KEY=anthropic_server.KEY,
            CAPTION_GEMINI_BASE_URL=gemini.url,
            GEMINI_API_KEY=gemini_server.KEY,
            CAPTION_OLLAMA_BASE_URL=ollama.base_url,
        )
        assert done.returncode == 0, done.stderr
        for server, asked in ((openai, openai.seen), (anthropic, anthropic.received)):
            assert [request.method for request in asked] == ["GET"]
            assert f"Asking {server.host} about its models; its key goes along" in done.stderr
        assert f"Asking {ollama.host} about its models; no photo is sent" in done.stderr
        assert {request.path for request in ollama.seen} == {"/v1/models", "/api/show"}
    states = {name: row["state"] for name, row in rows.items()}
    assert states["openai"] == states["anthropic"] == states["gemini"] == states["ollama"] == "ok"
    assert states["xai"] == "absent"
    assert rows["xai"]["told"] == ["not set up: no XAI_API_KEY"]
    assert rows["openai"]["model"] == "gpt-5.6-luna"
    assert rows["openai"]["told"] == ["5 models"]
    assert "a context of 128,000 tokens" in rows["ollama"]["told"]
    assert "template" not in rows, "there is nobody to ask"


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (failure(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), 77, "rejects the"),
        (failure(429, "slow down", "rate_limit_exceeded"), 69, "too busy to say"),
        (Reply(200, b"<html>Log in to the hotel's network", content_type="text/html"), 69, ""),
    ],
)
def test_a_provider_that_refuses_is_named_and_is_the_exit_code(tmp_path, fault, code, told):
    with OpenAIServer() as server:
        server.models_reply = fault
        done, rows = check(tmp_path, CAPTION_OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY=KEY)
    assert done.returncode == code, done.stderr
    assert (rows["openai"]["state"], rows["openai"]["exit_code"]) == ("broken", code)
    assert told in rows["openai"]["told"][0]


def test_nobody_set_up_is_a_sentence_with_the_cure(tmp_path):
    done = caption("backends", "--check", cwd=tmp_path)
    if "ok      ollama" not in done.stdout:  # on a machine where it runs
        assert done.returncode == 78
        assert "no provider is set up: write its key into config.env" in done.stderr
    assert "absent  openai       not set up: no OPENAI_API_KEY" in done.stdout


def test_the_backend_that_was_chosen_counts_as_set_up(tmp_path):
    done, rows = check(tmp_path, CAPTION_BACKEND="gemini", CAPTION_MODEL="gemini-2.5-pro")
    assert done.returncode == 78
    assert "GEMINI_API_KEY=" in rows["gemini"]["told"][0]
    assert rows["gemini"]["model"] == "gemini-2.5-pro"


def test_local_only_asks_no_other_machine(tmp_path):
    with OpenAIServer() as server:
        server.models = ("only-one",)
        done, rows = check(
            tmp_path,
            "--local-only",
            OPENAI_API_KEY=KEY,
            CAPTION_COMPATIBLE_BASE_URL=server.base_url,
        )
    assert done.returncode == 0, done.stderr
    assert rows["openai"]["state"] == "absent"
    assert "api.openai.com is another machine" in rows["openai"]["told"][0]
    assert (rows["compatible"]["state"], rows["compatible"]["model"]) == ("ok", "only-one")


def test_xai_tells_what_bars_a_key(tmp_path):
    with XaiServer() as server:
        server.models = (contract("xai").model,)
        server.bars = {"api_key_disabled": True}
        _, rows = check(tmp_path, CAPTION_XAI_BASE_URL=server.base_url, XAI_API_KEY=KEY)
    assert rows["xai"]["told"] == ["1 model", "the key is switched off"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            KEY_OF_OPENROUTER,
            ["74.50 USD left of the key's limit, 25.50 USD spent with this key"],
        ),
        ({"data": {"limit_remaining": None, "usage": 3}}, ["3.00 USD spent with this key"]),
        ({"data": ["odd"]}, []),
        ({"data": {"usage": True, "limit_remaining": float("nan")}}, []),
    ],
)
def test_openrouter_tells_what_is_left_of_a_key(tmp_path, said, told):
    with OpenRouterServer() as server:
        server.models, server.key = ("a/model",), said
        done, rows = check(
            tmp_path, CAPTION_COMPATIBLE_BASE_URL=server.base_url, COMPATIBLE_API_KEY=KEY
        )
    assert done.returncode == 0, done.stderr
    assert rows["compatible"]["told"] == ["1 model", *told]


def test_bedrock_is_set_up_by_its_credentials_and_asks_nobody(tmp_path):
    given = bedrock_server.environment()
    done, rows = check(tmp_path, "--backend=bedrock", **given)
    assert done.returncode == 0, done.stderr
    assert rows["bedrock"]["host"] == "bedrock-runtime.eu-central-1.amazonaws.com"
    told = "there are credentials of the AWS profile default; nothing is asked before the first"
    assert rows["bedrock"]["told"][0].startswith(told)
    assert "amazonaws" not in done.stderr
    given["AWS_ACCESS_KEY_ID"] = given["AWS_SECRET_ACCESS_KEY"] = ""
    done, rows = check(tmp_path, "--backend=bedrock", **given)
    assert done.returncode == 78
    assert "no AWS credentials: `aws configure`" in rows["bedrock"]["told"][0]
    assert "local" not in rows


def test_without_check_the_table_is_printed(tmp_path):
    listed = caption("backends", cwd=tmp_path)
    assert listed.returncode == 0
    assert listed.stdout.startswith("template ")
    assert listed.stderr == ""
