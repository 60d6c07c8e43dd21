"""TLS that breaks at any stage, certificates of somebody else, and pauses in odd words."""

from __future__ import annotations

import functools
import itertools
import random
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import trustme

from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.errors import (
    ApiError,
    BackendUnavailableError,
    TransientError,
)
from tests.providers.hostile import Client, Hostile
from tests.providers.openai_server import OpenAIServer
from tests.providers.openai_server import Reply as OpenAIReply
from tests.torture.hostile_calls import (
    FAMILIES,
    JSON,
    KEY,
    OK,
    ask,
    closes_at_once,
    judged,
    says_nothing,
    sends,
)

# --- TLS -----------------------------------------------------------------------------------


def server_context(authority: trustme.CA, *names: str, **more: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **more).configure_cert(context)
    return context


def after_the_hello(answer: bytes) -> Callable[[Client], None]:
    def behave(client: Client) -> None:
        client.socket.recv(1 << 16)
        client.send(answer)

    return behave


def drips_the_handshake(client: Client) -> None:
    client.socket.recv(1 << 16)
    client.pour((bytes([byte]) for byte in b"\x16\x03\x03\x40\x00\x02\x00\x3f" * 1000), 0.05)


BEFORE_TLS: dict[str, Callable[[Client], None]] = {
    "closes at once": closes_at_once,
    "closes after the hello": after_the_hello(b""),
    "says nothing": says_nothing,
    "answers the hello with a web page": after_the_hello(OK + b"content-length: 0\r\n\r\n"),
    "answers the hello with an alert": after_the_hello(b"\x15\x03\x03\x00\x02\x02\x28"),
    "answers the hello with half a record": after_the_hello(b"\x16\x03\x03\x40\x00\x02\x00"),
    "answers the hello with noise": after_the_hello(random.Random(2).randbytes(512)),
    "drips the handshake": drips_the_handshake,
}


def closes_in_the_body(client: Client) -> None:
    client.request()
    client.send(JSON + b"content-length: 500\r\n\r\n{")
    client.socket.shutdown(socket.SHUT_RDWR)


INSIDE_TLS: dict[str, Callable[[Client], None]] = {
    "closes after the certificate": closes_at_once,
    "closes in the body": closes_in_the_body,
    "hangs after the certificate": says_nothing,
}


def test_tls_that_breaks_at_any_stage_passes_or_is_named(share, tried, tmp_path, monkeypatch):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = server_context(authority)
    stages = [(name, behave, None) for name, behave in BEFORE_TLS.items()]
    stages += [(name, behave, context) for name, behave in INSIDE_TLS.items()]
    wrong, times = [], 0
    for number, (name, behave, certificate) in enumerate(stages):
        for kind in share([FAMILIES[number % len(FAMILIES)]], FAMILIES):
            with Hostile(behave, certificate) as server:
                url = server.url.replace("http:", "https:")
                error, faults = judged(functools.partial(ask, kind, url), 10)
            times += 1
            if not isinstance(error, TransientError | BackendUnavailableError):
                faults.append(f"is {error!r}")
            wrong += [f"{kind.name}, {name}: {fault}" for fault in faults]
    tried("TLS that breaks at a stage", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_certificate_that_is_not_this_hosts_is_never_trusted(share, tried, tmp_path, monkeypatch):
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    past = datetime.now(UTC) - timedelta(days=1)
    contexts = {
        "another host": server_context(authority, "photos.example.org"),
        "expired": server_context(authority, "127.0.0.1", not_after=past),
        "a stranger's": server_context(stranger),
    }
    asked: list[bytes] = []
    families = share(FAMILIES[:1], FAMILIES)
    for kind, (name, context) in itertools.product(families, contexts.items()):
        with Hostile(lambda client: asked.append(client.request()), context) as server:
            error, faults = judged(functools.partial(ask, kind, server.url), 10)
            assert isinstance(error, BackendUnavailableError), (kind.name, name, error)
            assert not faults
    assert asked == [], "a request went to a host that is not the one that was named"
    tried("a certificate of somebody else", len(families) * len(contexts), lost=len(asked))


# --- what a provider says in words ---------------------------------------------------------

WAITS = (
    "", "0", "-5", "1e400", "nan", "inf", "99999999999999999999", "soon", "1, 2", "0x10", "1_0",
    "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 99 Foo 2026",
    "7" * 5000, "Sat, 21 Nov 2026 00:00:00 -0000", "\u0661",
)  # fmt: skip


def test_a_pause_is_asked_for_in_words_that_make_sense_or_is_ignored(share, tried):
    wrong, times = [], 0
    for wait, kind in itertools.product(WAITS, share([OpenAIBackend], FAMILIES)):
        head = b"HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\nretry-after: "
        with Hostile(sends(head + wait.encode() + b"\r\n\r\n")) as server:
            error, faults = judged(functools.partial(ask, kind, server.url), 10)
        times += 1
        if not isinstance(error, TransientError) or isinstance(error, ApiError):
            faults.append(f"is {error!r}")
        elif error.retry_after is not None and not 0 <= error.retry_after < float("inf"):
            faults.append(f"asks for {error.retry_after} s")
        wrong += [f"{kind.name}, Retry-After: {wait[:40]}: {fault}" for fault in faults]
    tried("an odd Retry-After", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_pause_of_an_age_of_the_world_ends_the_run_and_is_said(tmp_path, preloaded, tried):
    from tests.support import library

    library(tmp_path / "photos", 3)
    busy = OpenAIReply(429, {"error": {"message": "slow down"}}, {"Retry-After": "9" * 30})
    with OpenAIServer() as server:
        server.script.extend([busy] * 50)
        flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
        run = preloaded.run("run", *flags, cwd=tmp_path, OPENAI_API_KEY=KEY)
        assert run.returncode == 69
        assert "asks to be left alone for more than a year" in run.said
        assert len(server.captions_asked()) == 1
        assert "Traceback" not in run.said
        assert KEY not in run.said
    tried("a pause of an age of the world", 1)
