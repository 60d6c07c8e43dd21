"""What runs in a decoder process: requests come in over a pipe, facts and pixels go back.

The process is expected to die: on a bad file, at its memory limit, by its own alarm clock, or
because the parent is gone. What the two say to each other is in messages.py.
"""

from __future__ import annotations

import ctypes
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from picture_captioner.backends.encoding import encode_jpeg
from picture_captioner.errors import CaptionerError
from picture_captioner.image_loader.decode_errors import room_asked_for
from picture_captioner.image_loader.images import ImageHeader, LoadedImage, Traits
from picture_captioner.image_loader.loading import examine_image, load_image, read_header
from picture_captioner.image_loader.reading import OpenedPhoto
from picture_captioner.image_loader.resizing import roomy
from picture_captioner.image_loader.samples import decode_samples, import_all, samples
from picture_captioner.pipeline.decoding.messages import (
    HANDLED_BY_PARENT,
    DecodeLimits,
    Examined,
    Failed,
    FileRead,
    Header,
    HeadersRequest,
    Loaded,
    LoadRequest,
    NeedsRoom,
    Ready,
    Reply,
    Request,
    Room,
    Wanted,
    failure_of,
)
from picture_captioner.workers import sandbox

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(Request).decode


def serve(
    pipe: Connection,
    limits: DecodeLimits,
    dropped: frozenset[str],
    trial: bool,
) -> None:
    """Serve requests until the parent closes its end of the pipe.

    Nothing can be opened, imported or started once the process is restricted. With `trial` it
    decodes test pictures first, and says so if it cannot. `dropped` as in `sandbox.restrict`.
    """
    os.setpgid(0, 0)  # so that the parent can end it together with whatever it starts
    for number in HANDLED_BY_PARENT:
        signal.signal(number, signal.SIG_IGN)
    # numpy, which rawpy needs, would otherwise map a work area for every core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import_all()
    pictures = samples() if trial else []
    _limit_resources(limits)
    _silence_libraries()
    keep_freed_memory()
    files = socket.socket(fileno=os.dup(pipe.fileno()))
    sandbox.forbid_core_dumps()
    missing = sandbox.restrict(dropped)
    try:
        _send(pipe, _tried(pictures) or Ready(missing))
        while True:
            _serve(pipe, files, limits)
    except (EOFError, ConnectionError):
        return  # the parent has no further use for this process
    finally:
        files.close()


def _limit_resources(limits: DecodeLimits) -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        allowed = pages * resource.getpagesize() + limits.memory_bytes
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard != resource.RLIM_INFINITY:
            allowed = min(allowed, hard)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))


