"""What an answer may take: the whole of it in time, and no more bytes than a caption can need.

For each family the real SDK asks a server that drips or pours without end.
"""

from __future__ import annotations

import gzip
import itertools
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
from picture_captioner.errors import TransientError
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
            with client:
                try:
                    client.recv(1 << 20)
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
