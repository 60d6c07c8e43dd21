"""Every HTTP error of an OpenAI-compatible server, through the real SDK, to our own errors."""

import re
import socket

import httpx2
import openai
import pytest

from picture_captioner.backends.openai_errors import (
    HttpFailure,
    OpenAIProvider,
    error_text,
    mapped,
    mapped_failure,
)
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    ConfigurationError,
    TransientError,
)
from tests.providers.openai_server import OpenAIServer, Reply, failure

KEY = "sk-proj-CANARY0123456789"
SERVICE = OpenAIProvider(
    host="api.example.com",
    key_name="OPENAI_API_KEY",
    secret=KEY,
    backend="openai",
    model="gpt-6-luna",
    missing_model_remedy="choose another with --model",
)


@pytest.fixture(scope="module")
def server():
    with OpenAIServer() as running:
        yield running


def ask(url, timeout=5.0):
    http = httpx2.Client(follow_redirects=False, trust_env=False, timeout=timeout)
    with openai.OpenAI(api_key=KEY, base_url=url, max_retries=0, http_client=http) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


def fault(server, reply, timeout=5.0):
    """What the reply becomes on its way through the SDK and the mapping."""
    server.script.append(reply)
    with pytest.raises(openai.OpenAIError) as caught:
        ask(server.base_url, timeout)
    return mapped(caught.value, SERVICE)


