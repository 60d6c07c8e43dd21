"""Servers that keep no rule of HTTP or TLS: the real SDKs give up in time, in little memory, with a
verdict that blames no photo and quotes no key."""

from __future__ import annotations

import contextlib
import functools
import gzip
import itertools
import random
import resource
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from pydantic import SecretStr

from backends.anthropic import AnthropicBackend
from backends.base import BackendSettings, Caption, CaptionBackend
from backends.gemini import GeminiBackend
from backends.ollama import OllamaBackend
from backends.openai import OpenAIBackend
from errors import (
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    ConfigurationError,
    TransientError,
)
from tests.providers import anthropic_server, gemini_server
from tests.providers.hostile import Client, Hostile
from tests.providers.openai_server import OpenAIServer, completion
from tests.providers.openai_server import Reply as OpenAIReply
from tests.providers.pictures import picture

FAMILIES: list[type[CaptionBackend]] = [
    OpenAIBackend,
    AnthropicBackend,
    GeminiBackend,
    OllamaBackend,
]
KEY = "sk-canary-0123456789abcdef"
SECONDS = 0.4
"""The timeout of a request; the whole answer may take twice as long."""

MOST_MEMORY = 96 << 20
OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"content-type: application/json\r\n"

GOOD = {
    "openai": OpenAIReply(body=completion()).content(),
    "ollama": OpenAIReply(body=completion()).content(),
    "anthropic": anthropic_server.message("A dog on a beach.").encoded()[0],
    "gemini": gemini_server.response("A dog on a beach.").encoded()[0],
}


def connect(kind: type[CaptionBackend], url: str, **settings: object) -> CaptionBackend:
    given = {"model": kind.default_model, "timeout": SECONDS} | settings
    return kind(BackendSettings(api_key=SecretStr(KEY), base_url=url, **given))


def ask(kind: type[CaptionBackend], url: str, **settings: object) -> Caption | str:
    with contextlib.closing(connect(kind, url, **settings)) as backend:
        return backend.caption(picture(), [])


def check(kind: type[CaptionBackend], url: str) -> None:
    with contextlib.closing(connect(kind, url)) as backend:
        backend.check()


def sends(*pieces: bytes) -> Callable[[Client], None]:
    """After the request: these bytes, then the end of the connection."""

    def behave(client: Client) -> None:
        client.request()
        for piece in pieces:
            client.send(piece)

    return behave


def pours(head: bytes, piece: bytes, pause: float = 0.0) -> Callable[[Client], None]:
    """After the request: the head, then this piece for ever."""

    def behave(client: Client) -> None:
        client.request()
        client.send(head)
        client.pour(itertools.repeat(piece), pause)

    return behave


def hangs(*pieces: bytes) -> Callable[[Client], None]:
    """After the request: these bytes, then nothing more."""

    def behave(client: Client) -> None:
        sends(*pieces)(client)
        client.closing.wait(10)

    return behave


def closes_at_once(client: Client) -> None:
    """Accepts the connection and closes it."""


def resets(client: Client) -> None:
    client.request()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def closes_in_the_request(client: Client) -> None:
    client.socket.recv(64)


def says_nothing(client: Client) -> None:
    client.closing.wait(10)


