"""Anthropic and Gemini through the same faults: the real SDKs, a server that misbehaves."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings, CaptionBackend
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    ConfigurationError,
    TransientError,
)
from tests.providers import anthropic_server, gemini_server
from tests.providers.loopback import Elsewhere, Reply
from tests.providers.pictures import picture
from tests.providers.vendors import ANTHROPIC, CAPTION, Provider, with_headers


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "timeout"),
        (409, "http_409"),
        (429, "rate_limit"),
        (500, "http_500"),
        (502, "http_502"),
        (503, "http_503"),
        (504, "http_504"),
        (529, "http_529"),
    ],
)
def test_a_busy_service_is_transient_and_asked_once(
    provider: Provider, server: Any, backend: CaptionBackend, status: int, code: str
) -> None:
    server.script.append(provider.error(status, "overloaded"))
    with pytest.raises(TransientError, match=f"HTTP {status}: overloaded") as raised:
        backend.caption(picture(), [])
    assert (raised.value.code, raised.value.retry_after) == (code, None)
    assert len(server.received) == 1, "the SDK retried by itself"


def test_retry_after_is_read_in_seconds_and_as_a_date(
    provider: Provider, server: Any, backend: CaptionBackend
) -> None:
    busy = provider.error(429, "slow down")
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    server.script += [
        with_headers(busy, retry_after="7"),
        with_headers(busy, retry_after=in_a_minute),
    ]
    waits = []
    for _ in range(2):
        with pytest.raises(TransientError) as raised:
            backend.caption(picture(), [])
        waits.append(raised.value.retry_after)
    assert waits[0] == 7
    assert waits[1] == pytest.approx(60, abs=5)


@pytest.mark.parametrize(("fault", "code"), [("disconnect", "connection"), ("cut", "connection")])
def test_a_broken_connection_is_transient(
    provider: Provider, server: Any, backend: CaptionBackend, fault: Any, code: str
) -> None:
    server.script.append(Reply(provider.good.body, fault=fault))
    with pytest.raises(TransientError) as raised:
        backend.caption(picture(), [])
    assert raised.value.code == code
    assert len(server.received) == 1


def test_no_answer_within_the_timeout_is_transient(provider: Provider, server: Any) -> None:
    server.script.append(Reply(fault="hang"))
    with pytest.raises(TransientError, match="did not answer in time") as raised:
        provider.connect(server.url, timeout=0.3).caption(picture(), [])
    assert raised.value.code == "timeout"
    assert len(server.received) == 1


def test_an_unreachable_service_ends_the_check_but_is_transient_for_a_photo(
    provider: Provider,
) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        backend = provider.connect(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TransientError) as raised:
            backend.caption(picture(), [])
        assert raised.value.code == "connection"
        with pytest.raises(BackendUnavailableError, match="check the network and --base-url"):
            backend.check()


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<html><body>Welcome to Hotel WiFi</body></html>"),
        Reply(b"not gzip at all", headers={"content-encoding": "gzip"}),
        Reply(b'{"half": '),
        Reply(b"[1, 2]"),
        Reply(b"null"),
    ],
    ids=["web page", "bad gzip", "half json", "list", "null"],
)
def test_what_is_not_the_protocol_is_no_verdict_on_the_photo(
    server: Any, backend: CaptionBackend, reply: Reply
) -> None:
    server.script.append(reply)
    with pytest.raises(TransientError) as raised:
        backend.caption(picture(), [])
    assert raised.value.code == "bad_answer"
    assert "Hotel" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Any, backend: CaptionBackend, status: int) -> None:
    with Elsewhere() as elsewhere:
        there = {"location": f"{elsewhere.url}/v1?key=private"}
        server.script.append(Reply({}, status, there))
        with pytest.raises(BackendUnavailableError, match=elsewhere.host) as raised:
            backend.caption(picture(), [])
        server.check_reply = Reply({}, status, there)
        with pytest.raises(BackendUnavailableError, match=elsewhere.host):
            backend.check()
        assert elsewhere.received == []
    assert "private" not in str(raised.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_is_fatal(
    provider: Provider, server: Any, backend: CaptionBackend, status: int
) -> None:
    server.script.append(provider.error(status, "no permission"))
    with pytest.raises(AccessDeniedError, match=str(provider.backend.key_env_var)):
        backend.caption(picture(), [])


def test_the_check_asks_once_and_finds_a_wrong_key(provider: Provider, server: Any) -> None:
    provider.connect(server.url).check()
    assert [request.method for request in server.received] == ["GET"]
    with pytest.raises(AccessDeniedError, match=str(provider.backend.key_env_var)):
        provider.connect(server.url, api_key=SecretStr("another-key")).check()


def test_without_a_key_nothing_is_sent(provider: Provider, server: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{provider.backend.key_env_var}=<"):
        provider.connect(server.url, api_key=SecretStr("")).check()
    assert server.received == []


@pytest.mark.parametrize("ending", ["\n", "\r\nx-evil: 1", " copied", "\u00e9"])
def test_a_key_that_no_header_can_carry_is_refused_unquoted(
    provider: Provider, server: Any, ending: str
) -> None:
    with pytest.raises(ConfigurationError, match="copy it again") as raised:
        provider.connect(server.url, api_key=SecretStr(provider.key + ending)).check()
    assert provider.key not in str(raised.value)
    assert server.received == []


def test_an_unknown_model_is_told_with_its_nearest_name(provider: Provider, server: Any) -> None:
    backend = provider.connect(server.url, model=provider.backend.default_model + "x")
    with pytest.raises(ConfigurationError, match=f"did you mean '{backend.default_model}'"):
        backend.check()


def test_a_model_that_is_listed_but_not_served_is_not_its_own_suggestion(
    provider: Provider, server: Any, backend: CaptionBackend
) -> None:
    server.script.append(provider.error(404, "not for this key"))
    with pytest.raises(ConfigurationError, match="does not serve it with this key"):
        backend.caption(picture(), [])


def test_a_missing_model_is_told_even_when_the_list_is_out_of_order(
    provider: Provider, server: Any, backend: CaptionBackend
) -> None:
    server.script.append(provider.error(404, "gone"))
    server.check_reply = provider.error(503, "later")
    with pytest.raises(ConfigurationError, match="does not know the model"):
        backend.caption(picture(), [])


@pytest.mark.parametrize("name", ["mo?del", "a/../../v1/files", "a b", "m\u00f6del", "x#y"])
def test_a_model_name_cannot_change_the_address(provider: Provider, server: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no model name"):
        provider.connect(server.url, model=name).check()
    assert server.received == []


def test_an_address_without_the_service_is_not_blamed_on_the_model(
    provider: Provider, server: Any, backend: CaptionBackend
) -> None:
    server.check_reply = Reply("<html>nothing here</html>", 404)
    with pytest.raises(BackendUnavailableError, match="--base-url"):
        backend.check()


def test_a_busy_service_does_not_end_the_check(
    provider: Provider, server: Any, backend: CaptionBackend, caplog: pytest.LogCaptureFixture
) -> None:
    server.check_reply = provider.error(503, "busy")
    backend.check()
    assert "could not be checked" in caplog.text


@pytest.mark.parametrize(("status", "code"), [(400, "bad_request"), (413, "too_large")])
def test_a_refused_request_is_a_verdict_on_the_photo(
    provider: Provider, server: Any, backend: CaptionBackend, status: int, code: str
) -> None:
    server.script.append(provider.error(status, "could not process image"))
    with pytest.raises(ApiError, match="could not process image") as raised:
        backend.caption(picture(), [])
    assert raised.value.code == code


def test_an_untrusted_certificate_is_fatal_and_sees_neither_key_nor_photo(
    provider: Provider,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with provider.server(certificate=context) as server:
        backend = provider.connect(server.url)
        for ask in (backend.check, lambda: backend.caption(picture(), [])):
            with pytest.raises(BackendUnavailableError, match="no safe connection"):
                ask()
        assert server.received == []


def test_a_trusted_certificate_works(
    provider: Provider, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with provider.server(certificate=context) as server:
        backend = provider.connect(server.url)
        backend.check()
        assert backend.caption(picture(), []).text == CAPTION


def test_https_to_a_plain_port_is_fatal(provider: Provider, server: Any) -> None:
    backend = provider.connect(server.url.replace("http:", "https:"))
    with pytest.raises(BackendUnavailableError, match="plain http on this port"):
        backend.caption(picture(), [])


def test_plain_http_to_another_machine_needs_permission(provider: Provider) -> None:
    with pytest.raises(ConfigurationError, match="--allow-http"):
        provider.connect("http://192.0.2.1/v1")
    assert provider.connect("http://192.0.2.1", allow_http=True).destination == "192.0.2.1"


def test_local_only_refuses_the_provider(provider: Provider) -> None:
    with pytest.raises(ConfigurationError, match="--local-only"):
        provider.backend(BackendSettings(model="m", local_only=True))


def test_answers_do_not_mix_between_threads(
    provider: Provider, server: Any, backend: CaptionBackend
) -> None:
    server.script.append(Reply(fault="cut"))
    server.answer = Mirror(provider)
    shades = range(0, 250, 5)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda s: backend.caption(picture(shade=s), [f"tag{s}"]), shades))
    assert [a.text for a in answers] == [f"tag{s}." for s in shades]


class Mirror:
    """Answers each photo with the tag that came with it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __call__(self, request: Any) -> Reply:
        tag = request.body.decode().partition("may be wrong: ")[2].partition(".")[0] + "."
        if self._provider is ANTHROPIC:
            return anthropic_server.message(tag)
        return gemini_server.response(tag)
