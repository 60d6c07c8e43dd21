"""What decoder processes and their parent say to each other.

Messages are MessagePack and not pickles, so that nothing which a corrupted decoder says is executed
by the parent.

    parent                           worker
                                     Ready
    LoadRequest, a descriptor    ->
                                 <-  FileRead      all bytes read: the decode clock starts
    Wanted                       ->
                                 <-  NeedsRoom     where decoding takes much memory
    Room                         ->
                                 <-  Loaded, then, where `examined` says so, Examined, thumbnail
                                     and perhaps a clean image, then the pixels or a JPEG of them
                                     where it has an `image_size`
    HeadersRequest, descriptors  ->
                                 <-  Header, one for each path
                                     Failed stands in for FileRead, Loaded or Header
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Annotated

import msgspec

from picture_captioner.errors import CaptionerError, PhotoError
from picture_captioner.metadata.claims import Metadata

HANDLED_BY_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that reach the whole process group: the parent decides what they mean."""


@dataclass(frozen=True)
class DecodeLimits:
    """Bounds of one decoder process.

    Attributes:
        decode_seconds: to turn bytes into pixels; over it the photo is to blame.
        read_seconds: to read the bytes; over it the disk is, which is no verdict.
        start_seconds: for the process to come up.
        orphan_seconds: beyond the first two, after which the process ends itself: the parent
            ends it at the limit, unless the parent is gone.
        memory_bytes: of address space beyond what the idle process maps (Linux only).
        photos_per_process: after so many it is replaced, which bounds what decoders leak.
    """

    decode_seconds: float = 30.0
    read_seconds: float = 120.0
    start_seconds: float = 60.0
    orphan_seconds: float = 15.0
    memory_bytes: int = 3 << 30
    photos_per_process: int = 2000


class LoadRequest(msgspec.Struct, tag=True, frozen=True):
    """Load one photo, whose descriptor follows; `suffix` is that of its name.

    No pixels are wanted without an `edge`.

    With a `jpeg_quality` a JPEG is wanted in place of the pixels: it is a fifteenth of the bytes,
    and Pillow's encoder would hold the parent's interpreter for 3 ms a photo. `allow_reduced` as in
    `load_image`; `examine` asks for its traits as well, `keep` for a clean image among them.
    `for_backend`: no side may be too short for a vision model.
    """

    suffix: str
    edge: int | None
    jpeg_quality: int | None = None
    allow_reduced: bool = False
    accept_truncated: bool = False
    examine: bool = False
    for_backend: bool = False
    keep: bool = False


class HeadersRequest(msgspec.Struct, tag=True, frozen=True):
    """Read the headers of photos with these suffixes, in this order; their descriptors follow."""

    suffixes: list[str]


class Wanted(msgspec.Struct, tag=True, frozen=True):
    """The parent's answer to `FileRead`: decode the bytes, unless the content is known."""

    decode: bool


class Room(msgspec.Struct, tag=True, frozen=True):
    """The parent's answer to `NeedsRoom`, as soon as there is room."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The process is up; `missing` are the restrictions that this kernel does not have."""

    missing: tuple[str, ...] = ()


class FileRead(msgspec.Struct, tag=True, frozen=True):
    """All bytes are read and nothing is decoded yet."""

    content_sha256: str


class NeedsRoom(msgspec.Struct, tag=True, frozen=True):
    """Decoding takes so much memory that others may have to be done first."""

    bytes_needed: int


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """The facts of a `LoadedImage`.

    What follows: traits if `examined`, pixels or a JPEG if there is an `image_size`.
    """

    content_sha256: str
    size: int
    mtime_ns: int
    width: int
    height: int
    format: str
    image_size: tuple[int, int] | None
    truncated: bool = False
    reduced: bool = False
    examined: bool = False


class Examined(msgspec.Struct, tag=True, frozen=True):
    """The `Traits` of a photo; `thumbnail_bytes` follow, and `clean_bytes` where there are any."""

    metadata: Metadata
    sharpness: float
    perceptual_hash: Annotated[int, msgspec.Meta(ge=0)]
    thumbnail_bytes: int
    clean_bytes: int = 0


class Header(msgspec.Struct, tag=True, frozen=True):
    """An `ImageHeader`."""

    width: int
    height: int
    format: str
    size: int


class Failed(msgspec.Struct, tag=True, frozen=True):
    """An error by the name of its class in errors.py; `code` only where it can differ."""

    error: str
    message: str
    code: str | None


Request = LoadRequest | HeadersRequest | Wanted | Room

Reply = Ready | FileRead | NeedsRoom | Loaded | Examined | Header | Failed


def failure_of(error: CaptionerError) -> Failed:
    """What the other side needs to raise the same."""
    code = error.code if isinstance(error, PhotoError) else None
    return Failed(type(error).__name__, str(error), code)


def run_worker(
    pipe: Connection, limits: DecodeLimits, dropped: frozenset[str], trial: bool
) -> None:
    """`decoder_worker.serve`, imported in the decoder process alone: the parent decodes nothing."""
    from picture_captioner.pipeline.decoding.decoder_worker import serve

    serve(pipe, limits, dropped, trial)
