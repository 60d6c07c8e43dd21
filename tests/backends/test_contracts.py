"""What is sent to each provider, byte for byte, and what its documented answers and errors mean.

The provider's side is in `tests/providers/contracts/NAME.json`, each with its sources and day.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types as google_types
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from PIL import Image
from pydantic import SecretStr

from picture_captioner.backends.base import DEFAULT_PROMPT, BackendSettings, CaptionBackend
from picture_captioner.backends.registry import backend_class
from picture_captioner.errors import FatalError, PhotoError, TransientError
from tests.providers import (
    anthropic_server,
    bedrock_server,
    gemini_server,
    loopback,
    openai_server,
)
from tests.providers.contracts import NAMES, Contract, contract, filled
from tests.providers.pictures import picture
from tests.support import ROOT


class Connected(NamedTuple):
    backend: CaptionBackend
    received: Callable[[], Any]
    script: Callable[[int, Any], None]
    host: str


def connect(about: Contract, server: Any) -> Connected:
    kind = backend_class(about.name)
    url = getattr(server, "base_url", None) or server.url
    settings = BackendSettings(model=about.model, api_key=SecretStr(about.key), base_url=url)
    seen = server.seen if hasattr(server, "seen") else server.received
    reply = openai_server.Reply if hasattr(server, "seen") else _swapped
    return Connected(
        kind(settings),
        lambda: seen[-1],
        lambda status, body: server.script.append(reply(status, body)),
        server.host,
    )


def _swapped(status: int, body: Any) -> loopback.Reply:
    return loopback.Reply(body, status)


def server_of(about: Contract) -> Any:
    kinds: dict[str, Any] = {
        "anthropic": anthropic_server.AnthropicServer,
        "bedrock": bedrock_server.BedrockServer,
        "gemini": gemini_server.GeminiServer,
    }
    server = kinds.get(about.name, openai_server.OpenAIServer)()
    server.contract = about
    return server


@pytest.fixture(autouse=True)
def an_account(monkeypatch):
    for name, value in bedrock_server.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=NAMES)
def about(request):
    return contract(request.param)


@pytest.fixture
def connected(about):
    with server_of(about) as server:
        yield connect(about, server)


def photo_in(node: Any) -> str:
    """The text in a request that is a picture in base64."""
    if isinstance(node, dict):
        return "".join(map(photo_in, node.values()))
    if isinstance(node, list):
        return "".join(map(photo_in, node))
    found = re.fullmatch(r"(?:data:image/jpeg;base64,)?([\w+/-]{200,}=*)", str(node))
    return found[1] if found else ""


def test_a_contract_says_where_and_when_it_was_read(about):
    assert about.sources
    for source in about.sources:
        assert source["address"].startswith("https://"), source
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", source["read"]), source
        assert source["about"]


def test_the_page_lists_the_sources(about):
    page = (ROOT / "docs" / "api_providers.md").read_text("utf-8")
    for source in about.sources:
        row = (f"`{about.name}`", source["about"], source["address"], source["read"])
        assert f"| {' | '.join(row)} |" in page


def test_the_default_model_is_that_of_the_contract(about):
    if default := backend_class(about.name).default_model:
        assert about.model == default


def test_the_request_is_that_of_the_contract_header_by_header_and_field_by_field(about, connected):
    connected.backend.caption(picture(), ())
    request = connected.received()
    photo = photo_in(request.json)
    length = str(len(request.body))
    given = {"host": connected.host, "key": about.key, "length": length, "photo": photo}
    expected = filled(about.request, question=DEFAULT_PROMPT, **given)
    assert {
        "method": request.method,
        "path": request.path,
        "headers": request.headers,
        "body": request.json,
    } == expected
    jpeg = base64.b64decode(photo.translate(str.maketrans("-_", "+/")), validate=True)
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.format, image.size) == ("JPEG", picture().size)
        assert not image.getexif()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("openai", CompletionCreateParamsNonStreaming),
        ("anthropic", MessageCreateParamsNonStreaming),
    ],
)
def test_the_fields_of_a_contract_are_those_of_the_sdk(name, known):
    assert set(contract(name).fields or ()) == known.__required_keys__ | known.__optional_keys__


def test_geminis_parameters_are_those_of_the_sdk():
    known = {f.alias or name for name, f in google_types.GenerateContentConfig.model_fields.items()}
    about = contract("gemini")
    assert set(about.request["body"]["generationConfig"]) <= known
    assert set(about.fields or ()) - {"contents", "generationConfig"} <= known


def test_a_field_that_the_provider_does_not_know_is_refused_as_documented(about):
    body = about.request["body"]
    assert about.complaint(body) is None
    if about.unknown_field is None:
        assert about.complaint(body | {"no_such_field": 1}) is None
    else:
        status, said = about.complaint(body | {"no_such_field": 1})
        assert status in {400, 422}
        assert "no_such_field" in str(said)


def test_the_documented_answer_is_read(about, connected):
    caption = connected.backend.caption(picture(), ())
    assert caption.text == "A dog on a beach."
    assert caption.input_tokens > caption.output_tokens > 0
    assert caption.model_version or about.name == "bedrock", "it does not say"


ERRORS = [(name, error) for name in NAMES for error in contract(name).errors]


@pytest.mark.parametrize(("name", "error"), ERRORS, ids=[f"{n}: {e}" for n, e in ERRORS])
def test_each_documented_error_means_what_the_contract_says(name, error):
    about = contract(name)
    documented = about.errors[error]
    with server_of(about) as server:
        connected = connect(about, server)
        connected.script(documented["status"], filled(documented["body"], key=about.key))
        with pytest.raises((FatalError, PhotoError, TransientError)) as raised:
            connected.backend.caption(picture(), ())
    means = documented["means"]
    if means == "retry":
        assert isinstance(raised.value, TransientError)
    elif isinstance(means, int):
        assert isinstance(raised.value, FatalError)
        assert raised.value.exit_code == means
    else:
        assert isinstance(raised.value, PhotoError)
        assert raised.value.code == means
    assert not about.key or about.key not in str(raised.value)
