"""What parent and child say to each other: MessagePack, each message after its length.

No pickles in either direction: nothing that a broken child says is executed by the parent. Pixels
and vectors travel as bytes inside a message; 2.4 MB take 2 ms through a pipe, and shared memory,
which would save 1.8 of them, ends with a container's 64 MB of /dev/shm.

    parent                      child
    Open                    ->              import a host and load its model
                            <-  Ready       with its state
    Work (number)           ->
                            <-  OnDevice    the prepared items are on the device now
                            <-  Answer      with its state; or Failed
    Close                   ->
                            <-  Notice, LogLine at any time
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_BYTES = 1 << 30
"""Of one message: 64 photos of the largest kind are 0.4 GB. More is nonsense."""

_LENGTH = struct.Struct(">I")


class Open(msgspec.Struct, tag=True, frozen=True):
    """Make a host: `target` is `module:callable`, which gets `arguments` and a `Child`.

    `restricted`: without network and other processes, where the kernel can see to it.
    """

    target: str
    arguments: dict[str, Any]
    threads: int
    restricted: bool = True


class Work(msgspec.Struct, tag=True, frozen=True):
    """Do something of this kind with each of these items; `shared` concerns all of them."""

    number: int
    kind: str
    items: list[Any]
    shared: dict[str, Any]


class Close(msgspec.Struct, tag=True, frozen=True):
    """Let go of everything and end."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The model is loaded."""

    state: dict[str, Any]


class OnDevice(msgspec.Struct, tag=True, frozen=True):
    """The items of this number are prepared, and their turn on the device has come."""

    number: int


class Answer(msgspec.Struct, tag=True, frozen=True):
    """A result for each item, in their order, and what the host says of itself."""

    number: int
    results: list[Any]
    state: dict[str, Any]


class Failed(msgspec.Struct, tag=True, frozen=True):
    """An error by the name of its class; number 0 is that of `Open`."""

    number: int
    error: str
    message: str
    code: str | None = None
    usage: dict[str, Any] = {}
    retry_after: float | None = None


class Notice(msgspec.Struct, tag=True, frozen=True):
    """A line for the person."""

    text: str


class LogLine(msgspec.Struct, tag=True, frozen=True):
    """A line for the log."""

    logger: str
    level: int
    text: str


Request = Open | Work | Close
Reply = Ready | OnDevice | Answer | Failed | Notice | LogLine

_encode_into = msgspec.msgpack.Encoder().encode_into
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


class NonsenseError(Exception):
    """The other side sends what is no message."""


def frame(message: Request | Reply) -> bytearray:
    """A message as it goes through the pipe."""
    framed = bytearray()
    _encode_into(message, framed, _LENGTH.size)
    _LENGTH.pack_into(framed, 0, len(framed) - _LENGTH.size)
    return framed


class Unframer:
    """Cuts what came through a pipe into messages; pieces may be of any length."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Iterator[memoryview]:
        """The bodies that are complete now; each may be read until the next is asked for.

        Raises:
            NonsenseError: a length that no message has.
        """
        self._data += piece
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > MAX_BYTES:
                raise NonsenseError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._data) < end:
                return
            with memoryview(self._data) as whole, whole[_LENGTH.size : end] as body:
                yield body  # some MB, which are not copied once more
            del self._data[:end]
