"""The litellm backend on the real LiteLLM and Instructor, in an environment of its own.

Both clash with the other SDKs, so these tests run where only the extra `litellm` is installed
(.ci/run does that) and are skipped elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings, Caption, Fault
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    ConfigurationError,
    ModelError,
    TransientError,
)
from tests.needs import need
from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.providers.pictures import CANARY, holds, picture, talkative
from tests.support import caption, library, records

need("litellm")

from picture_captioner.backends.litellm import LiteLLMBackend

KEY = "sk-canary-litellm-0123456789"

# LiteLLM's own models warn about themselves when they are dumped.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


def backend(server, **settings):
    given = {"model": "openai/gpt-5-mini", "api_key": SecretStr(KEY), "timeout": 3.0} | settings
    return LiteLLMBackend(BackendSettings(base_url=server.base_url, **given))


def ask(server, **settings):
    return backend(server, **settings).caption(picture(), ())


def test_a_caption_with_its_usage(server):
    answer = ask(server, temperature=0.1)
    assert answer.text == "A dog on a beach."
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (900, 12, 128)
    assert answer.requests == 1
    assert answer.model_version == "gpt-5.6-luna-2026-07-09"
    assert backend(server).destination == server.host


def test_pixels_and_the_prompt_leave_and_nothing_else(server):
    backend(server).caption(talkative(), ("a tag",))
    sent = server.seen[-1]
    assert not holds(sent.everything(), CANARY)
    assert "a tag" in json.dumps(sent.json)
    assert [piece["type"] for piece in sent.json["messages"][0]["content"]] == ["image_url", "text"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(401, f"bad key {KEY}", "invalid_api_key"), AccessDeniedError),
        (failure(429, "You exceeded your current quota", "insufficient_quota"), AccessDeniedError),
        (failure(429, "slow down", "rate_limit_exceeded"), TransientError),
        (failure(500, "boom"), TransientError),
        (failure(400, "invalid image"), ApiError),
        (Reply(body=completion(None, refusal="no")), ModelError),
        (Reply(body=completion("A dog on", "length")), ModelError),
        (Reply(body=completion("")), ModelError),
        (Reply(hang=True), TransientError),
        (Reply(cut=True), TransientError),
        (Reply(body=b"<html>login</html>", content_type="text/html"), TransientError),
    ],
)
def test_each_fault_is_told_for_what_it_is_with_one_request_and_without_the_key(
    server, reply, kind
):
    server.script.append(reply)
    with pytest.raises(kind) as caught:
        ask(server)
    assert KEY not in str(caught.value)
    assert len(server.captions_asked()) == 1


def test_a_pause_that_the_provider_asks_for_is_passed_on(server):
    server.script.append(failure(429, "slow", "rate_limit_exceeded", headers={"Retry-After": "7"}))
    with pytest.raises(TransientError) as caught:
        ask(server)
    assert caught.value.retry_after == 7


FAMILIES = ["openai/gpt-5-mini", "mistral/pixtral-12b", "openrouter/qwen/qwen3-vl", "groq/llama"]
"""Models that LiteLLM asks in different ways, and whose errors it words differently."""


@pytest.mark.parametrize("model", FAMILIES)
def test_a_redirect_is_not_followed(server, model):
    with OpenAIServer() as elsewhere:
        target = {"Location": f"{elsewhere.base_url}/chat/completions"}
        server.script.append(Reply(307, {}, target))
        with pytest.raises(BackendUnavailableError, match="redirects are not followed"):
            ask(server, model=model)
        assert elsewhere.seen == []


@pytest.mark.parametrize("fields", [("caption",), ("caption", "tags")])
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize(
    ("status", "said", "kind", "code"),
    [
        (402, "insufficient credits", AccessDeniedError, None),
        (403, "forbidden", AccessDeniedError, None),
        (429, "You exceeded your current quota", AccessDeniedError, None),
        (400, "no such model", ConfigurationError, None),
        (410, "gone", BackendUnavailableError, None),
        (529, "overloaded", TransientError, "http_529"),
        (500, "boom", TransientError, "http_500"),
        (413, "too large", ApiError, "too_large"),
        (400, "flagged: content_policy", ApiError, "refused"),
    ],
)
def test_a_status_means_the_same_whichever_class_litellm_has_for_it(
    server, model, fields, status, said, kind, code
):
    server.script.append(failure(status, said))
    with pytest.raises(kind, match=said) as caught:
        ask(server, model=model, fields=fields)
    assert code is None or caught.value.code == code


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("page", [b"<html>login</html>", b""])
def test_what_is_no_answer_is_no_verdict_on_the_photo(server, model, page):
    server.script.append(Reply(body=page, content_type="text/html"))
    with pytest.raises(TransientError, match="cannot read") as caught:
        ask(server, model=model)
    assert caught.value.code == "bad_answer"
    assert "Traceback" not in str(caught.value)


def test_nobody_there_is_no_connection():
    with OpenAIServer() as server:
        nobody = backend(server)
    with pytest.raises(TransientError, match="no connection") as caught:
        nobody.caption(picture(), ())
    assert caught.value.code == "connection"


FIELDS = {"caption": "A dog on a beach.", "tags": ["dog", "beach", "sea"]}


def with_fields(server):
    return backend(server, fields=("caption", "tags"))


def test_fields_are_asked_for_through_a_schema(server):
    server.script.append(Reply(body=completion(json.dumps(FIELDS))))
    answer = with_fields(server).caption(picture(), ())
    assert json.loads(answer.text) == FIELDS
    assert server.seen[-1].json["response_format"]["type"] == "json_schema"


def test_an_answer_that_does_not_fit_comes_back_as_it_is_after_one_request(server):
    server.script.append(Reply(body=completion("A dog.")))
    answer = with_fields(server).caption(picture(), ())
    assert isinstance(answer, Caption)
    assert answer.text == "A dog."
    assert len(server.captions_asked()) == 1


def test_asked_again_the_fault_is_named(server):
    fault = Fault("truncated", "cut off", more_tokens=2)
    backend(server, max_tokens=100).caption(picture(), (), fault)
    assert server.seen[-1].json["max_completion_tokens"] == 200
    assert "cut off" in json.dumps(server.seen[-1].json)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": ""}, "PROVIDER/MODEL"),
        ({"model": "nonsense"}, "no provider for 'nonsense'"),
        ({"model": "groq/x", "local_only": True}, "--local-only"),
        ({"model": "bedrock/x", "local_only": True}, "--local-only"),
        ({"model": "openai/x", "base_url": "http://example.org/v1"}, "plain http"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(changes, said):
    settings = replace(BackendSettings(model="openai/x"), **changes)
    with pytest.raises(ConfigurationError, match=said.replace("-", r"\-")):
        LiteLLMBackend(settings)


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="GROQ_API_KEY"):
        LiteLLMBackend(BackendSettings(model="groq/x")).check()


def test_a_whole_run(tmp_path, server):
    library(tmp_path / "photos", 4)
    flags = ("--backend=litellm", "--model=openai/gpt-5-mini", "--photos-dir=photos")
    done = caption(
        "run", *flags, f"--base-url={server.base_url}", cwd=tmp_path, LITELLM_API_KEY=KEY
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    found = records(tmp_path / "captions.jsonl")
    assert {(r["backend"], r["model"]) for r in found} == {("litellm", "openai/gpt-5-mini")}
    assert len(found) == 4
    assert KEY not in done.stderr + (tmp_path / "caption.log").read_text()


def test_an_empty_account_ends_the_run_and_leaves_no_verdict(tmp_path, server):
    library(tmp_path / "photos", 4)
    server.script += [failure(402, "insufficient credits")] * 4
    flags = ("--backend=litellm", "--model=groq/llama", "--photos-dir=photos")
    done = caption(
        "run", *flags, f"--base-url={server.base_url}", cwd=tmp_path, LITELLM_API_KEY=KEY
    )
    assert done.returncode == 77, done.stderr
    assert "no credit or quota left" in done.stderr
    assert not records(tmp_path / "captions.jsonl")
