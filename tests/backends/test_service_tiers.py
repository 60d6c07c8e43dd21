"""Half price without a batch, and models that will be gone."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.http_service import FLEX_TIMEOUT
from picture_captioner.backends.registry import parse_options
from picture_captioner.errors import ConfigurationError, Usage
from picture_captioner.pipeline.asking.prices import Prices
from tests.backends.openai_family import PHOTO, backend
from tests.providers import anthropic_server, gemini_server
from tests.providers.contracts import contract
from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.support import caption, library, records

FLEX = ["service_tier=flex"]


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def google():
    with gemini_server.GeminiServer() as running:
        yield running


def gemini(server, options=(), **settings):
    parsed = parse_options(GeminiBackend, options)
    given = {"model": gemini_server.MODEL, "api_key": SecretStr(gemini_server.KEY)} | settings
    return GeminiBackend(BackendSettings(base_url=server.url, options=parsed, **given))


def test_flex_is_asked_for_and_waited_for(server, google):
    asked = backend(server, options=FLEX, timeout=None)
    asked.caption(PHOTO, ())
    assert server.captions_asked()[-1].json["service_tier"] == "flex"
    assert asked._http.timeout.read == FLEX_TIMEOUT
    gemini(google, FLEX).caption(PHOTO, ())
    assert google.received[-1].json["serviceTier"] == "flex"
    assert gemini(google, FLEX).request_body(PHOTO, ())["serviceTier"] == "flex"


def test_nobody_is_asked_for_a_tier_unless_told(server, google):
    backend(server).caption(PHOTO, ())
    gemini(google).caption(PHOTO, ())
    assert "service_tier" not in server.captions_asked()[-1].json
    assert "serviceTier" not in google.received[-1].json


def test_a_tier_that_is_not_offered_is_not_left_out_in_silence(server, google):
    words = "Invalid service_tier argument: The requested service tier is not allowed."
    server.script.append(failure(400, words, param="service_tier"))
    with pytest.raises(ConfigurationError, match="leave out --service-tier"):
        backend(server, options=FLEX).caption(PHOTO, ())
    assert len(server.captions_asked()) == 1
    google.script.append(gemini_server.error(400, "INVALID_ARGUMENT", "service_tier is not valid"))
    with pytest.raises(ConfigurationError, match="leave out --service-tier"):
        gemini(google, FLEX).caption(PHOTO, ())


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-5.6-luna"), ("google", "gemini-3.5-flash-lite")]
)
def test_flex_is_half_the_price_unless_the_answer_was_billed_in_full(provider, model):
    usage = Usage(input_tokens=10_000, output_tokens=1000)
    full, flex = Prices(provider, model).cost(usage), Prices(provider, model, tier="flex")
    assert flex.cost(usage) == pytest.approx(full / 2)
    assert flex.cost(usage | Usage(service_tier="default")) == pytest.approx(full)


def test_another_model_that_answered_is_priced_as_billed():
    usage = Usage(input_tokens=10_000, output_tokens=1000)
    asked, answered = Prices("openai", "gpt-5-mini"), Prices("openai", "gpt-5.6-terra")
    assert asked.billed(usage, 1, "gpt-5.6-terra")["cost_usd"] == answered.cost(usage)
    assert asked.billed(usage, 1, "of-nobody")["cost_usd"] == asked.cost(usage)


def test_a_run_at_flex_says_and_records_half_the_price(tmp_path, server):
    library(tmp_path / "photos", 2)
    server.script.extend([Reply(body=completion() | {"service_tier": "flex"})] * 2)
    flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
    key = {"OPENAI_API_KEY": "sk-0123456789abcdef"}
    flexible = (*flags, "--service-tier", "flex")
    usual, half = (
        json.loads(caption("estimate", *given, "--json", cwd=tmp_path, **key).stdout)
        for given in (flags, flexible)
    )
    assert half["cost_usd"] == pytest.approx(usual["cost_usd"] / 2)
    done = caption("run", *flexible, cwd=tmp_path, **key)
    assert done.returncode == 0, done.stderr
    for record in records(tmp_path / "captions.jsonl"):
        assert record["service_tier"] == "flex"
        tokens = Usage(input_tokens=900, output_tokens=12, cached_tokens=128)
        half_price = Prices("openai", "gpt-5.6-luna", tier="flex").cost(tokens)
        assert record["cost_usd"] == pytest.approx(half_price, abs=1e-9)


def test_further_fields_are_added_by_a_flag_and_a_wrong_one_is_named(tmp_path, server):
    library(tmp_path / "photos", 1)
    server.models, server.contract = ("one",), contract("compatible")
    flags = ("--backend=compatible", f"--base-url={server.base_url}", "--photos-dir=photos")
    for wrong, told in (
        ("{", "--extra-body: invalid JSON"),
        ("[1]", "--extra-body: input should be a valid dictionary"),
        ('{"model": "x"}', "--extra-body: model cannot be set here"),
    ):
        done = caption("run", *flags, "--extra-body", wrong, cwd=tmp_path)
        assert done.returncode == 64
        assert told in done.stderr
    added = {"chat_template_kwargs": {"enable_thinking": False}}
    done = caption("run", *flags, "--extra-body", json.dumps(added), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert added.items() <= server.captions_asked()[-1].json.items()
    for flag in ("--service-tier=fast", "--service-tier=flex"):
        done = caption("run", "--backend=anthropic", "--photos-dir=photos", flag, cwd=tmp_path)
        assert done.returncode == 64
        assert "--service-tier: the anthropic backend has no such option" in done.stderr
    done = caption("run", *flags, "--service-tier=fast", cwd=tmp_path)
    assert done.returncode == 64
    assert "--service-tier: input should be 'flex'" in done.stderr


def test_openai_says_when_a_model_shuts_down(server):
    listed = {"id": "gpt-5-mini", "object": "model", "created": 1, "owned_by": "openai"}
    models = {"object": "list", "data": [listed | {"shutdown_date": "2026-12-11"}]}
    server.models_reply, told = Reply(body=models), []
    backend(server, model="gpt-5-mini", notice=told.append).check()
    assert told == [
        f"{server.host} takes the model gpt-5-mini out of service on 2026-12-11; choose another by "
        "then"
    ]


def test_anthropic_says_when_a_model_retires():
    with anthropic_server.AnthropicServer() as server:
        told = []
        settings = BackendSettings(
            model=anthropic_server.MODEL,
            api_key=SecretStr(anthropic_server.KEY),
            base_url=server.url,
            notice=told.append,
        )
        asked = AnthropicBackend(settings)
        retrieve = asked.client.models.retrieve
        day = datetime(2027, 3, 1, tzinfo=UTC)

        def soon(name):
            info = retrieve(name)
            info.retires_at = day
            return info

        asked.client.models.retrieve = soon
        asked.check()
    assert [line for line in told if "out of service on 2027-03-01" in line] == told
    assert told


def test_gemini_says_once_when_a_model_retires(google):
    status = {"modelStatus": {"modelStage": "LEGACY", "retirementTime": "2027-03-01T00:00:00Z"}}
    reply = gemini_server.response("A dog.")
    google.script.extend([type(reply)(reply.body | status)] * 2)
    told = []
    asked = gemini(google, notice=told.append)
    asked.caption(PHOTO, ())
    asked.caption(PHOTO, ())
    assert len(told) == 1
    assert "out of service on 2027-03-01" in told[0]
