"""What is Anthropic's own: the request, the answer, thinking, money. Faults: test_http_service."""

from __future__ import annotations

import base64

import pytest
from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import DEFAULT_PROMPT, BackendSettings
from picture_captioner.backends.registry import parse_options
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    ConfigurationError,
    ModelError,
    TransientError,
)
from tests.providers.anthropic_server import (
    KEY,
    MODEL,
    SERVED_AS,
    AnthropicServer,
    error,
    message,
)
from tests.providers.loopback import Reply
from tests.providers.pictures import CANARY, holds, metadata_of, picture, talkative

NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
USED_UP = "You have reached your specified API usage limits."


@pytest.fixture
def server():
    with AnthropicServer() as running:
        yield running


def connect(server, **changes) -> AnthropicBackend:
    given = {"model": MODEL, "api_key": SecretStr(KEY), "base_url": server.url} | changes
    return AnthropicBackend(BackendSettings(**given))


def test_a_caption_and_what_it_cost(server):
    answer = connect(server).caption(picture(), [])
    assert answer.text == "A dog on a beach."
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (1040, 23, None)
    assert (answer.model_version, answer.requests) == (SERVED_AS, 1)
    assert answer.cost_usd is None


def test_input_tokens_include_those_of_the_cache(server):
    cached = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 50}
    server.script.append(message("A dog.", input_tokens=10, **cached))
    answer = connect(server).caption(picture(), [])
    assert (answer.input_tokens, answer.cached_tokens) == (1060, 1000)


def test_the_photo_comes_first_and_is_only_pixels(server):
    connect(server, language="German").caption(talkative((80, 60)), ["beach"])
    (request,) = server.received
    image, text = request.json["messages"][0]["content"]
    jpeg = base64.b64decode(image["source"]["data"])
    assert image["source"]["media_type"] == "image/jpeg"
    assert metadata_of(jpeg) == {}
    assert not holds(request.body, CANARY)
    assert not holds(jpeg, CANARY)
    assert text["text"].startswith(DEFAULT_PROMPT)
    assert "German" in text["text"]
    assert "beach" in text["text"]


def test_nothing_else_is_sent_whatever_the_environment_says(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-home: alice\nx-api-key: another")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://elsewhere.example")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    connect(server).caption(picture(), [])
    (request,) = server.received
    assert request.path == "/v1/messages"
    assert set(request.json) == {"model", "max_tokens", "messages", "thinking"}
    assert request.headers.pop("x-api-key") == KEY
    assert request.headers.pop("user-agent") == "picture-captioner"
    assert set(request.headers) == {
        "host",
        "connection",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "anthropic-version",
    }


@pytest.mark.parametrize(
    ("ways", "thinking", "output_config", "max_tokens"),
    [
        ({}, {"type": "disabled"}, None, 256),
        ({"disabled": False, "between_tools": True}, {"type": "between_tools"}, None, 256),
        ({"disabled": False}, None, {"effort": "low"}, 256 + 2048),
    ],
)
def test_as_little_thinking_as_the_model_allows(server, ways, thinking, output_config, max_tokens):
    server.models["claude-x"] = {"thinking": ways}
    backend = connect(server, model="claude-x")
    backend.check()
    backend.caption(picture(), [])
    request = server.received[-1].json
    assert request.get("thinking") == thinking
    assert request.get("output_config") == output_config
    assert request["max_tokens"] == max_tokens


def test_a_gateway_that_does_not_describe_its_models_is_taken_at_its_word(server):
    server.check_reply = Reply({"id": MODEL, "type": "model"})
    backend = connect(server)
    backend.check()
    backend.caption(picture(), [])
    assert server.received[-1].json["thinking"] == {"type": "disabled"}


def test_thoughts_are_no_caption(server):
    server.script.append(message("<think>surely</think>A dog.", thought="Hm, a dog?"))
    assert connect(server).caption(picture(), []).text == "A dog."


