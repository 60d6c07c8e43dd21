"""What is looked at when an answer arrives, before an SDK reads its body.

The provider's quotas are in its headers, and the run paces itself by them. The body is read up to
a limit only: a caption is a few hundred bytes, and a server that sends a gigabyte would fill the
memory, once for each worker.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx2

from backends.base import CaptionBackend
from backends.rate_limits import quotas

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of an answer; the longest lists of models are under 2 MB."""

MAX_PACKED_BYTES = 1024 * 1024
"""Of a compressed one: deflate unpacks to at most a thousand times as much."""


class AnswerHook:
    """A response hook of httpx2 for one backend's client."""

    def __init__(self, backend: CaptionBackend) -> None:
        self._backend = backend

    def __call__(self, response: httpx2.Response) -> None:
        """Tell the quotas and bound the body."""
        found = quotas(response.headers) if response.request.method == "POST" else ()
        tell = self._backend.on_rate_limit
        if found and tell is not None:
            tell(found)
        packed = response.headers.get("content-encoding", "identity") != "identity"
        most = MAX_PACKED_BYTES if packed else MAX_BODY_BYTES
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Bounded(response.stream, most)


class _Bounded(httpx2.SyncByteStream):
    """The bytes of a body, up to `most`."""

    def __init__(self, stream: httpx2.SyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        left = self._most
        for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise httpx2.DecodingError(f"the answer is longer than {self._most:,} bytes")
            yield piece

    def close(self) -> None:
        self._stream.close()