def openai_error(message, code=None, kind=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


RATE_LIMIT = (
    "Rate limit reached for gpt-6-luna in organization org-1 on tokens per min (TPM). You can "
    "increase your rate limit by adding a payment method to your account at "
    "https://platform.openai.com/account/billing."
)

CASES = {
    "openai: rate limit, with a pointer to the billing page": (
        429, openai_error(RATE_LIMIT, "rate_limit_exceeded", "tokens"), TransientError, "rate_limit"
    ),
    "openai: quota": (
        429,
        openai_error("You exceeded your current quota.", "insufficient_quota"),
        AccessDeniedError,
        "",
    ),
    "openai: quota, by its code alone": (
        429, openai_error("No.", "insufficient_quota"), AccessDeniedError, ""
    ),
    "openai: hard limit": (
        400, openai_error("Limit reached", "billing_hard_limit_reached"), AccessDeniedError, ""
    ),
    "openai: wrong key": (
        401, openai_error(f"Incorrect API key provided: {KEY}"), AccessDeniedError, ""
    ),
    "openai: region": (
        403, openai_error("Country not supported", "unsupported_country"), AccessDeniedError, ""
    ),
    "openai: image": (
        400,
        openai_error("You uploaded an unsupported image.", "invalid_image_format"),
        ApiError,
        "bad_request",
    ),
    "openai: policy": (
        400, openai_error("Rejected", "content_policy_violation"), ApiError, "refused"
    ),
    "openai: model": (
        404,
        openai_error("The model `gpt-9` does not exist or is not yours", "model_not_found"),
        ConfigurationError,
        "",
    ),
    "xai: wrong key, as 400": (
        400, {"code": "Client", "error": "Incorrect API key provided: xa***"}, AccessDeniedError, ""
    ),
    "xai: credits": (
        403,
        {"error": "Your team has either used all available credits or reached its limit."},
        AccessDeniedError,
        "",
    ),
    "xai: policy, as 403": (
        403, {"error": "Content violates usage guidelines."}, ApiError, "refused"
    ),
    "openrouter: credits": (
        402, openai_error("This request requires more credits"), AccessDeniedError, ""
    ),
    "openrouter: model": (
        400, openai_error("acme/x is not a valid model ID"), ConfigurationError, ""
    ),
    "openrouter: a model without eyes": (
        404, openai_error("No endpoints found that support image input"), ConfigurationError, ""
    ),
    "llama.cpp: a model without eyes, as 500": (
        500, openai_error("image input is not supported - hint: mmproj"), ConfigurationError, ""
    ),
    "ollama: model": (
        404, openai_error("model 'x' not found, try pulling it first"), ConfigurationError, ""
    ),
    "vllm: model": (404, openai_error("The model `x` does not exist."), ConfigurationError, ""),
    "fastapi: no such path": (404, {"detail": "Not Found"}, BackendUnavailableError, ""),
    "fastapi: validation": (
        422,
        {"detail": [{"loc": ["body"], "msg": "bad field", "input": "PROMPT"}]},
        ApiError,
        "bad_request",
    ),
    "nginx: too large": (413, b"<html>Too Large</html>", ApiError, "too_large"),
    "nginx: bad gateway": (502, b"<html>Bad Gateway</html>", TransientError, "http_502"),
    "cloudflare: 529": (529, b"", TransientError, "http_529"),
    "request timeout": (408, b"", TransientError, "timeout"),
    "conflict": (409, b"", TransientError, "http_409"),
    "unknown 4xx": (418, b"teapot", TransientError, "http_418"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_error_is_the_photo_the_moment_or_the_run(server, case):
    status, body, kind, code = CASES[case]
    error = fault(server, Reply(status, body))
    assert type(error) is kind, error
    assert getattr(error, "code", "") == code
    assert KEY not in str(error)
    assert "PROMPT" not in str(error)
    assert len(str(error)) <= 500


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_the_host_and_is_not_followed(server, status):
    asked = len(server.seen)
    place = f"https://user:{KEY}@evil.example/v1?key={KEY}"
    error = fault(server, Reply(status, b"", {"Location": place}))
    assert isinstance(error, BackendUnavailableError)
    assert "evil.example" in str(error)
    assert KEY not in str(error)
    assert len(server.seen) == asked + 1


def test_retry_after_is_passed_on(server):
    error = fault(server, failure(429, "slow down", headers={"Retry-After": "7"}))
    assert (error.code, error.retry_after) == ("rate_limit", 7.0)


def test_silence_is_a_timeout(server):
    error = fault(server, Reply(hang=True), timeout=0.2)
    assert (type(error), error.code) == (TransientError, "timeout")


def test_a_connection_cut_in_the_body_is_no_connection(server):
    error = fault(server, Reply(body=openai_error("x" * 1000), cut=True))
    assert (type(error), error.code) == (TransientError, "connection")


def test_a_closed_port_is_no_connection_and_the_reason_is_told():
    with socket.socket() as nobody_listens, pytest.raises(openai.OpenAIError) as caught:
        nobody_listens.bind(("127.0.0.1", 0))
        ask(f"http://127.0.0.1:{nobody_listens.getsockname()[1]}")
    error = mapped(caught.value, SERVICE)
    assert (type(error), error.code) == (TransientError, "connection")
    assert "refused" in str(error)


def test_an_error_that_the_sdk_may_grow_is_no_crash():
    error = mapped(openai.OpenAIError(f"new kind of trouble with {KEY}"), SERVICE)
    assert isinstance(error, ApiError)
    assert "new kind of trouble with [key]" in str(error)


def test_the_service_does_not_print_its_secret():
    assert KEY not in repr(SERVICE)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, ""),
        ("plain", "plain"),
        ({"message": "m"}, "m"),
        ({"error": {"message": "m"}}, "m"),
        ({"error": "m"}, "m"),
        ({"detail": [{"msg": "a"}, {"msg": "b"}]}, "a; b"),
        ({"message": "", "detail": "d"}, "d"),
        ({"message": 7}, ""),
        ([], ""),
    ],
)
def test_the_words_of_an_error_body(body, words):
    assert error_text(body) == words


def test_a_failure_without_headers_has_no_wait():
    error = mapped_failure(HttpFailure(503, "", "loading"), SERVICE)
    assert (error.code, error.retry_after) == ("http_503", None)


def test_patterns_look_at_code_and_words():
    failure = HttpFailure(400, "some_code", "some words")
    assert failure.matches(re.compile("code"))
    assert failure.matches(re.compile("words"))
    assert not failure.matches(re.compile("neither"))
