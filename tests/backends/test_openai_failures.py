"""The OpenAI-compatible backends where the server misbehaves, before and during a run."""

import base64
import io
import logging
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.compatible import CompatibleBackend
from picture_captioner.backends.hyperbolic import HyperbolicBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.backends.xai import XaiBackend
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    TransientError,
)
from tests.backends.openai_family import FAMILY, KEY, PHOTO, backend
from tests.providers.openai_server import ALIAS, OpenAIServer, Reply, completion, failure


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


# -- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (failure(408, "slow"), TransientError, "timeout"),
        (failure(409, "conflict"), TransientError, "http_409"),
        (failure(429, "Rate limit reached; see your billing page"), TransientError, "rate_limit"),
        (failure(500, "oops"), TransientError, "http_500"),
        (failure(503, "overloaded"), TransientError, "http_503"),
        (Reply(502, b"<html>Bad gateway</html>", content_type="text/html"), TransientError, None),
        (Reply(200, b"<html>Log in</html>", content_type="text/html"), TransientError, None),
        (Reply(200, b'{"cho', content_type="application/json"), TransientError, "bad_answer"),
        (Reply(200, completion(), cut=True), TransientError, "connection"),
        (Reply(200, {"error": {"code": 503, "message": "late"}}), TransientError, "http_503"),
        *(
            (failure(status, "bad thing"), TransientError, "bad_answer")
            for status in (201, 202, 206)
        ),
        (failure(200, "You exceeded it", "insufficient_quota"), AccessDeniedError, None),
        (failure(200, "no", "content_policy_violation"), ApiError, "refused"),
        (failure(401, "no"), AccessDeniedError, None),
        (failure(403, "not in your country"), AccessDeniedError, None),
        (failure(402, "pay"), AccessDeniedError, None),
        (failure(429, "You exceeded it", "insufficient_quota"), AccessDeniedError, None),
        (failure(400, "no", "content_policy_violation"), ApiError, "refused"),
        (failure(403, "Content violates usage guidelines"), ApiError, "refused"),
        (failure(400, "Invalid image data"), ApiError, "bad_request"),
        (failure(413, "big"), ApiError, "too_large"),
        (failure(404, "no such model", "model_not_found"), ConfigurationError, None),
        (failure(400, "model does not support image input"), ConfigurationError, None),
        (Reply(200, {"choices": []}), ApiError, "malformed"),
    ],
)
def test_every_failure_has_its_meaning(server, reply, kind, code):
    server.script.append(reply)
    with pytest.raises(CaptionerError) as caught:
        backend(server).caption(PHOTO, ())
    assert type(caught.value) is kind, caught.value
    assert code is None or caught.value.code == code
    assert len(server.captions_asked()) == 1, "the SDK must not retry"


def test_an_error_inside_an_answer_is_told_without_a_status_that_nobody_sent(server):
    server.script.append(failure(202, "bad thing"))
    with pytest.raises(TransientError, match="in place of a caption: bad thing") as caught:
        backend(server).caption(PHOTO, [])
    assert "HTTP" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25, 0.25),
        ({"Retry-After": "soon"}, None, None),
        ({}, None, None),
    ],
)
def test_how_long_the_service_asks_to_be_left_alone(server, headers, least, most):
    server.script.append(failure(429, "slow down", headers=headers))
    with pytest.raises(TransientError) as caught:
        backend(server).caption(PHOTO, ())
    assert caught.value.retry_after == least == most


def test_a_date_in_retry_after(server):
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.script.append(failure(503, "later", headers={"Retry-After": at}))
    with pytest.raises(TransientError) as caught:
        backend(server).caption(PHOTO, ())
    assert 25 < caught.value.retry_after <= 30


def test_a_server_that_hangs_is_given_up(server):
    server.script.append(Reply(hang=True))
    with pytest.raises(TransientError) as caught:
        backend(server, timeout=0.3).caption(PHOTO, ())
    assert caught.value.code == "timeout"


def test_nobody_listens():
    with OpenAIServer() as gone:
        address = gone.base_url
    absent = backend(address, OllamaBackend)
    with pytest.raises(TransientError) as caught:
        absent.caption(PHOTO, ())
    assert caught.value.code == "connection"
    with pytest.raises(BackendUnavailableError, match="ollama serve"):
        absent.check()


def test_a_redirect_carries_neither_key_nor_photo(server):
    with OpenAIServer() as other:
        target = {"Location": f"{other.base_url}/chat/completions?token=hunter2"}
        server.script.append(Reply(307, {}, target))
        with pytest.raises(BackendUnavailableError, match=other.host) as caught:
            backend(server).caption(PHOTO, ())
        assert other.seen == []
    assert "hunter2" not in str(caught.value)