def keep_freed_memory() -> None:
    """Let glibc hand the last photo's memory to the next one instead of back to the kernel.

    A new process returns every large block: 6,400 page faults for each 12-megapixel JPEG, and
    67 ms where 55 do. It costs up to 128 MiB of resident memory for each worker.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_TRIM_THRESHOLD, 128 << 20)
        tune(_M_MMAP_THRESHOLD, 32 << 20)  # the most that glibc accepts


def _silence_libraries() -> None:
    """LibRaw and libtiff write to descriptor 2, into a progress bar. Tracebacks still get out.

    Pillow reports some damage through `logging`, which shows it on stderr if nobody listens.
    """
    logging.disable()
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)


def _serve(pipe: Connection, files: socket.socket, limits: DecodeLimits) -> None:
    request = _decode_request(pipe.recv_bytes())
    # Left to its default action: a decoder that hangs in C code would never run a handler.
    seconds = math.ceil(limits.read_seconds + limits.decode_seconds + limits.orphan_seconds)
    match request:
        case LoadRequest():
            signal.alarm(seconds)
            with _received(files, [request.suffix]) as (photo,), _asking_for_room(pipe, seconds):
                _serve_photo(pipe, request, photo)
        case HeadersRequest():
            with _received(files, request.suffixes) as photos:
                for photo in photos:
                    signal.alarm(seconds)
                    _send(pipe, _header(photo))
        case Wanted() | Room():
            raise RuntimeError("an answer to a question that was not asked")
    signal.alarm(0)


def _asking_for_room(pipe: Connection, seconds: int) -> AbstractContextManager[None]:
    def ask(needed: int) -> None:
        signal.alarm(0)  # others decode meanwhile, as long as they like
        _send(pipe, NeedsRoom(needed))
        answer = _decode_request(pipe.recv_bytes())
        if not isinstance(answer, Room):
            raise TypeError(f"{type(answer).__name__} is no answer to NeedsRoom")
        signal.alarm(seconds)

    return room_asked_for(ask)


def _tried(pictures: list[bytes]) -> Failed | None:
    """Why a test picture does not decode here."""
    try:
        decode_samples(pictures)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tries fewer restrictions
        return Failed(type(error).__name__, str(error)[:200], None)
    return None


@contextmanager
def _received(files: socket.socket, suffixes: Sequence[str]) -> Iterator[list[OpenedPhoto]]:
    """The photos whose descriptors follow a request."""
    _, descriptors, _, _ = socket.recv_fds(files, 1, len(suffixes))
    try:
        yield [OpenedPhoto(*photo) for photo in zip(descriptors, suffixes, strict=True)]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _serve_photo(pipe: Connection, request: LoadRequest, photo: OpenedPhoto) -> None:
    quality = request.jpeg_quality
    try:
        loaded, traits = _load(request, photo, _KnownToParent(pipe))
        if request.for_backend and loaded.image is not None and request.edge is not None:
            loaded = replace(loaded, image=roomy(loaded.image, request.edge))
        jpeg = encode_jpeg(loaded.image, quality=quality) if quality and loaded.image else None
    except CaptionerError as error:
        _send(pipe, failure_of(error))
        return
    _send(pipe, _facts(loaded, examined=traits is not None))
    if traits is not None:
        _send(pipe, _examined(traits))
        pipe.send_bytes(traits.thumbnail)
        if traits.clean is not None:
            pipe.send_bytes(traits.clean)
    if loaded.image is not None:
        pipe.send_bytes(jpeg or loaded.image.tobytes())


def _load(
    request: LoadRequest, photo: OpenedPhoto, known: _KnownToParent
) -> tuple[LoadedImage, Traits | None]:
    options = {
        "allow_reduced": request.allow_reduced,
        "accept_truncated": request.accept_truncated,
    }
    if request.examine or request.edge is None:
        examined = examine_image(photo, request.edge, known, keep=request.keep, **options)
        return examined.loaded, examined.traits
    return load_image(photo, request.edge, known, **options), None


class _KnownToParent:
    """The set of content hashes that need no decoding, kept by the parent.

    `load_image` asks once, between reading and decoding: the question tells the parent which of
    its clocks to run, and a set of many thousand hashes need not travel with each photo.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __contains__(self, content_sha256: object) -> bool:
        _send(self._pipe, FileRead(str(content_sha256)))
        answer = _decode_request(self._pipe.recv_bytes())
        if not isinstance(answer, Wanted):
            raise TypeError(f"{type(answer).__name__} is no answer to FileRead")
        return not answer.decode


def _header(photo: OpenedPhoto) -> Header | Failed:
    try:
        header: ImageHeader = read_header(photo)
    except CaptionerError as error:
        return failure_of(error)
    return Header(header.width, header.height, header.format, header.size)


def _facts(loaded: LoadedImage, *, examined: bool) -> Loaded:
    return Loaded(
        loaded.content_sha256,
        loaded.size,
        loaded.mtime_ns,
        loaded.width,
        loaded.height,
        loaded.format,
        loaded.image.size if loaded.image is not None else None,
        loaded.truncated,
        loaded.reduced,
        examined,
    )


def _examined(traits: Traits) -> Examined:
    sizes = len(traits.thumbnail), len(traits.clean or b"")
    return Examined(traits.metadata, traits.sharpness, traits.perceptual_hash, *sizes)


def _send(pipe: Connection, reply: Reply) -> None:
    pipe.send_bytes(_encode(reply))
