"""The decoders' side of a pass: from a pending photo to facts, pixels or a reason."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from picture_captioner.errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    PhotoSkipped,
)
from picture_captioner.image_loader import ExaminedImage
from picture_captioner.library import Library
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.disk_watch import DiskWatch
from picture_captioner.pipeline.decoding.kept import examine_kept, keep
from picture_captioner.pipeline.dedup import Claim, Follower, SharedContent
from picture_captioner.pipeline.library_update.storing import ExaminedPhoto, Keeper
from picture_captioner.pipeline.recording.outcomes import Outcome
from picture_captioner.pipeline.work_queue import Buffer, Item, WorkQueue

_NO_BYTES = hashlib.sha256().hexdigest()
"""The content of an empty file, which nobody reads to tell."""


class Examining:
    """What each decoder thread does, with a worker process of its own."""

    def __init__(
        self,
        photos_dir: Path,
        edge: int | None,
        queue: WorkQueue,
        shared: SharedContent,
        keeper: Keeper,
        library: Library,
        disk: DiskWatch,
        ready: Buffer[ExaminedPhoto],
        *,
        follow_links: bool,
    ) -> None:
        self._photos_dir = photos_dir
        self._within = None if follow_links else photos_dir
        self._edge = edge
        self._queue = queue
        self._shared = shared
        self._keeper = keeper
        self._library = library
        self._disk = disk
        self._ready = ready

    def run(self) -> None:
        """Examine until the queue has nothing more."""
        with Decoder(within=self._within) as loader:
            while (item := self._queue.next()) is not None:
                self._examine(loader, item)

    def _examine(self, loader: Decoder, item: Item) -> None:
        path = self._photos_dir / item.photo.rel_path
        claim = Claim(self._shared)
        begun = time.perf_counter()
        try:
            examined = self._examined(loader, path, item, claim)
        except (DecoderCrashError, DecoderTimeoutError) as error:
            self._let_go(claim)
            if item.alone:
                self._keeper.failed(item, Outcome.CORRUPT, error, claim.content_sha256)
            else:
                self._queue.suspect(item)
        except CorruptImageError as error:
            self._let_go(claim)
            content = _NO_BYTES if item.photo.size == 0 else claim.content_sha256
            self._keeper.failed(item, Outcome.CORRUPT, error, content)
        except PhotoSkipped as error:
            self._let_go(claim)
            self._keeper.failed(item, Outcome.UNREADABLE, error)
            self._disk.unreadable()
        else:
            self._disk.readable()
            self._route(item, examined, time.perf_counter() - begun)

    def _examined(self, loader: Decoder, path: Path, item: Item, claim: Claim) -> ExaminedImage:
        if not self._keeper.needs_photo(item):
            found = examine_kept(self._library, loader, item.photo, self._edge, claim)
            if found is not None:
                return found
        keeps = self._library.clean_images is not None
        return keep(self._library, loader.examine(path, self._edge, claim, keep=keeps))

    def _route(self, item: Item, examined: ExaminedImage, seconds: float) -> None:
        loaded, traits = examined.loaded, examined.traits
        if traits is not None:
            self._ready.put(ExaminedPhoto(item, loaded, traits, seconds))
        elif not self._shared.follow(Follower(item, loaded)):
            self._keeper.recognised([Follower(item, loaded)])

    def _let_go(self, claim: Claim) -> None:
        """Copies of a photo that failed are tried themselves."""
        if claim.leads is not None:
            self._queue.put_back(f.item for f in self._shared.release(claim.leads))