def test_a_certificate_of_nobody_stops_the_run(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with OpenAIServer(context) as server:
        for ask in (lambda b: b.caption(PHOTO, ()), lambda b: b.check()):
            with pytest.raises(BackendUnavailableError, match="self-signed"):
                ask(backend(server))
        assert server.seen == []


# -- check -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.name)
def test_check_passes_where_the_model_is_known(server, kind):
    server.models = (kind.default_model or "gpt-5.6-luna",)
    backend(server, kind).check()
    assert server.captions_asked() == []


def test_check_takes_names_that_are_served_without_being_listed(server):
    backend(server, XaiBackend, model=ALIAS).check()
    backend(server, OllamaBackend, model="llava").check()


def test_check_names_the_nearest_model_and_the_remedy(server):
    with pytest.raises(ConfigurationError, match=r"did you mean 'gpt-5\.6-luna'"):
        backend(server, model="gpt-5.6-lna").check()
    with pytest.raises(ConfigurationError, match="ollama pull moondream"):
        backend(server, OllamaBackend, model="moondream").check()


def test_check_tells_a_bad_key_from_no_key(server):
    server.keys = ("another",)
    with pytest.raises(AccessDeniedError, match="OPENAI_API_KEY") as caught:
        backend(server).check()
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY="):
        backend(server, api_key=SecretStr("")).check()


def test_a_server_that_lists_no_models_is_an_error_only_where_they_are_listed(server):
    server.models_reply = failure(404, "not here")
    with pytest.raises(BackendUnavailableError):
        backend(server, model="gpt-5.6-luna").check()
    backend(server, CompatibleBackend, model="anything").check()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_check_lets_a_run_start_when_the_service_is_only_busy(server, status, caplog):
    server.models_reply = failure(status, "busy")
    backend(server).check()
    assert "could not be checked" in caplog.text
    with pytest.raises(BackendUnavailableError):  # here the model's name is needed to begin
        backend(server, CompatibleBackend, model="").check()


def test_compatible_finds_the_only_model(server):
    server.models = ("local/qwen",)
    only = backend(server, CompatibleBackend, model="", api_key=SecretStr(""))
    only.check()
    only.caption(PHOTO, ())
    assert server.captions_asked()[-1].json["model"] == "local/qwen"
    assert only.settings.model == "local/qwen"
    assert "authorization" not in server.captions_asked()[-1].headers


def test_compatible_asks_for_what_it_cannot_know(server):
    with pytest.raises(ConfigurationError, match=r"--model: gpt-5\.6-luna, gpt-4o-mini"):
        backend(server, CompatibleBackend, model="").check()
    with pytest.raises(ConfigurationError, match="--base-url"):
        CompatibleBackend(BackendSettings(model="m"))


@pytest.mark.parametrize("kind", [OpenAIBackend, XaiBackend, HyperbolicBackend])
def test_local_only_holds_for_a_providers_own_address(kind):
    with pytest.raises(ConfigurationError, match="--local-only"):
        kind(BackendSettings(model="m", api_key=SecretStr(KEY), local_only=True))


# -- privacy ---------------------------------------------------------------------------------


def test_nothing_leaves_but_pixels_prompt_and_key(server, monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "canary-env")
    headers = "X-Canary: canary-env\nAuthorization: Bearer canary-env\nHost: canary-env.example"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", headers)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://canary-env.example")
    photo = PHOTO.copy()
    photo.info |= {"comment": b"canary-photo", "exif": b"canary-photo", "xmp": b"canary-photo"}
    photo.filename = "canary-name.jpg"
    sent = backend(server, XaiBackend)
    sent.check()
    sent.caption(photo, ())
    for request in server.seen:
        assert b"canary-env" not in request.everything()
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert set(request.headers) <= {
            *("host", "accept", "accept-encoding", "connection", "content-type"),
            *("content-length", "user-agent", "authorization"),
        }
    request = server.captions_asked()[0]
    assert request.headers["content-type"] == "application/json"
    assert KEY.encode() not in request.body
    url = request.json["messages"][0]["content"][0]["image_url"]["url"]
    jpeg = base64.b64decode(url.partition(",")[2])
    assert b"canary" not in request.body + jpeg
    with Image.open(io.BytesIO(jpeg)) as received:
        assert received.size == (64, 48)
        assert not received.getexif()


FAULTS = [
    failure(
        status, f"{KEY} at https://x.example/a?key={KEY} in /home/ann/photos/a.jpg " + "x" * 900
    )
    for status in (307, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500)
] + [Reply(200, KEY.encode()), Reply(200, completion(), cut=True), Reply(hang=True)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.status))
def test_the_key_is_in_no_message_and_no_log(server, fault, caplog):
    server.script.append(fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(CaptionerError) as caught:
        backend(server, timeout=0.5).caption(PHOTO, ())
    logging.getLogger("test").error("as the app would", exc_info=caught.value)
    told = f"{caught.value!s} {caught.value!r} {caplog.text}"
    assert KEY not in told
    assert "/home/ann" not in told
    assert len(str(caught.value)) <= 500
    assert caught.value.__context__ is None


def test_a_key_with_a_line_break_is_refused_unseen():
    with pytest.raises(ConfigurationError) as caught:
        OpenAIBackend(BackendSettings(model="m", api_key=SecretStr(f"{KEY}\nX: y")))
    assert KEY not in str(caught.value)


def test_many_threads_share_one_backend(server):
    shared, answers = backend(server), []

    def ask():
        answers.append(shared.caption(PHOTO, ()).text)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["A dog on a beach."] * 16
    assert len(server.captions_asked()) == 16
