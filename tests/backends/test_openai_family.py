"""The OpenAI-compatible backends: the real SDK against a server, its answers and its questions."""

import pytest

from picture_captioner.backends.compatible import CompatibleBackend
from picture_captioner.backends.hyperbolic import HyperbolicBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.xai import XaiBackend
from picture_captioner.errors import (
    ModelError,
)
from tests.backends.openai_family import FAMILY, PHOTO, asked, backend
from tests.providers.openai_server import OpenAIServer, Reply, completion, failure


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


# -- the answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.name)
def test_a_caption_with_what_it_cost(server, kind):
    answer = backend(server, kind).caption(PHOTO, ())
    assert answer.text == "A dog on a beach."
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (900, 12, 128)
    assert (answer.requests, answer.model_version) == (1, "gpt-5.6-luna-2026-07-09")


def test_reasoning_that_the_total_adds_is_billed_as_output(server):
    usage = {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 952}
    usage["completion_tokens_details"] = {"reasoning_tokens": 40}
    server.script.append(Reply(body=completion() | {"usage": usage}))
    assert backend(server).caption(PHOTO, ()).output_tokens == 52


def test_a_cost_in_the_answer_is_kept(server):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.0004}
    server.script.append(Reply(body=completion() | {"usage": usage}))
    assert backend(server).caption(PHOTO, ()).cost_usd == 0.0004


@pytest.mark.parametrize("usage", [None, {}, [], "9", {"prompt_tokens": "many"}])
def test_tokens_that_are_not_reported_are_unknown(server, usage):
    server.script.append(Reply(body=completion() | {"usage": usage}))
    answer = backend(server).caption(PHOTO, ())
    assert (answer.input_tokens, answer.cost_usd, answer.requests) == (None, None, 1)


@pytest.mark.parametrize(
    "text",
    [
        "<think>A dog? Yes.</think>A dog on a beach.",
        "A dog? Yes.</think>\n\nA dog on a beach.",
        "A dog on a beach.<think>That is all",
    ],
)
def test_leaked_reasoning_is_taken_out(server, text):
    server.script.append(Reply(body=completion(text)))
    assert backend(server).caption(PHOTO, ()).text == "A dog on a beach."


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (completion("A dog on", "length"), "truncated"),
        (completion("", "length"), "truncated"),
        (completion("", "content_filter"), "refused"),
        (completion(None, refusal="I cannot help with that."), "refused"),
        (completion(""), "empty"),
        (completion(None), "empty"),
        (completion(" \n"), "empty"),
        (completion([]), "empty"),
        (completion("<think>Hm.</think>"), "reasoning"),
        (completion("", reasoning_content="Hm."), "reasoning"),
        (completion("", reasoning="Hm."), "reasoning"),
    ],
)
def test_answers_that_are_no_captions_say_what_they_cost(server, body, code):
    server.script.append(Reply(body=body))
    with pytest.raises(ModelError) as caught:
        backend(server).caption(PHOTO, ())
    assert caught.value.code == code
    assert caught.value.usage["output_tokens"] == 12
    assert caught.value.usage["requests"] == 1


# -- what is asked ---------------------------------------------------------------------------


def test_openai_is_asked_not_to_reason_and_not_to_keep(server):
    body = asked(server)
    assert (body["reasoning_effort"], body["store"]) == ("none", False)
    assert (body["max_completion_tokens"], body["temperature"]) == (256, 0.3)
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("model", "effort", "tempered"),
    [
        ("gpt-5-mini", "minimal", False),
        ("gpt-5-nano-2025-08-07", "minimal", False),
        ("gpt-5.4-mini", "none", True),
        ("gpt-5.6-luna", "none", True),
        ("gpt-6-luna-2026-09-22", "none", True),
        ("gpt-6-astra", "low", False),
        ("gpt-6.1-sol", "low", False),
        ("gpt-5-pro", None, False),
        ("gpt-5.1-codex-mini", None, False),
        ("o4-mini", "low", False),
        ("gpt-4o-mini", None, True),
        ("gpt-4.1-nano", None, True),
    ],
)
def test_each_openai_model_gets_what_it_takes(server, model, effort, tempered):
    body = asked(server, model=model)
    assert body.get("reasoning_effort") == effort
    assert ("temperature" in body) is tempered


@pytest.mark.parametrize(
    ("kind", "effort", "limit"),
    [
        (XaiBackend, "none", "max_completion_tokens"),
        (OllamaBackend, "none", "max_tokens"),
        (HyperbolicBackend, "none", "max_tokens"),
        (CompatibleBackend, "none", "max_tokens"),
    ],
)
def test_each_provider_gets_only_what_it_documents(server, kind, effort, limit):
    body = asked(server, kind=kind)
    assert body.get("reasoning_effort") == effort
    expected = {"model", "messages", "temperature", limit} | ({"reasoning_effort"} & set(body))
    assert set(body) == expected


@pytest.mark.parametrize(
    ("model", "effort"),
    [("grok-4.3-latest", "none"), ("grok-4.5", "low"), ("grok-4.7", "low"), ("grok-4.20", None)],
)
def test_each_grok_reasons_as_little_as_it_can(server, model, effort):
    assert asked(server, kind=XaiBackend, model=model).get("reasoning_effort") == effort


def test_options_reach_the_request(server):
    options = ["detail=low", "jpeg_quality=50", "reasoning_effort=low"]
    body = asked(server, options=options, language="German", prompt="What is there?")
    picture, text = body["messages"][0]["content"]
    assert picture["image_url"]["detail"] == "low"
    assert body["reasoning_effort"] == "low"
    assert text["text"].startswith("What is there?")
    assert "German" in text["text"]


def test_a_field_that_the_server_rejects_is_left_out_for_the_rest_of_the_run(server):
    server.script.append(
        failure(400, "Unsupported value: 'minimal'", "unsupported_value", param="reasoning_effort")
    )
    server.script.append(failure(400, "'max_completion_tokens' is not supported"))
    asked_once = backend(server)
    assert asked_once.caption(PHOTO, ()).requests == 3
    asked_once.caption(PHOTO, ())
    assert len(server.captions_asked()) == 4
    assert server.captions_asked()[-1].json["max_tokens"] == 256 + 256, "and room for thinking"
    assert server.captions_asked()[-1].json["reasoning_effort"] == "minimal", "the next step"
