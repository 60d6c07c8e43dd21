"""Backends that ask a hostile server, and what may be wrong with how that ends."""

from __future__ import annotations

import contextlib
import itertools
import resource
import socket
import sys
import time
from collections.abc import Callable

from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import BackendSettings, Caption, CaptionBackend
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.errors import (
    CaptionerError,
)
from tests.providers import anthropic_server, gemini_server
from tests.providers.hostile import Client
from tests.providers.openai_server import Reply as OpenAIReply
from tests.providers.openai_server import completion
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
