"""What is looked at when an answer arrives, before an SDK reads its body.

The provider's quotas are in its headers, and the run paces itself by them. The body is read and
unpacked up to a limit only (`longest_answer`): a caption is a few hundred bytes, and a server that
sends a gigabyte would fill the memory, once for each worker. So unpacking is done here, in pieces:
httpx2 unpacks whatever came at once, 1 MB of gzip to 1 GB, and 2 kB to as much where it is packed
twice.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

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
        """Tell the quotas, unpack and bound the body."""
        found = quotas(response.headers) if response.request.method == "POST" else ()
        tell = self._backend.on_rate_limit
        if found and tell is not None:
            tell(found)
        packing = response.headers.pop("content-encoding", "identity").strip().lower()
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _Bounded(response.stream, packing, self._backend.longest_answer)


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
