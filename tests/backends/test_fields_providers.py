"""Structured fields through each provider's own structured output, on the real SDKs."""

import json
import re

import msgspec
import pytest
from PIL import Image
from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import BackendSettings, Fault
from picture_captioner.backends.compatible import CompatibleBackend
from picture_captioner.backends.fields import expand
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.backends.xai import XaiBackend
from picture_captioner.errors import ApiError, ConfigurationError, ModelError
from picture_captioner.pipeline.recording.answers import judge_answer
from tests.providers import anthropic_server, gemini_server, openai_server
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.gemini_server import GeminiServer
from tests.providers.openai_server import OpenAIServer
from tests.providers.strict_schema import complaints

PHOTO = Image.new("RGB", (64, 48), (200, 90, 30))
FULL = expand(["full"])
SOME = expand(["title", "tags"])
GOOD = json.dumps({"caption": "A dog.", "title": "Dog", "tags": ["dog", "sea", "sand"]})
TRUNCATED = Fault("truncated", "it was cut off", more_tokens=4)
WRONG = Fault("validation", "title: is empty")


class Family:
    """One provider with its server, told apart by what its protocol calls things."""

    def __init__(self, kind, server):
        self.kind, self.server = kind, server

    def connect(self, **settings):
        url = self.server.base_url if self.of_openai else self.server.url
        keys = {AnthropicBackend: anthropic_server.KEY, GeminiBackend: gemini_server.KEY}
        given = {
            "model": self.kind.default_model or "gpt-5.6-luna",
            "api_key": SecretStr(keys.get(self.kind, "sk-canary-0123456789")),
            "base_url": url,
            "fields": SOME,
        }
        return self.kind(BackendSettings(**given | settings))

    @property
    def of_openai(self):
        return isinstance(self.server, OpenAIServer)

    @property
    def asked(self):
        seen = self.server.seen if self.of_openai else self.server.received
        return [
            request.json
            for request in seen
            if request.method == "POST" and "show" not in request.path
        ]

    def schema(self, request):
        if self.of_openai:
            wanted = request.get("response_format")
            return wanted and wanted["json_schema"]["schema"]
        if self.kind is AnthropicBackend:
            wanted = request.get("output_config", {}).get("format")
            return wanted and wanted["schema"]
        return request["generationConfig"].get("responseJsonSchema")

    def text(self, request):
        if self.kind is GeminiBackend:
            return request["contents"][0]["parts"][1]["text"]
        return request["messages"][0]["content"][1]["text"]

    def limit(self, request):
        if self.kind is GeminiBackend:
            return request["generationConfig"]["maxOutputTokens"]
        return request.get("max_tokens") or request["max_completion_tokens"]

    def will_say(self, text):
        if self.of_openai:
            self.server.script.append(openai_server.Reply(body=openai_server.completion(text)))
        elif self.kind is AnthropicBackend:
            self.server.script.append(anthropic_server.message(text))
        else:
            self.server.script.append(gemini_server.response(text))

    def will_fail(self, status, words):
        if self.of_openai:
            self.server.script.append(openai_server.failure(status, words))
        elif self.kind is AnthropicBackend:
            fault = anthropic_server.error(status, "invalid_request_error", words)
            self.server.script.append(fault)
        else:
            self.server.script.append(gemini_server.error(status, "INVALID_ARGUMENT", words))


def camel_case(value):
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub("_(.)", lambda found: found[1].upper(), name): camel_case(item)
        for name, item in value.items()
    }


SERVERS = {AnthropicBackend: AnthropicServer, GeminiBackend: GeminiServer}
PROTOCOLS = [OpenAIBackend, OllamaBackend, AnthropicBackend, GeminiBackend]
EVERY_KIND = [*PROTOCOLS, XaiBackend, CompatibleBackend]


@pytest.fixture(params=PROTOCOLS, ids=lambda kind: kind.name)
def family(request):
    with SERVERS.get(request.param, OpenAIServer)() as server:
        yield Family(request.param, server)


@pytest.mark.parametrize("fields", [SOME, FULL], ids=["some", "full"])
def test_the_native_structured_output_gives_every_field(family, fields):
    backend = family.connect(fields=fields)
    caption = judge_answer(backend.caption(PHOTO, ()), backend.settings.asked)
    (request,) = family.asked
    assert list(complaints(family.schema(request))) == []
    assert list(family.schema(request)["properties"]) == list(fields)
    assert ("caption", *caption.fields) == fields
    assert caption.text
    assert caption.requests == 1
    assert caption.input_tokens


@pytest.mark.parametrize("fields", [("caption",), SOME], ids=["plain", "fields"])
@pytest.mark.parametrize("fault", [None, TRUNCATED], ids=["first", "again"])
def test_the_body_of_a_request_can_be_had_without_sending_it(family, fields, fault):
    backend = family.connect(fields=fields)
    body = msgspec.json.encode(backend.request_body(PHOTO, ("lake",), fault))
    assert family.asked == []
    backend.caption(PHOTO, ("lake",), fault)
    (request,) = family.asked
    if family.kind is GeminiBackend:  # its SDK sends names of both spellings, which mean the same
        request = camel_case(request)
    assert json.loads(body) == request