@pytest.mark.parametrize(
    ("text", "stop", "code"),
    [
        ("I cannot help with that.", "refusal", "refused"),
        ("A dog on a", "max_tokens", "truncated"),
        ("A dog on a", "model_context_window_exceeded", "truncated"),
        ("A dog on a", "pause_turn", "unfinished"),
        ("A dog on a", None, "unfinished"),
        (None, "end_turn", "empty"),
        (" \n", "end_turn", "empty"),
        ("<think>a dog</think>", "end_turn", "reasoning"),
    ],
)
def test_an_answer_without_a_caption_is_billed_all_the_same(server, text, stop, code):
    server.script.append(message(text, stop))
    with pytest.raises(ModelError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == code
    assert caught.value.usage == {"input_tokens": 1040, "output_tokens": 23, "requests": 1}


def test_a_whole_sentence_is_believed_where_a_gateway_does_not_say_how_it_ended(server):
    server.script.append(message("A dog on a beach.", None))
    assert connect(server).caption(picture(), []).text == "A dog on a beach."


@pytest.mark.parametrize("body", [{"id": "no message"}, {"content": "text"}, {"type": "error"}])
def test_json_that_is_no_message_is_no_verdict(server, body):
    server.script.append(Reply(body))
    with pytest.raises(TransientError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == "bad_answer"


ODD = [None, [], {}, "text", -1, True, 1.5, [None], [{"type": "text", "text": None}]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["content", "stop_reason", "usage", "model", "type", "role"])
def test_an_odd_answer_of_a_gateway_is_an_answer_or_a_failure_but_no_crash(server, name, odd):
    server.script.append(Reply(message("A dog.").body | {name: odd}))
    try:
        answer = connect(server).caption(picture(), [])
    except (ModelError, TransientError):
        return
    assert answer.text == "A dog."
    assert answer.model_version in (None, SERVED_AS, odd)
    assert answer.input_tokens in (None, 1040)
    assert isinstance(answer.model_version, str | None)


def test_counts_that_make_no_sense_are_unknown(server):
    server.script.append(message("A dog.", input_tokens=-5, output_tokens=True))
    answer = connect(server).caption(picture(), [])
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


@pytest.mark.parametrize(
    "reply",
    [
        error(402, "billing_error", "pay"),
        error(400, "invalid_request_error", NO_CREDIT),
        error(400, "invalid_request_error", USED_UP),
        error(429, "rate_limit_error", "no", code="enforced_spend_limit_reached"),
        error(403, "permission_error", "no", code="organization_on_hold"),
    ],
)
def test_an_empty_account_is_fatal(server, reply):
    server.script.append(reply)
    with pytest.raises(AccessDeniedError, match=r"no credit|spending limit|billing"):
        connect(server).caption(picture(), [])


def test_a_rate_limit_that_mentions_spending_is_passing(server):
    server.script.append(error(429, "rate_limit_error", "see your usage limits page"))
    with pytest.raises(TransientError):
        connect(server).caption(picture(), [])


def test_a_way_of_thinking_that_is_refused_is_no_verdict_on_the_photo(server):
    words = '"thinking.type.disabled" is not supported for this model.'
    server.script.append(error(400, "invalid_request_error", words))
    with pytest.raises(ConfigurationError, match="--model"):
        connect(server).caption(picture(), [])


def test_a_model_that_goes_away_during_the_run_is_named(server):
    backend = connect(server, model="claude-haiku-5")
    server.script.append(error(404, "not_found_error", "model: claude-haiku-5"))
    with pytest.raises(ConfigurationError, match=f"did you mean '{MODEL}'"):
        backend.caption(picture(), [])


@pytest.mark.parametrize(
    ("what", "words"), [({"lifecycle": "retired"}, "retired"), ({"sees": False}, "cannot see")]
)
def test_check_refuses_a_model_that_cannot_caption(server, what, words):
    server.models["claude-x"] = what
    with pytest.raises(ConfigurationError, match=words):
        connect(server, model="claude-x").check()


def test_jpeg_quality_is_an_option(server):
    sizes = []
    for quality in ("40", "95"):
        options = parse_options(AnthropicBackend, [f"jpeg_quality={quality}"])
        connect(server, options=options).caption(picture((200, 200)), [])
        sizes.append(len(server.received[-1].body))
    assert sizes[0] < sizes[1]


def test_the_default_size_fills_its_patches():
    """28-pixel patches: none half empty for the three usual shapes, nor over the lower cap."""
    edge = AnthropicBackend.preferred_edge
    for long, short in ((4, 3), (3, 2), (1, 1)):
        assert edge % 28 == 0
        assert edge * short // long % 28 == 0
        assert (edge // 28) * (edge * short // long // 28) <= 1568


def test_an_output_that_was_blocked_is_a_refusal_of_this_photo(server):
    text = "Output blocked by content filtering policy"
    server.script.append(error(400, "invalid_request_error", text))
    with pytest.raises(ApiError, match="refuses this photo") as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == "refused"


def test_a_bill_without_content_is_kept(server):
    reply = message(None)
    reply.body["content"] = None
    server.script.append(reply)
    with pytest.raises(ModelError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == "empty"
    assert caught.value.usage["input_tokens"] == 1040
