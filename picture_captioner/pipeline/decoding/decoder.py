"""Decoding in worker processes, so that one bad file costs one photo and not the run.

Each `Decoder` owns one process behind one pipe. In a process pool a crash takes other
photos with it or hangs the pool, and none can tell a slow disk from a slow decoder, which is the
difference between "try again tomorrow" and "this photo is broken".
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Self, TypeVar

from PIL import Image

from picture_captioner import errors
from picture_captioner.errors import (
    CaptionerError,
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    PhotoError,
    PhotoSkipped,
    UnreadableFileError,
)
from picture_captioner.image_loader.images import (
    CLEAN_EDGE,
    CLEAN_QUALITY,
    THUMBNAIL_EDGE,
    ExaminedImage,
    ImageHeader,
    LoadedImage,
    Traits,
    open_encoded,
)
from picture_captioner.image_loader.reading import OpenedPhoto
from picture_captioner.metadata.claims import best_time
from picture_captioner.pipeline.decoding.decoder_process import DecoderProcess, start_restricted
from picture_captioner.pipeline.decoding.messages import (
    DecodeLimits,
    Examined,
    Failed,
    FileRead,
    Header,
    HeadersRequest,
    Loaded,
    LoadRequest,
    NeedsRoom,
    Reply,
    Request,
    Room,
    Wanted,
)
from picture_captioner.pipeline.decoding.opening import BUDGET, Opener

__all__ = ["DEFAULT_LIMITS", "DecodeLimits", "Decoder"]

DEFAULT_LIMITS = DecodeLimits()

_MAX_THUMBNAIL_BYTES = THUMBNAIL_EDGE**2 * len("RGB")

_MAX_JPEG_TABLES = 1 << 16

_MAX_CLEAN_BYTES = CLEAN_EDGE**2 * len("RGB") + _MAX_JPEG_TABLES

_HEADERS_AT_ONCE = 64
"""Files that are open at a time while headers are read: some systems allow 256 a process."""

_ReplyT = TypeVar("_ReplyT", FileRead, Loaded, Examined, Header)

_REPORTABLE = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, (PhotoError, PhotoSkipped))
}
"""What a worker may report, by name."""


class Decoder:
    """`load_image`, `examine_image` and `read_header` in a process of their own.

    The process is started when it is first needed and replaced when it died, took too long or
    has seen enough photos. One thread at a time may use a decoder; several decoders do not
    disturb each other.

    Args:
        within: nothing is opened outside of this directory, whatever links lead there.
    """

    def __init__(
        self, limits: DecodeLimits = DEFAULT_LIMITS, *, within: Path | None = None
    ) -> None:
        self._limits = limits
        self._process: DecoderProcess | None = None
        self._opener = Opener(within)
        self._photos = 0
        self._room = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(
        self,
        path: Path | OpenedPhoto,
        edge: int,
        known: Container[str] = frozenset(),
        jpeg_quality: int | None = None,
        *,
        for_backend: bool = True,
    ) -> LoadedImage:
        """`loading.load_image`, with its arguments and errors, and some more.

        With a `jpeg_quality` the process encodes the image as well: the result is then an image
        with its bytes in `info["jpeg"]` (`images.open_encoded`). `for_backend`: no side of it
        is too short for a vision model.

        Raises:
            DecoderCrashError: the process died while it worked on this photo.
            DecoderTimeoutError: decoding took over `decode_seconds`. Both may be bad luck on a
                busy machine: the caller tries once more, alone, before it is a verdict.
            UnreadableFileError: reading took over `read_seconds`; the disk may be stalled.
            BackendUnavailableError: no decoder process can be started at all.
        """
        request = LoadRequest(path.suffix, edge, jpeg_quality, for_backend=for_backend)
        return self.loaded(path, request, known).loaded

    def examine(
        self,
        path: Path,
        edge: int | None,
        known: Container[str] = frozenset(),
        *,
        keep: bool = False,
    ) -> ExaminedImage:
        """`loading.examine_image`, with its arguments and errors and those of `load`."""
        request = LoadRequest(path.suffix, edge, examine=True, keep=keep)
        return self.loaded(path, request, known)

    def loaded(
        self, path: Path | OpenedPhoto, request: LoadRequest, known: Container[str]
    ) -> ExaminedImage:
        """What a request for one photo brings; `load` and `examine` make the usual ones."""
        edge, quality = request.edge, request.jpeg_quality
        if edge is not None and edge < 1:
            raise ValueError(f"edge must be at least 1 pixel, not {edge}")
        with self._opened(path) as file, self._asked(request, [file]) as process:
            loaded = self._receive_loaded(process, known)
            traits = self._receive_traits(process) if loaded.examined else None
            if quality is None:
                image = self._receive_image(process, loaded.image_size, edge or 0)
            else:
                image = self._receive_jpeg(process, loaded.image_size, edge or 0, quality)
        return ExaminedImage(_loaded_image(loaded, image), traits)

    def read_headers(self, paths: Sequence[Path]) -> list[ImageHeader | CaptionerError]:
        """`loading.read_header` for each path, in one round trip; its errors are returned.

        A path at which the process dies or stalls costs that path only. A stall is returned as
        `UnreadableFileError`, since reading and parsing of a header are one.

        Raises:
            BackendUnavailableError: no decoder process can be started at all.
        """
        results: list[ImageHeader | CaptionerError] = []
        while len(results) < len(paths):
            try:
                self._read_headers(paths[len(results) :], results)
            except (DecoderCrashError, UnreadableFileError) as error:
                results.append(error)
        return results

    def close(self) -> None:
        """End the process. The decoder may be used again afterwards: it starts another."""
        self._opener.close()
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _read_headers(
        self, paths: Sequence[Path], results: list[ImageHeader | CaptionerError]
    ) -> None:
        """Those at the beginning that can be opened; raise if the first cannot."""
        with ExitStack() as stack:
            files: list[int] = []
            try:
                for path in paths[:_HEADERS_AT_ONCE]:
                    file = stack.enter_context(self._opened(path))
                    files.append(file)
            except UnreadableFileError:
                if not files:
                    raise
            request = HeadersRequest([path.suffix for path in paths[: len(files)]])
            with self._asked(request, files) as process:
                for _ in files:
                    reply = process.receive(self._limits.read_seconds, self._stalled)
                    results.append(_header_or_error(reply))

    def _opened(self, path: Path | OpenedPhoto) -> AbstractContextManager[int]:
        if isinstance(path, OpenedPhoto):
            return nullcontext(path.descriptor)
        return self._opener.opened(path, self._limits.read_seconds, self._stalled)

    def _receive_loaded(self, process: DecoderProcess, known: Container[str]) -> Loaded:
        read = _expect(process.receive(self._limits.read_seconds, self._stalled), FileRead)
        wanted = read.content_sha256 not in known
        process.send(Wanted(decode=wanted))
        while isinstance(reply := self._next(process), NeedsRoom):
            self._make_room(process, reply.bytes_needed)
        return _expect(reply, Loaded)

    def _next(self, process: DecoderProcess) -> Reply:
        return process.receive(self._limits.decode_seconds, self._overdue)

    def _make_room(self, process: DecoderProcess, needed: int) -> None:
        """Wait for memory, with nothing taken meanwhile: two who hold some would wait for ever."""
        self._give_room_back()
        self._room = BUDGET.take(needed)
        process.send(Room())

    def _give_room_back(self) -> None:
        taken, self._room = self._room, 0
        BUDGET.give_back(taken)

    def _receive_traits(self, process: DecoderProcess) -> Traits:
        seconds, overdue = self._limits.decode_seconds, self._overdue
        found = _expect(process.receive(seconds, overdue), Examined)
        if not 0 < found.thumbnail_bytes <= _MAX_THUMBNAIL_BYTES:
            raise DecoderCrashError("the decoder sent a thumbnail of the wrong size")
        thumbnail = process.receive_bytes(found.thumbnail_bytes, seconds, overdue)
        clean = None
        if found.clean_bytes:
            clean = process.receive_bytes(_MAX_CLEAN_BYTES, seconds, overdue)
            if max(_opened_jpeg(clean, CLEAN_QUALITY).size) > CLEAN_EDGE:
                raise _nonsense()
        return _traits(found, thumbnail, clean)

    def _receive_image(
        self, process: DecoderProcess, size: tuple[int, int] | None, edge: int
    ) -> Image.Image | None:
        if size is None:
            return None
        expected = size[0] * size[1] * len("RGB")
        if not 0 < max(size) <= edge:
            raise DecoderCrashError("the decoder sent a picture of the wrong size")
        pixels = process.receive_bytes(expected, self._limits.decode_seconds, self._overdue)
        if len(pixels) != expected:
            raise DecoderCrashError("the decoder sent a picture of the wrong size")
        return Image.frombytes("RGB", size, pixels)

    def _receive_jpeg(
        self, process: DecoderProcess, size: tuple[int, int] | None, edge: int, quality: int
    ) -> Image.Image | None:
        if size is None:
            return None
        if not 0 < max(size) <= edge:
            raise _nonsense()
        # No encoder makes more of noise than the pixels take, and a few tables.
        limit = size[0] * size[1] * len("RGB") + _MAX_JPEG_TABLES
        jpeg = process.receive_bytes(limit, self._limits.decode_seconds, self._overdue)
        image = _opened_jpeg(jpeg, quality)
        if image.size != size:
            raise _nonsense()
        return image

    @contextmanager
    def _asked(self, request: Request, files: Sequence[int]) -> Iterator[DecoderProcess]:
        """A process that has this request, replaced at once if it is not through with it."""
        process = self._send(request, files)
        self._photos += len(files)
        process.busy = True
        try:
            yield process
            process.busy = False
        except _Reported as report:
            process.busy = False
            raise report.error from None
        finally:
            if process.busy:
                self.close()
            self._give_room_back()

    def _send(self, request: Request, files: Sequence[int]) -> DecoderProcess:
        """A process that died while it was idle harmed no photo: the next one gets the request."""
        if self._photos >= self._limits.photos_per_process:
            self.close()
        try:
            process = self._running()
            process.send(request, files)
        except DecoderCrashError:
            self.close()
            process = self._running()
            process.send(request, files)
        return process

    def _running(self) -> DecoderProcess:
        if self._process is None:
            self._process = start_restricted(self._limits)
            self._photos = 0
        return self._process

    def _stalled(self) -> CaptionerError:
        return UnreadableFileError(
            f"the file was not read within {self._limits.read_seconds:g} s: is its disk there?"
        )

    def _overdue(self) -> CaptionerError:
        return DecoderTimeoutError(f"decoding took longer than {self._limits.decode_seconds:g} s")


def _nonsense() -> DecoderCrashError:
    return DecoderCrashError("the decoder sent a JPEG that makes no sense")


def _opened_jpeg(jpeg: bytes, quality: int) -> Image.Image:
    try:
        return open_encoded(jpeg, quality)
    except CorruptImageError:
        raise _nonsense() from None


class _Reported(Exception):
    """The worker is well and reports an error, as opposed to the ways of losing the worker."""

    def __init__(self, error: CaptionerError) -> None:
        super().__init__(str(error))
        self.error = error


def _expect(reply: Reply, kind: type[_ReplyT]) -> _ReplyT:
    if isinstance(reply, Failed):
        raise _Reported(error_of(reply))
    if not isinstance(reply, kind):
        raise DecoderCrashError("the decoder sent a reply that makes no sense")
    return reply


def _loaded_image(loaded: Loaded, image: Image.Image | None) -> LoadedImage:
    return LoadedImage(
        image,
        loaded.content_sha256,
        loaded.size,
        loaded.mtime_ns,
        loaded.width,
        loaded.height,
        loaded.format,
        loaded.truncated,
        loaded.reduced,
    )


def _traits(found: Examined, thumbnail: bytes, clean: bytes | None) -> Traits:
    try:
        best_time(found.metadata.times)
    except ValueError as error:
        raise DecoderCrashError("the decoder sent a reply that makes no sense") from error
    return Traits(found.metadata, found.sharpness, found.perceptual_hash, thumbnail, clean)


def _header_or_error(reply: Reply) -> ImageHeader | CaptionerError:
    if isinstance(reply, Failed):
        return error_of(reply)
    header = _expect(reply, Header)
    return ImageHeader(header.width, header.height, header.format, header.size)


def error_of(failed: Failed) -> CaptionerError:
    """The exception that a decoder reports."""
    kind = _REPORTABLE.get(failed.error, CorruptImageError)
    if issubclass(kind, PhotoError):
        return kind(failed.message, code=failed.code)
    return kind(failed.message)


MAX_DECODERS = 16


def default_decoders() -> int:
    """As many worker processes as there are processors for this process, at most 16."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_DECODERS)
    return min(os.cpu_count() or 1, MAX_DECODERS)
