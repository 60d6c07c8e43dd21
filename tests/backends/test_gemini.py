"""What is Gemini's own: the request, the answer, thinking, quotas. Faults: test_http_service."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image
from pydantic import SecretStr

from picture_captioner.backends.base import DEFAULT_PROMPT, BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.registry import parse_options
from picture_captioner.errors import (
    AccessDeniedError,
    ConfigurationError,
    ModelError,
    TransientError,
    UsageError,
)
from tests.providers.gemini_server import (
    KEY,
    MODEL,
    GeminiServer,
    bad_key,
    blocked,
    error,
    quota,
    response,
)
from tests.providers.loopback import Reply
from tests.providers.pictures import CANARY, holds, metadata_of, picture, talkative


@pytest.fixture
def server():
    with GeminiServer() as running:
        yield running


def connect(server, *options: str, **changes) -> GeminiBackend:
    given = {"model": MODEL, "api_key": SecretStr(KEY), "base_url": server.url} | changes
    parsed = parse_options(GeminiBackend, options)
    return GeminiBackend(BackendSettings(options=parsed, **given))


def generation_config(server, *options: str, model: str = MODEL) -> dict:
    connect(server, *options, model=model).caption(picture(), [])
    return server.received[-1].json["generationConfig"]


def test_a_caption_and_what_it_cost(server):
    usage = {"thoughtsTokenCount": 4, "cachedContentTokenCount": 16}
    server.script.append(response("A dog on a beach.", **usage))
    answer = connect(server).caption(picture(), [])
    assert answer.text == "A dog on a beach."
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (590, 23, 16)
    assert (answer.model_version, answer.requests) == (MODEL + "-002", 1)
    assert answer.cost_usd is None


def test_what_is_not_reported_stays_unknown(server):
    candidate = {"content": {"parts": [{"text": "A dog."}]}, "finishReason": "STOP"}
    server.script.append(Reply({"candidates": [candidate]}))
    answer = connect(server).caption(picture(), [])
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (None, None, None)


def test_an_answer_that_is_not_said_to_be_finished_counts_if_its_sentence_is(server):
    server.script.append(response("A dog on a beach.", None))
    assert connect(server).caption(picture(), []).text == "A dog on a beach."


@pytest.mark.parametrize(
    "body",
    [
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
        {"candidates": [{"finishReason": "SAFETY"}]},
        {"candidates": []},
    ],
)
def test_what_was_read_is_billed_where_nothing_was_written(server, body):
    usage = {"promptTokenCount": 900, "totalTokenCount": 900}  # as proto3 leaves out a 0
    server.script.append(Reply(body | {"usageMetadata": usage}))
    with pytest.raises(ModelError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.usage == {"requests": 1, "input_tokens": 900, "output_tokens": 0}


def test_counts_that_make_no_sense_are_unknown(server):
    server.script.append(response("A dog.", promptTokenCount=-5, candidatesTokenCount=-1))
    answer = connect(server).caption(picture(), [])
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


def test_the_photo_comes_first_and_is_only_pixels(server):
    connect(server, language="German").caption(talkative((80, 60)), ["beach"])
    (request,) = server.received
    image, text = request.json["contents"][0]["parts"]
    jpeg = base64.urlsafe_b64decode(image["inlineData"]["data"])
    with Image.open(io.BytesIO(jpeg)) as received:
        assert (received.format, received.size) == ("JPEG", (80, 60))
    assert metadata_of(jpeg) == {}
    assert not holds(request.body, CANARY)
    assert not holds(jpeg, CANARY)
    assert text["text"].startswith(DEFAULT_PROMPT)
    assert "German" in text["text"]
    assert "beach" in text["text"]


def test_nothing_else_is_sent_whatever_the_environment_says(server, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GENAI_USE_ENTERPRISE", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "family")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://elsewhere.example")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v9")
    connect(server).caption(picture(), [])
    (request,) = server.received
    assert request.path == f"/v1beta/models/{MODEL}:generateContent"
    assert set(request.json) == {"contents", "generationConfig", "store"}
    assert request.json["store"] is False, "else Google keeps the photo for 55 days"
    assert request.headers.pop("x-goog-api-key") == KEY
    assert request.headers.pop("user-agent") == "picture-captioner"
    assert set(request.headers) == {
        "host",
        "connection",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
    }


@pytest.mark.parametrize(
    ("model", "thinking", "room"),
    [
        ("gemini-3.5-flash-lite", {"thinking_level": "MINIMAL"}, 256),
        ("gemini-flash-lite-latest", {"thinking_level": "MINIMAL"}, 256),
        ("gemini-3-flash-preview", {"thinking_level": "MINIMAL"}, 256),
        ("gemini-3.6-flash", {"thinking_level": "MINIMAL"}, 256),
        ("gemini-3.8-flash", {"thinking_level": "LOW"}, 1024),
        ("gemini-3.1-pro-preview", {"thinking_level": "LOW"}, 1024),
        ("models/gemini-4-argon", {"thinking_level": "LOW"}, 1024),
        ("gemini-2.5-flash-lite", {"thinking_budget": 0}, 0),
        ("gemini-2.5-pro", {"thinking_budget": 128}, 1024),
        ("gemini-2.0-flash", None, 0),
    ],
)
def test_as_little_thinking_as_the_model_allows(server, model, thinking, room):
    config = generation_config(server, model=model)
    assert config.get("thinkingConfig") == thinking
    assert config["maxOutputTokens"] == 256 + room


def test_the_level_of_thinking_can_be_set(server):
    config = generation_config(server, "thinking_level=high")
    assert config["thinkingConfig"] == {"thinking_level": "HIGH"}
    with pytest.raises(UsageError, match="thinking_level"):
        connect(server, "thinking_level=none")


@pytest.mark.parametrize(
    ("option", "sent"),
    [
        ([], "MEDIA_RESOLUTION_MEDIUM"),
        (["media_resolution=low"], "MEDIA_RESOLUTION_LOW"),
        (["media_resolution=high"], "MEDIA_RESOLUTION_HIGH"),
        (["media_resolution=default"], None),
    ],
)
def test_media_resolution_sets_the_price(server, option, sent):
    assert generation_config(server, *option).get("mediaResolution") == sent


def test_temperature_is_only_for_models_that_heed_it(server):
    assert "temperature" not in generation_config(server)
    assert generation_config(server, model="gemini-2.5-flash")["temperature"] == 0.3


def test_thoughts_are_no_caption(server):
    server.script.append(response("<think>surely</think>A dog.", thought="Hm, a dog?"))
    assert connect(server).caption(picture(), []).text == "A dog."


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (response("A dog on a", "MAX_TOKENS"), "truncated"),
        (response("A dog on a", "OTHER"), "unfinished"),
        (response("A dog", "CONTINUATION"), "unfinished"),
        (response("A dog on a", None), "unfinished"),
        (response("A dog on a", "FINISH_REASON_UNSPECIFIED"), "unfinished"),
        (response(None), "empty"),
        (response(" \n"), "empty"),
        (response(None, thought="a dog"), "empty"),
        (response("<think>a dog</think>"), "reasoning"),
        *((response("A", reason), "refused") for reason in ("SAFETY", "RECITATION", "SPII")),
        (response(None, "PROHIBITED_CONTENT"), "refused"),
        (response(None, "IMAGE_SAFETY"), "refused"),
    ],
)
def test_an_answer_without_a_caption_is_billed_all_the_same(server, reply, code):
    server.script.append(reply)
    with pytest.raises(ModelError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == code
    assert caught.value.usage == {"input_tokens": 590, "output_tokens": 19, "requests": 1}
    assert len(server.received) == 1


def test_a_blocked_prompt_is_a_refusal_with_a_bill(server):
    server.script.append(blocked("PROHIBITED_CONTENT"))
    with pytest.raises(ModelError, match="PROHIBITED_CONTENT") as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == "refused"
    assert caught.value.usage["input_tokens"] == 590


@pytest.mark.filterwarnings("ignore:.* is not a valid FinishReason")
def test_a_reason_that_is_not_known_yet_is_no_caption(server):
    server.script.append(response("A dog", "SOMETHING_NEW"))
    with pytest.raises(ModelError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.code == "unfinished"


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (quota("GenerateRequestsPerMinutePerProjectPerModel"), 31.4),
        (quota("GenerateRequestsPerMinutePerProjectPerModel", delay=None), None),
        (quota("GenerateContentInputTokensPerModelPerMinute", delay="9s"), 9),
        (error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"), None),
    ],
)
def test_a_quota_for_each_minute_is_passing(server, reply, wait):
    server.script.append(reply)
    with pytest.raises(TransientError) as caught:
        connect(server).caption(picture(), [])
    assert (caught.value.code, caught.value.retry_after) == ("rate_limit", wait)


def test_the_longer_wait_wins(server):
    reply = quota("RequestsPerMinute", delay="5s")
    server.script.append(Reply(reply.body, 429, {"retry-after": "8"}))
    with pytest.raises(TransientError) as caught:
        connect(server).caption(picture(), [])
    assert caught.value.retry_after == 8


@pytest.mark.parametrize(
    "reply",
    [
        quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", value="0"),
        error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
        error(400, "FAILED_PRECONDITION", "Please enable billing on your project."),
        error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    ],
)
def test_what_lasts_longer_than_a_minute_is_fatal(server, reply):
    server.script.append(reply)
    with pytest.raises(AccessDeniedError, match=r"no credit or quota left|the country"):
        connect(server).caption(picture(), [])


def test_a_wrong_key_is_answered_with_400_and_is_fatal(server):
    server.script.append(bad_key())
    with pytest.raises(AccessDeniedError, match="GEMINI_API_KEY"):
        connect(server).caption(picture(), [])


def test_a_level_of_thinking_that_is_refused_is_no_verdict_on_the_photo(server):
    words = "'minimal' is not a supported thinking level for this model."
    server.script.append(error(400, "INVALID_ARGUMENT", words))
    with pytest.raises(ConfigurationError, match="thinking_level=low"):
        connect(server).caption(picture(), [])


def test_a_model_that_goes_away_during_the_run_is_named(server):
    backend = connect(server, model="gemini-3.5-flashlite")
    server.script.append(error(404, "NOT_FOUND", "models/gemini-3.5-flashlite is not found"))
    with pytest.raises(ConfigurationError, match=f"did you mean '{MODEL}'"):
        backend.caption(picture(), [])


def test_check_refuses_a_model_that_writes_no_text(server):
    with pytest.raises(ConfigurationError, match="does not write captions"):
        connect(server, model="gemini-embedding-2").check()


def test_a_host_that_is_switched_off_gets_ten_seconds(server):
    seen = []
    backend = connect(server, timeout=60)
    backend._http_client.event_hooks["request"].append(lambda r: seen.append(r.extensions))
    backend.caption(picture(), [])
    assert seen[0]["timeout"] == {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}
