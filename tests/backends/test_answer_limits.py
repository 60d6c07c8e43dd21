"""What an answer may take: the whole of it in time, and no more bytes than a caption can need.

For each family the real SDK asks a server that drips or pours without end.
"""

from __future__ import annotations

import gzip
import itertools
import json
import resource
import socket
import sys
import threading
import time

import pytest
from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import MAX_BODY_BYTES, BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.errors import AccessDeniedError, TransientError
from tests.providers.contracts import contract
from tests.providers.pictures import picture

FAMILIES = [OpenAIBackend, AnthropicBackend, GeminiBackend]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Pourer:
    """Answers every request with the pieces it was given, one each `pause` seconds."""

    def __init__(self, *pieces, pause=0.0):
        self.pieces, self.pause, self.sent = pieces, pause, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                try:
                    request_read_from(lines)  # all of it: closing with more to read is a reset
                    for piece in itertools.chain.from_iterable(self.pieces):
                        client.sendall(piece)
                        self.sent += len(piece)
                        time.sleep(self.pause)
                except OSError:
                    continue


def ask(kind, url, timeout):
    settings = BackendSettings(
        model=kind.default_model, api_key=SecretStr("k"), base_url=url, timeout=timeout
    )
    return kind(settings).caption(picture(), [])


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("where", ["body", "headers"])
def test_a_server_that_drips_is_given_up_after_twice_the_timeout(kind, where):
    start = [HEAD + b"content-length: 1000\r\n\r\n"] if where == "body" else [HEAD + b"x-drip: "]
    with Pourer(start, itertools.repeat(b" "), pause=0.05) as url:
        started = time.monotonic()
        with pytest.raises(TransientError, match="did not answer in time") as raised:
            ask(kind, url, timeout=0.4)
        assert raised.value.code == "timeout"
        assert 0.7 < time.monotonic() - started < 5


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_a_gigabyte_is_not_read_to_its_end(kind):
    piece = b" " * (1 << 20)
    pourer = Pourer([HEAD + b"content-length: 1073741824\r\n\r\n"], itertools.repeat(piece, 1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pourer as url, pytest.raises(TransientError) as raised:
        ask(kind, url, timeout=30)
    assert raised.value.code == "bad_answer"
    assert pourer.sent < 4 * MAX_BODY_BYTES
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 8 * MAX_BODY_BYTES


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_a_small_answer_that_unpacks_to_gigabytes_is_refused(kind):
    packed = gzip.compress(bytes(1 << 26), 9)
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: 2000000000\r\n\r\n"
    with Pourer([head], itertools.repeat(packed)) as url, pytest.raises(TransientError) as raised:
        ask(kind, url, timeout=30)
    assert raised.value.code == "bad_answer"


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_quotas_of_every_answer_reach_the_run(kind):
    reset = b"anthropic-ratelimit-requests-reset: 2999-01-01T00:00:00Z\r\n"
    head = (
        b"HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n"
        b"x-ratelimit-limit-requests: 100\r\n"
        b"x-ratelimit-remaining-requests: 7\r\nx-ratelimit-reset-requests: 1.5s\r\n" + reset
    )
    told = []
    with Pourer([head + b"\r\n"]) as url:
        settings = BackendSettings(
            model=kind.default_model, api_key=SecretStr("k"), base_url=url, timeout=5
        )
        backend = kind(settings)
        with pytest.raises(TransientError):
            backend.caption(picture(), [])  # nobody has asked to be told
        backend.on_rate_limit = told.append
        with pytest.raises(TransientError) as raised:
            backend.caption(picture(), [])
    assert raised.value.code == "rate_limit"
    ((quota,),) = told
    assert (quota.limit, quota.remaining, quota.seconds) == (100, 7, 1.5)


WHOLE = {
    OpenAIBackend: contract("openai").answer,
    AnthropicBackend: contract("anthropic").answer,
    GeminiBackend: contract("gemini").answer,
}


def request_read_from(lines):
    """The first line of the next request; nothing of it is left in the connection."""
    first, *headers = itertools.takewhile(lambda line: line.strip(), lines)
    lengths = [line.split(b":")[1] for line in headers if line.lower().startswith(b"content-len")]
    lines.read(int(lengths[0]))
    return first


class Twice(Pourer):
    """Keeps its connections, and answers the first question of each twice."""

    def __init__(self, answer):
        super().__init__()
        body = json.dumps(answer).encode()
        self.answer = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                request_read_from(lines)
                client.sendall(2 * self.answer)
                self.sent += 1
                lines.read()  # until it is closed: the next question comes by another connection


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_an_answer_that_was_there_before_the_question_is_none(kind):
    with Twice(WHOLE[kind]) as url:
        key = SecretStr("sk-of-the-test")
        settings = BackendSettings(model=kind.default_model, api_key=key, base_url=url, timeout=5)
        backend = kind(settings)
        try:
            backend.caption(picture(), [])
            with pytest.raises(TransientError, match="nothing that was asked") as raised:
                backend.caption(picture(), [])
            assert raised.value.code == "connection"
            backend.caption(picture(), [])
        finally:
            backend.close()


@pytest.mark.parametrize(
    ("kind", "inside", "expected"),
    [
        (GeminiBackend, {"error": {"code": 429, "message": "busy"}}, "rate_limit"),
        (GeminiBackend, {"error": {"code": 503, "message": "busy"}}, "http_503"),
        (AnthropicBackend, {"type": "error", "error": {"type": "overloaded_error"}}, "http_529"),
        (AnthropicBackend, {"type": "error", "error": {"type": "rate_limit_error"}}, "rate_limit"),
        (OpenAIBackend, {"error": {"code": 502, "message": "busy"}}, "http_502"),
        (AnthropicBackend, {"type": "error", "error": {"type": "of_another_kind"}}, "bad_answer"),
        (GeminiBackend, {"error": {"code": 7, "message": "busy"}}, "bad_answer"),
    ],
)
def test_an_error_that_came_with_200_is_what_it_says(kind, inside, expected):
    head = HEAD + b"connection: close\r\n\r\n"
    pourer = Pourer([head + json.dumps(inside).encode()])
    with pourer as url, pytest.raises(TransientError) as raised:
        ask(kind, url, timeout=5)
    assert raised.value.code == expected


@pytest.mark.parametrize(
    ("kind", "inside"),
    [
        (GeminiBackend, {"error": {"code": 403, "message": "no"}}),
        (AnthropicBackend, {"type": "error", "error": {"type": "authentication_error"}}),
    ],
)
def test_a_rejected_key_that_came_with_200_ends_the_run(kind, inside):
    head = HEAD + b"connection: close\r\n\r\n"
    pourer = Pourer([head + json.dumps(inside).encode()])
    with pourer as url, pytest.raises(AccessDeniedError):
        ask(kind, url, timeout=5)


@pytest.mark.parametrize("kind", FAMILIES, ids=lambda kind: kind.name)
def test_a_status_that_leads_nowhere_is_no_redirect(kind):
    pourer = Pourer([b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"])
    with pourer as url, pytest.raises(TransientError) as raised:
        ask(kind, url, timeout=5)
    assert raised.value.code == "bad_answer"