BOMB = gzip.compress(bytes(1 << 26), 9)
PACKED = JSON + b"content-length: 2000000000\r\ncontent-encoding: "
BROKEN: dict[str, Callable[[Client], None]] = {
    "closes at once": closes_at_once,
    "closes in the request": closes_in_the_request,
    "closes after the request": sends(),
    "resets the connection": resets,
    "never reads, never answers": says_nothing,
    "never answers": hangs(),
    "half a status line": hangs(b"HTTP/1."),
    "no HTTP": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "zeros": sends(bytes(4096)),
    "headers that never end": pours(OK, b"x-more: " + b"y" * 1000 + b"\r\n"),
    "one header that never ends": pours(OK + b"x-more: ", b"y" * 65536),
    "a status line that never ends": pours(b"HTTP/1.1 200 ", b"O" * 65536),
    "one header byte at a time": pours(OK + b"x-drip: ", b"y", 0.05),
    "one body byte at a time": pours(JSON + b"content-length: 1000\r\n\r\n", b" ", 0.05),
    "100 Continue for ever": pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints for ever": pours(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 0.01),
    "a gigabyte": pours(JSON + b"content-length: 1073741824\r\n\r\n", b" " * 65536),
    "a body without an end": pours(JSON + b"\r\n", b" " * 65536),
    "chunks without an end": pours(
        JSON + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "chunks of nothing that anybody can count": sends(
        JSON + b"transfer-encoding: chunked\r\n\r\n", b"ffffffffffffffffff\r\n   "
    ),
    "a chunk with no size": sends(JSON + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a gzip bomb": pours(PACKED + b"gzip\r\n\r\n", BOMB),
    "a bomb in a bomb": sends(PACKED + b"gzip, gzip\r\n\r\n", gzip.compress(BOMB, 9)),
    "a deflate bomb": pours(PACKED + b"deflate\r\n\r\n", BOMB),
    "gzip that is cut": sends(PACKED + b"gzip\r\n\r\n", BOMB[:20]),
    "a length that is none": sends(JSON + b"content-length: many\r\n\r\n{}"),
    "a length below zero": sends(JSON + b"content-length: -1\r\n\r\n{}"),
    "two lengths": sends(JSON + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    "a switch of protocols": sends(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
    "no content": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "status 999": sends(b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
    "bytes that are no text": sends(JSON + b"content-length: 4\r\n\r\n\xff\xfe\x00\xd8"),
    "deep JSON": sends(JSON + b"connection: close\r\n\r\n", b"[" * 100_000),
    "a number of a megabyte": sends(
        JSON + b"connection: close\r\n\r\n", b'{"choices": ' + b"9" * (1 << 20) + b"}"
    ),
    "the key in a web page": sends(
        OK + b"content-type: text/html\r\nconnection: close\r\n\r\n<p>" + KEY.encode()
    ),
    "noise": sends(random.Random(1).randbytes(1 << 16)),
}


def peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def judged(call: Callable[[], object], seconds: float) -> tuple[CaptionerError | None, list[str]]:
    """What a call raised, and what is wrong with that."""
    before, started = peak(), time.monotonic()
    error: CaptionerError | None = None
    faults = []
    try:
        call()
    except CaptionerError as raised:
        error = raised
        text = str(error)
        faults += ["it quotes the key"] if KEY in text or KEY[8:] in text else []
        faults += ["not one sentence"] if "\n" in text or not 10 < len(text) <= 500 else []
    except Exception as raised:
        faults.append(f"raised {raised!r}")
    took, grown = time.monotonic() - started, peak() - before
    faults += [f"took {took:.1f} s"] if took > seconds else []
    faults += [f"took {grown >> 20} MiB"] if grown > MOST_MEMORY else []
    return error, faults


@pytest.mark.timeout(1200)
def test_a_server_that_breaks_http_costs_neither_time_nor_memory_nor_a_photo(share, tried):
    wrong, times = [], 0
    for number, (name, behaviour) in enumerate(BROKEN.items()):
        chosen = [FAMILIES[number % len(FAMILIES)]]
        for kind in share(chosen, FAMILIES):
            with Hostile(behaviour) as server:
                error, faults = judged(functools.partial(ask, kind, server.url), 10)
                if not isinstance(error, TransientError | BackendUnavailableError):
                    faults.append(f"is {error!r}: a verdict on the photo")
                _, more = judged(functools.partial(check, kind, server.url), 10)
            times += 2
            wrong += [f"{kind.name}, {name}: {fault}" for fault in (*faults, *more)]
    tried("a server that breaks HTTP", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def good(name: str, **how: bytes) -> Callable[[Client], None]:
    """The right answer in an odd dress."""
    body = GOOD[name]
    length = b"content-length: %d\r\n" % len(body)
    dresses = {
        "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body,
        "no reason": b"HTTP/1.1 200\r\ncontent-type: application/json\r\n"
        + length + b"\r\n" + body,
        "after 100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + JSON + length + b"\r\n" + body,
        "until the end": JSON + b"connection: close\r\n\r\n" + body,
        "in chunks of one": JSON + b"transfer-encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n",
        "gzip": JSON + b"content-encoding: gzip\r\nconnection: close\r\n\r\n" + gzip.compress(body),
        "a longer body than it says": JSON + length + b"\r\n" + body + b"and more",
        "two hundred headers": OK + b"".join(b"x-%d: y\r\n" % i for i in range(200))
        + b"content-type: application/json\r\n" + length + b"\r\n" + body,
    }  # fmt: skip
    return sends(dresses[how["dress"].decode()])


DRESSES = (
    "HTTP/1.0", "no reason", "after 100 Continue", "until the end", "in chunks of one", "gzip",
    "a longer body than it says", "two hundred headers",
)  # fmt: skip


def test_a_right_answer_is_taken_in_whatever_dress(share, tried):
    wrong, times = [], 0
    for number, dress in enumerate(DRESSES):
        for kind in share([FAMILIES[number % len(FAMILIES)]], FAMILIES):
            times += 1
            with Hostile(good(kind.name, dress=dress.encode())) as server:
                try:
                    answer = ask(kind, server.url, timeout=5)
                except CaptionerError as error:
                    wrong.append(f"{kind.name}, {dress}: {error!r}")
                else:
                    assert isinstance(answer, Caption)
                    assert answer.text == "A dog on a beach."
    tried("a right answer in an odd dress", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "head",
    [
        JSON + b"content-length: 100000\r\n\r\n",
        OK + b"".join(b"x-%d: %b\r\n" % (i, b"y" * 100) for i in range(10_000)) + b"\r\n",
    ],
    ids=["a shorter body than it says", "ten thousand headers"],
)
def test_an_answer_that_cannot_be_trusted_is_asked_for_again(head, share, tried):
    families = share(FAMILIES[:1], FAMILIES)
    for kind in families:
        with Hostile(sends(head, GOOD[kind.name])) as server:
            error, faults = judged(functools.partial(ask, kind, server.url), 10)
        assert isinstance(error, TransientError), error
        assert not faults
    tried("an answer that ends too early or is nothing but headers", len(families))


ODD_VALUES = ("null", "[]", "{}", "true", "7", "1e999", '"x"', "[null]", "[[]]", '{"a": null}')
NAMES = ("data", "choices", "content", "candidates", "models", "error", "id", "usage", "message")


ANSWERED_IN = {
    "openai": "choices",
    "ollama": "choices",
    "anthropic": "content",
    "gemini": "candidates",
}


def odd_bodies() -> Iterator[str]:
    """JSON of any form but the right one."""
    yield from ODD_VALUES
    for name, value in itertools.product(NAMES, ODD_VALUES):
        yield f'{{"{name}": {value}}}'
    for opening, closing in (("[", "]"), ('{"error":', "}"), ('{"message":[', "]}")):
        yield opening * 400 + "1" + closing * 400
        yield opening * 100_000


def _answered_oddly(kind: type[CaptionBackend], status: int, bodies: list[str]) -> list[str]:
    """What was wrong with the verdicts of one backend, asked twice about each of the bodies."""
    wrong = []
    head = b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n" % status
    body = ""
    with (
        Hostile(lambda client: sends(head, body.encode())(client)) as server,
        contextlib.closing(connect(kind, server.url, timeout=5)) as backend,
    ):
        for body in bodies:
            error, faults = judged(lambda: backend.caption(picture(), []), 10)
            near = ANSWERED_IN[kind.name] in body or '"usage"' in body
            verdict = status in (400, 404) or (status == 200 and near)
            if not verdict and not isinstance(error, TransientError):
                faults.append(f"is {error!r}")
            _, more = judged(backend.check, 10)
            said = f"{kind.name}, {status}, {body[:40]}"
            wrong += [f"{said}: {fault}" for fault in (*faults, *more)]
    return wrong


@pytest.mark.timeout(1200)
def test_json_of_any_other_form_is_no_verdict_on_a_photo(share, tried):
    """Nor an internal error; with status 400 and 404, the verdict may be on the request."""
    bodies = list(odd_bodies())
    wrong: list[str] = []
    times = 0
    for kind, status in itertools.product(FAMILIES, (200, 400, 404, 500)):
        chosen = share(random.Random(f"{kind.name}{status}").sample(bodies, 4), bodies)
        wrong += _answered_oddly(kind, status, chosen)
        times += 2 * len(chosen)
    tried("JSON of an odd form", times, lost=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_list_of_models_without_an_end_is_not_followed(share, tried):
    page = (
        b'{"data": [{"type": "model", "id": "m"}], "has_more": true, "last_id": "m",'
        b' "models": [{"name": "models/m"}], "nextPageToken": "more"}'
    )
    missing = b'{"error": {"code": 404, "status": "NOT_FOUND", "message": "no such model"}}'

    def behave(client: Client) -> None:
        path = client.request().split(b" ")[1].partition(b"?")[0]
        listed = path.endswith(b"/models")
        client.send(b"HTTP/1.1 200 OK\r\n" if listed else b"HTTP/1.1 404 Not Found\r\n")
        client.send(b"content-type: application/json\r\nconnection: close\r\n\r\n")
        client.send(page if listed else missing)

    asked = []
    for kind in share(FAMILIES[:3], FAMILIES):
        with Hostile(behave) as server:
            error, faults = judged(functools.partial(check, kind, server.url), 10)
            asked.append(server.connections)
        assert isinstance(error, ConfigurationError), error
        assert not faults
    tried("a list of models without an end", len(asked), lost=sum(count > 3 for count in asked))
    assert max(asked) <= 3, asked


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


def test_a_pause_of_an_age_of_the_world_is_a_day_and_ends_at_a_signal(tmp_path, preloaded, tried):
    """The run holds, says so, and Ctrl+C still ends it at once."""
    import signal

    from tests.support import library
    from tests.torture.preloaded import wait_for

    library(tmp_path / "photos", 3)
    busy = OpenAIReply(429, {"error": {"message": "slow down"}}, {"Retry-After": "9" * 30})
    with OpenAIServer() as server:
        server.script.extend([busy] * 50)
        flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
        run = preloaded.start("run", *flags, cwd=tmp_path, OPENAI_API_KEY=KEY)
        wait_for(lambda: "pause" in run.said)
        time.sleep(0.5)
        assert len(server.captions_asked()) == 1
        run.send_signal(signal.SIGINT)
        assert run.wait(5) == 130
        assert "Traceback" not in run.said
        assert KEY not in run.said
    tried("a pause of an age of the world", 1)
