"""A limit on the time of a whole answer, which no timeout of the HTTP libraries is.

Theirs start anew with every byte: a server that sends one a second, in its headers or its body,
would hold a worker for a day. Here the clock runs from the first byte of a request to the last of
its answer, below everything else, at the socket.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore2
import httpx2


def keep_deadline(client: httpx2.Client, seconds: float) -> None:
    """Give every new connection of a client, through a proxy or not, this much for each answer.

    httpx2 has no parameter for what httpcore2 lets its callers choose, the network below the
    connections; so it is set where httpx2 keeps it.
    """
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx2.HTTPTransport):
            transport._pool._network_backend = _Network(seconds)


class _Network(httpcore2.SyncBackend):
    """Connections whose streams keep the deadline."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(*args, **kwargs), self._seconds)


class _Stream(httpcore2.NetworkStream):
    """A connection; the first write after a read begins a request."""

    def __init__(self, stream: httpcore2.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._until = 0.0
        self._asking = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._asking:
            self._asking = True
            self._until = time.monotonic() + self._seconds
        self._stream.write(buffer, self._left(timeout, httpcore2.WriteTimeout))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._asking = False
        return self._stream.read(max_bytes, self._left(timeout, httpcore2.ReadTimeout))

    def _left(self, timeout: float | None, overdue: type[httpcore2.TimeoutException]) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise overdue(f"no whole answer within {self._seconds:g} s")
        return left if timeout is None else min(timeout, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _Stream(stream, self._seconds)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
