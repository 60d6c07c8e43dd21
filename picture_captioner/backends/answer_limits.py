"""Limits on an answer, in bytes and in time, which the SDKs and HTTP libraries do not have.

The provider's quotas are in its headers, and the run paces itself by them. The body is read and
unpacked up to a limit only (`longest_answer`): a caption is a few hundred bytes, and a server that
sends a gigabyte would fill the memory, once for each worker. So unpacking is done here, in pieces:
httpx2 unpacks whatever came at once, 1 MB of gzip to 1 GB, and 2 kB to as much where it is packed
twice.

Their timeouts start anew with every byte: a server that sends one a second, in its headers or its
body, would hold a worker for a day. Here the clock runs from the first byte of a request to the
last of its answer, below everything else, at the socket (`keep_deadline`).
"""

from __future__ import annotations

import json
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2
import httpx2

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.backends.rate_limits import quotas

_PIECE_BYTES = 1 << 16
_GZIP = frozenset({"gzip", "x-gzip"})
"""The only packing that requests ask for (http_service.py)."""


class AnswerHook:
    """A response hook of httpx2 for one backend's client."""

    def __init__(self, backend: CaptionBackend) -> None:
        self._backend = backend

    def __call__(self, response: httpx2.Response) -> None:
        """Tell the quotas, unpack and bound the body, and see to an error in an answer's place.

        Raises:
            httpx2.RemoteProtocolError: it was there before the question.
        """
        connection = response.extensions.get("network_stream")
        if isinstance(connection, _Stream) and connection.asking:
            raise httpx2.RemoteProtocolError(_TOO_EARLY, request=response.request)
        found = quotas(response.headers) if response.request.method == "POST" else ()
        tell = self._backend.on_rate_limit
        if found and tell is not None:
            tell(found)
        packing = response.headers.pop("content-encoding", "identity").strip().lower()
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Bounded(response.stream, packing, self._backend.longest_answer)
        if response.is_success and response.request.method == "POST":
            body = response.read()
            named = response.headers.get(_AWS_ERROR)
            inside = _status_of_aws(named) if named else _status_inside(body)
            response.status_code = inside or response.status_code


_TOO_EARLY = "an answer to nothing that was asked"
"""A server (or a proxy) that answers one question twice would have each photo after it described
by the caption of the one before."""

_ANSWERS = frozenset({"choices", "candidates", "content"})
STATUS_OF_ERROR = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's errors (platform.claude.com/docs/en/api/errors, read on 2026-11-28)."""

_AWS_ERROR = "x-amzn-errortype"
_STATUS_OF_AWS = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "UnrecognizedClientException": 403,
    "InvalidSignatureException": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ModelTimeoutException": 408,
    "ModelNotReadyException": 429,
    "ThrottlingException": 429,
    "ServiceUnavailableException": 503,
}
"""Of errors of Converse and of AWS itself (botocore 1.44's model of Bedrock)."""


def _status_of_aws(name: object) -> int:
    """By the name alone, which stands between a namespace and an address."""
    return _STATUS_OF_AWS.get(str(name).partition(":")[0].rpartition("#")[2], 500)


def _status_inside(body: bytes) -> int | None:
    """The status of an error that came with 200, as its provider names it; else None."""
    if b'"error"' not in body and b'"__type"' not in body:
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    for said in (found, found.get("Output")):
        if isinstance(said, dict) and "__type" in said:
            return _status_of_aws(said["__type"])
    error = found.get("error")
    if not isinstance(error, dict) or _ANSWERS & found.keys():
        return None
    if found.get("type") == "error":
        return STATUS_OF_ERROR.get(str(error.get("type")))
    status = error.get("code")
    return status if isinstance(status, int) and 400 <= status < 600 else None


class _Bounded(httpx2.SyncByteStream):
    """The bytes of a body, unpacked, up to so many."""

    def __init__(self, stream: httpx2.SyncByteStream, packing: str, most: int) -> None:
        self._stream = stream
        self._packing = packing
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        left = self._most
        for piece in self._unpacked():
            left -= len(piece)
            if left < 0:
                raise httpx2.DecodingError(f"the answer is longer than {self._most:,} bytes")
            yield piece

    def _unpacked(self) -> Iterable[bytes]:
        if self._packing == "identity":
            return self._stream
        if self._packing in _GZIP:
            return _gunzipped(self._stream)
        raise httpx2.DecodingError("the answer is packed in a way that was not asked for")

    def close(self) -> None:
        self._stream.close()


def _gunzipped(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces, however much a piece of the packed bytes unpacks to."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for piece in packed:
            rest = piece
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _PIECE_BYTES)
                rest = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise httpx2.DecodingError(str(error)) from error


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
    """A connection; the first write after a read begins a request.

    `asking` is whether nothing was read since: an answer that is there by then was sent before.
    """

    def __init__(self, stream: httpcore2.NetworkStream, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._until = 0.0
        self.asking = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self.asking:
            self.asking = True
            self._until = time.monotonic() + self._seconds
        self._stream.write(buffer, self._left(timeout, httpcore2.WriteTimeout))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.asking = False
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
