"""What runs on a node as Ray actors: its decoders, and the arm that holds a model's process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from picture_captioner.errors import CaptionerError
from picture_captioner.image_loader.images import ExaminedImage
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.messages import Failed, LoadRequest, failure_of
from picture_captioner.workers.starting import start_child, streams

PIECE_BYTES = 1 << 20
PLACE_SECONDS = 60.0
"""To find room for an actor, and to start it: 3 s here for the first."""


class Answer(NamedTuple):
    """A decoded photo as it travels: facts, and its pixels or JPEG as bytes."""

    content_sha256: str | None
    failed: Failed | None = None
    examined: ExaminedImage | None = None
    data: bytes = b""
    size: tuple[int, int] = (0, 0)


class NodeDecoders:
    """What runs on a node as an actor: its decoders, which share one budget of memory."""

    def __init__(self, within: bytes | None) -> None:
        self._within = Path(os.fsdecode(within)) if within is not None else None
        self._idle: list[Decoder] = []

    def sees(self, folder: bytes) -> bool:
        """Whether this node has the photos where the driver has them."""
        return Path(os.fsdecode(folder)).is_dir()

    def decode(self, path: bytes, request: LoadRequest, known: frozenset[str] | None) -> Answer:
        """One photo, by a decoder that has nothing else to do."""
        decoder = self._idle_one()
        asked = _Asked(known)
        try:
            examined = decoder.loaded(Path(os.fsdecode(path)), request, asked)
        except CaptionerError as error:
            return Answer(asked.content_sha256, failure_of(error))
        finally:
            self._idle.append(decoder)
        image, sha256 = examined.loaded.image, examined.loaded.content_sha256
        examined = replace(examined, loaded=replace(examined.loaded, image=None))
        if image is None:
            return Answer(sha256, None, examined)
        return Answer(sha256, None, examined, image.info.get("jpeg") or image.tobytes(), image.size)

    def _idle_one(self) -> Decoder:
        try:
            return self._idle.pop()
        except IndexError:
            return Decoder(within=self._within)


class _Asked:
    """The contents that need no decoding (None: any), and which one was asked for."""

    def __init__(self, known: frozenset[str] | None) -> None:
        self._known = known
        self.content_sha256: str | None = None

    def __contains__(self, content_sha256: object) -> bool:
        self.content_sha256 = str(content_sha256)
        return self._known is None or content_sha256 in self._known


class NodeModel:
    """What runs on a node as an actor: the model's process, and the ends of its pipes."""

    def __init__(self) -> None:
        self._process = start_child()
        self._stdin, self._stdout, self._stderr = streams(self._process)

    def pid(self) -> int:
        """Process number on the node."""
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Hand over what the driver says."""
        while data:
            data = data[os.write(self._stdin.fileno(), data) :]

    def read(self, *, errors: bool) -> bytes:
        """What the process says next; empty at its end."""
        pipe = self._stderr if errors else self._stdout
        return os.read(pipe.fileno(), PIECE_BYTES)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait()

    def kill_group(self) -> None:
        """End it, and what it started."""
        self._process.kill_group()