def test_an_answer_that_came_another_way_is_read_alike(family):
    backend = family.connect(fields=("caption",))
    family.will_say("A dog on a beach.")
    reply = family.server.script[0].body
    assert backend.read_body(reply) == backend.caption(PHOTO, ())


def test_a_plain_caption_asks_for_no_format(family):
    family.connect(fields=("caption",)).caption(PHOTO, ())
    (request,) = family.asked
    assert family.schema(request) is None
    assert "responseMimeType" not in request.get("generationConfig", {})
    assert "JSON" not in family.text(request)


def test_the_question_says_the_same_in_words(family):
    family.connect(language="German").caption(PHOTO, ())
    text = family.text(family.asked[0])
    assert '"title": text' in text
    assert "3 to 5 keywords" in text
    assert "German" in text
    assert "in English" in text


def test_the_fault_of_the_last_answer_is_named(family):
    family.connect().caption(PHOTO, (), WRONG)
    assert "could not be used: title: is empty. Answer again" in family.text(family.asked[0])


def test_after_a_cut_the_answer_gets_more_room_and_should_be_shorter(family):
    backend = family.connect(max_tokens=300)
    backend.caption(PHOTO, ())
    backend.caption(PHOTO, (), TRUNCATED)
    backend.caption(PHOTO, ())
    limits = [family.limit(request) for request in family.asked]
    assert [limit - limits[0] for limit in limits] == [0, 900, 0]
    assert "fewer words" in family.text(family.asked[1])


REFUSALS = {
    OpenAIBackend: "Invalid parameter: 'response_format' of type 'json_schema' is not supported "
    "with this model.",
    XaiBackend: "This model does not support response format json_schema",
    OllamaBackend: "failed to load model vocabulary required for format: invalid JSON schema",
    CompatibleBackend: "'response_format.type' must be 'text'",
    AnthropicBackend: "output_config.format: this model does not support structured outputs",
    GeminiBackend: "JSON mode is not enabled for models/gemma-3-27b-it",
}


@pytest.mark.parametrize("family", EVERY_KIND, indirect=True, ids=lambda kind: kind.name)
def test_a_server_without_structured_output_is_asked_in_words_for_the_rest_of_the_run(family):
    family.will_fail(400, REFUSALS[family.kind])
    family.will_say(f"```json\n{GOOD}\n```")
    family.will_say(GOOD)
    backend = family.connect()
    first = judge_answer(backend.caption(PHOTO, ()), backend.settings.asked)
    assert (first.fields["title"], first.requests) == ("Dog", 2)
    second = judge_answer(backend.caption(PHOTO, ()), backend.settings.asked)
    assert (second.fields["title"], second.requests) == ("Dog", 1)
    first_try, *others = family.asked
    assert family.schema(first_try) is not None
    assert [family.schema(request) for request in others] == [None, None]
    assert '"tags"' in family.text(others[0])


def test_a_failure_after_the_format_was_left_out_has_cost_two_requests(family):
    family.will_fail(400, REFUSALS[family.kind])
    family.will_say("")
    with pytest.raises(ModelError) as caught:
        family.connect().caption(PHOTO, ())
    assert (caught.value.code, caught.value.usage["requests"]) == ("empty", 2)


def test_a_400_about_the_photo_is_not_taken_for_one_about_the_format(family):
    family.will_fail(400, "Could not process the image")
    with pytest.raises((ApiError, ConfigurationError), match="image"):
        family.connect().caption(PHOTO, ())
    assert len(family.asked) == 1


def test_claude_keeps_its_effort_beside_the_format():
    with AnthropicServer() as server:
        server.models["claude-x"] = {"thinking": {"disabled": False}}
        backend = Family(AnthropicBackend, server).connect(model="claude-x")
        backend.check()
        backend.caption(PHOTO, ())
        config = server.received[-1].json["output_config"]
    assert config["effort"] == "low"
    assert config["format"]["type"] == "json_schema"


def test_a_claude_that_is_known_to_have_no_structured_output_is_asked_in_words():
    with AnthropicServer() as server:
        server.models["claude-old"] = {"structured": False}
        server.script.append(anthropic_server.message(GOOD))
        backend = Family(AnthropicBackend, server).connect(model="claude-old")
        backend.check()
        assert backend.caption(PHOTO, ()).requests == 1
        assert "output_config" not in server.received[-1].json


def test_a_refusal_with_a_schema_is_still_a_refusal():
    with AnthropicServer() as server:
        server.script.append(anthropic_server.message("I cannot", "refusal"))
        with pytest.raises(ModelError) as caught:
            Family(AnthropicBackend, server).connect().caption(PHOTO, ())
    assert caught.value.code == "refused"
