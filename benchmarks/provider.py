"""A provider on loopback in a process of its own: as fast as it can be, and as slow as it is told.

It speaks as much of OpenAI's chat completions as captions need, over plain asyncio: parsing JSON
of 200 KB a request would make it the limit. The caption holds a checksum of the photo's base64,
so contenders that sent the same photos have the same captions.
"""

from __future__ import annotations

import asyncio
import json
import math
import multiprocessing
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from statistics import linear_regression
from typing import Any
from urllib.request import urlopen

MODEL = "benchmark"


@dataclass(frozen=True)
class Behaviour:
    """`latency` in seconds; `quota` in requests per second, a bucket that holds one second's."""

    latency: float = 0.2
    quota: float = math.inf
    tells: bool = False
    """Whether answers carry rate-limit headers."""


@dataclass
class Served:
    """When requests were let in and when they were refused, in seconds on the server's clock."""

    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def steady_rate(self) -> float:
        """Captions per second between the first fifth and the last tenth of them.

        By least squares: workers that were let in together come back in waves, and counting from
        the middle of one to the middle of another would be off by up to a wave.
        """
        times = self.good[len(self.good) // 5 : max(len(self.good) * 9 // 10, 2)]
        return linear_regression(times, range(len(times))).slope if len(set(times)) > 1 else 0.0


class Provider:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def served(self) -> Served:
        """What it served since this was asked last."""
        with urlopen(f"{self.base_url}/served", timeout=30) as answer:  # noqa: S310 - loopback
            return Served(**json.load(answer))


@contextmanager
def provider(behaviour: Behaviour) -> Iterator[Provider]:
    """Start a server; it ends with the block."""
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(behaviour, there), daemon=True)
    process.start()
    try:
        if not here.poll(60):
            raise TimeoutError("the benchmark's server did not start within 60 s")
        yield Provider(here.recv())
    finally:
        process.terminate()
        process.join()


def _serve(behaviour: Behaviour, ready: Connection) -> None:
    asyncio.run(_listen(behaviour, ready))


async def _listen(behaviour: Behaviour, ready: Connection) -> None:
    desk = _Desk(behaviour)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Visitor(desk), "127.0.0.1", 0, backlog=1024)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Desk:
    """Counts and answers; one for all connections."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._served = Served()
        self._left = behaviour.quota
        self._filled_at = time.monotonic()

    def answer(self, path: bytes, body: memoryview) -> tuple[float, bytes]:
        """Seconds to wait, and the response."""
        if path.endswith(b"/served"):
            served, self._served = self._served, Served()
            return 0.0, _response(200, asdict(served))
        if not body:
            models = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
            return 0.0, _response(200, models)
        good = self._admit()
        (self._served.good if good else self._served.refused).append(time.monotonic())
        headers = self._headers()
        if not good:
            return 0.0, _response(429, {"error": {"message": "slow down"}}, headers)
        return self._behaviour.latency, _response(200, _completion(bytes(body)), headers)

    def _admit(self) -> bool:
        quota, now = self._behaviour.quota, time.monotonic()
        if math.isinf(quota):
            return True
        self._left = min(self._left + (now - self._filled_at) * quota, quota)
        self._filled_at = now
        good = self._left >= 1
        self._left -= good
        return good

    def _headers(self) -> dict[str, str]:
        quota = self._behaviour.quota
        if not self._behaviour.tells:
            return {}
        return {
            "x-ratelimit-limit-requests": f"{quota:.0f}",
            "x-ratelimit-remaining-requests": f"{math.floor(self._left)}",
            "x-ratelimit-reset-requests": f"{(quota - self._left) / quota * 1000:.0f}ms",
        }


class _Visitor(asyncio.Protocol):
    """One connection, kept alive; one request at a time."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._data = bytearray()
        self._need = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if len(self._data) < self._need:
            return
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        self._need = end + 4 + _length(bytes(self._data[:end]))
        if len(self._data) >= self._need:
            path = bytes(self._data[: self._data.find(b"\r\n")]).split(b" ")[1]
            with memoryview(self._data) as view, view[end + 4 : self._need] as body:
                wait, response = self._desk.answer(path, body)
            self._data, self._need = bytearray(), 0
            asyncio.get_running_loop().call_later(wait, self._send, response)

    def _send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def _completion(body: bytes) -> dict[str, Any]:
    start = body.find(b"base64,")
    photo = body[start : body.find(b'"', start)]
    message = {"role": "assistant", "content": f"Photo {zlib.crc32(photo):08x}."}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820},
    }


def _response(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    content = json.dumps(body).encode()
    named = {"content-type": "application/json", "content-length": str(len(content))}
    lines = [f"HTTP/1.1 {status} -", *(f"{k}: {v}" for k, v in (named | (headers or {})).items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
