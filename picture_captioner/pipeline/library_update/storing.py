"""The two sides of a pass: decoders examine, one thread takes batches through stages and stores.

Each batch is one transaction, after which its photos count.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    LibraryUnreachableError,
    PhotoError,
    PhotoSkipped,
)
from picture_captioner.image_loader.images import (
    ExaminedImage,
    LoadedImage,
    Traits,
    opened_thumbnail,
)
from picture_captioner.image_loader.resizing import reduced
from picture_captioner.library.home import Connection
from picture_captioner.library.ledger import StageRow, is_open
from picture_captioner.library.store import Library
from picture_captioner.library.syncing import InTransaction
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.opening import DiskWatch
from picture_captioner.pipeline.dedup import Claim, Follower, SharedContent
from picture_captioner.pipeline.library_update.kept_images import examine_kept, keep
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import Stage, StagePhoto
from picture_captioner.pipeline.work_queue import Buffer, Item, WorkQueue


class ExaminedPhoto(NamedTuple):
    """A photo that waits for the stages; `seconds` is what reading and decoding took."""

    item: Item
    loaded: LoadedImage
    traits: Traits
    seconds: float


class OpenStages:
    """Which of the chosen stages still have work with a photo.

    Args:
        force: all of them, once in this pass, whatever was done before.
    """

    def __init__(
        self,
        library: Library,
        stages: Sequence[Stage],
        in_transaction: InTransaction | None = None,
        *,
        force: bool = False,
    ) -> None:
        self._library = library
        self._in_transaction = in_transaction or library.run
        self._stages = stages
        self._force = force
        self._forced: set[str] = set()

    def of_file(self, photo: Photo) -> list[Stage]:
        """The stages that are open for a file as the walk saw it."""
        if self._force:
            return list(self._stages)
        seen = (photo.rel_path, photo.size, photo.mtime_ns)
        return self._open(self._in_transaction(lambda _: self._library.ledger.of_file(*seen)))

    def of_content(self, content_sha256: str) -> list[Stage]:
        """The stages that are open for some bytes, wherever they lie."""
        if self._force:
            return [] if content_sha256 in self._forced else list(self._stages)
        return self._open(
            self._in_transaction(lambda _: self._library.ledger.of_content(content_sha256))
        )

    def done(self, content_sha256: str) -> None:
        """Note that a pass that is forced is through with these bytes."""
        if self._force:
            self._forced.add(content_sha256)

    def _open(self, rows: Sequence[StageRow]) -> list[Stage]:
        return [stage for stage in self._stages if is_open(rows, stage.name, stage.version)]


_NO_BYTES = hashlib.sha256().hexdigest()
"""The content of an empty file, which nobody reads to tell."""


@dataclass(frozen=True, eq=False)
class Examining:
    """What each decoder thread does, with a worker process of its own."""

    photos_dir: Path
    edge: int | None
    queue: WorkQueue
    shared: SharedContent
    keeper: Keeper
    library: Library
    disk: DiskWatch
    ready: Buffer[ExaminedPhoto]
    follow_links: bool

    def run(self) -> None:
        """Examine until the queue has nothing more."""
        with Decoder(within=None if self.follow_links else self.photos_dir) as decoder:
            while (item := self.queue.next()) is not None:
                self._examine(decoder, item)

    def _examine(self, decoder: Decoder, item: Item) -> None:
        path = self.photos_dir / item.photo.rel_path
        claim = Claim(self.shared)
        begun = time.perf_counter()
        try:
            examined = self._examined(decoder, path, item, claim)
        except (DecoderCrashError, DecoderTimeoutError) as error:
            self._let_go(claim)
            if item.alone:
                self.keeper.failed(item, Outcome.CORRUPT, error, claim.content_sha256)
            else:
                self.queue.suspect(item)
        except CorruptImageError as error:
            self._let_go(claim)
            content = _NO_BYTES if item.photo.size == 0 else claim.content_sha256
            self.keeper.failed(item, Outcome.CORRUPT, error, content)
        except PhotoSkipped as error:
            self._let_go(claim)
            self.keeper.failed(item, Outcome.UNREADABLE, error)
            self.disk.unreadable()
        else:
            self.disk.readable()
            self._route(item, examined, time.perf_counter() - begun)

    def _examined(self, decoder: Decoder, path: Path, item: Item, claim: Claim) -> ExaminedImage:
        if not self.keeper.needs_photo(item):
            with suppress(LibraryUnreachableError):  # the photo itself will do, too
                found = examine_kept(self.library, decoder, item.photo, self.edge, claim)
                if found is not None:
                    return found
        keeps = self.library.clean_images is not None
        return keep(self.library, decoder.examine(path, self.edge, claim, keep=keeps))

    def _route(self, item: Item, examined: ExaminedImage, seconds: float) -> None:
        loaded, traits = examined.loaded, examined.traits
        if traits is not None:
            self.ready.put(ExaminedPhoto(item, loaded, traits, seconds))
        elif not self.shared.follow(Follower(item, loaded)):
            self.keeper.recognised([Follower(item, loaded)])

    def _let_go(self, claim: Claim) -> None:
        """Copies of a photo that failed are tried themselves."""
        if claim.leads is not None:
            self.queue.put_back(f.item for f in self.shared.release(claim.leads))


_log = logging.getLogger("caption.photo")

LINGER_SECONDS = 0.2
"""How long a batch waits to become full; a GPU is idle meanwhile."""


class _Done(NamedTuple):
    """What a stage brought of a photo, or why it brought nothing, and how long that took."""

    stage: Stage
    photo: StagePhoto
    result: Any | PhotoError
    seconds: float


@dataclass(frozen=True, eq=False)
class Keeper:
    """Computes and stores, then counts a photo. `run` is for one thread, others for any."""

    library: Library
    in_transaction: InTransaction
    stages: Sequence[Stage]
    still_open: OpenStages
    queue: WorkQueue
    shared: SharedContent
    outcomes: Outcomes
    ready: Buffer[ExaminedPhoto]
    batch_size: int

    def run(self) -> None:
        """Store batch after batch until nothing more comes."""
        while batch := self.ready.take(self.batch_size, LINGER_SECONDS):
            self._keep(batch)

    def needs_photo(self, item: Item) -> bool:
        """Whether something is open for which a kept clean image will not do."""
        return any(stage.of_photo for stage in self.still_open.of_file(item.photo))

    def recognised(self, followers: Sequence[Follower]) -> None:
        """Keep where content lies that is known already; what is not, is tried itself."""
        for item, loaded in followers:
            if self.still_open.of_content(loaded.content_sha256):
                self.queue.put_back([item])
                continue
            self.in_transaction(partial(self._save_file, item, loaded))
            self._settle(Outcome.RECOGNISED)

    def failed(
        self,
        item: Item,
        outcome: Outcome,
        error: PhotoError | PhotoSkipped,
        content_sha256: str | None = None,
    ) -> None:
        """Count a photo of which something is missing, and say why.

        Args:
            content_sha256: of a photo that cannot be decoded: all stages failed with it.
        """
        if content_sha256 is not None:
            self._note_undecodable(item, error, content_sha256)
        failure = FailedPhoto(item.photo.rel_path, outcome, error.code, str(error))
        said = {"code": error.code, "message": str(error)}
        _log.warning(
            "photo failed",
            extra={"event": "photo_failed", "rel_path": failure.rel_path, "error": said},
        )
        self.outcomes.fail(failure)
        self.queue.settle()

    def _note_undecodable(
        self, item: Item, error: PhotoError | PhotoSkipped, content_sha256: str
    ) -> None:
        photo, library = item.photo, self.library
        failed = self.still_open.of_content(content_sha256)

        def note(_: Connection) -> None:
            library.facts.save_file(photo.rel_path, photo.size, photo.mtime_ns, content_sha256)
            for stage in failed:
                library.ledger.note(content_sha256, stage.name, stage.version, error=error.code)

        self.in_transaction(note)

    def _keep(self, batch: Sequence[ExaminedPhoto]) -> None:
        wanted = [self.still_open.of_content(e.loaded.content_sha256) for e in batch]
        done: list[_Done] = []
        for stage in self.stages:
            photos = [
                _as_seen_by(stage, examined)
                for examined, stages in zip(batch, wanted, strict=True)
                if stage in stages
            ]
            done += _worked(stage, photos)
        self.in_transaction(partial(self._store, batch, done))
        failed = {
            d.photo.content_sha256: d.result for d in done if isinstance(d.result, PhotoError)
        }
        for examined in batch:
            content = examined.loaded.content_sha256
            self.still_open.done(content)
            if (error := failed.get(content)) is not None:
                self.failed(examined.item, Outcome.MODEL_ERROR, error)
            else:
                self._settle(Outcome.EXAMINED)
            self.recognised(self.shared.release(content))

    def _store(
        self, batch: Sequence[ExaminedPhoto], done: Sequence[_Done], connection: Connection
    ) -> None:
        decoding = {e.loaded.content_sha256: e.seconds for e in batch}
        for item, loaded, _, _ in batch:
            self._save_file(item, loaded, connection)
        for stage, photo, result, seconds in done:
            error = result.code if isinstance(result, PhotoError) else None
            if error is None:
                stage.store(self.library, photo, result)
            content = photo.content_sha256
            took = seconds + (decoding[content] if stage.name == "normalize" else 0.0)
            self.library.ledger.note(content, stage.name, stage.version, error=error, took=took)

    def _save_file(self, item: Item, loaded: LoadedImage, _: Connection) -> None:
        self.library.facts.save_file(
            item.photo.rel_path, loaded.size, loaded.mtime_ns, loaded.content_sha256
        )

    def _settle(self, outcome: Outcome) -> None:
        self.outcomes.settle(outcome)
        self.queue.settle()


def _as_seen_by(stage: Stage, examined: ExaminedPhoto) -> StagePhoto:
    """The photo with its picture at the edge that the stage asks for."""
    item, loaded, traits, _ = examined
    image = None
    if stage.of_thumbnail:
        image = opened_thumbnail(traits.thumbnail)
    elif stage.edge is not None and loaded.image is not None:
        image = reduced(loaded.image, stage.edge)
    return StagePhoto(item.photo.rel_path, loaded, traits, image)


def _worked(stage: Stage, photos: Sequence[StagePhoto]) -> list[_Done]:
    """What a stage brings of these photos, in batches that suit it."""
    done: list[_Done] = []
    for start in range(0, len(photos), stage.batch_size):
        batch = photos[start : start + stage.batch_size]
        begun = time.perf_counter()
        results = _results(stage, batch)
        seconds = (time.perf_counter() - begun) / len(batch)
        done += [_Done(stage, p, r, seconds) for p, r in zip(batch, results, strict=True)]
    return done


def _results(stage: Stage, photos: Sequence[StagePhoto]) -> list[Any | PhotoError]:
    """One result or error for each photo: if a batch fails, its photos are tried one by one."""
    try:
        return list(stage.work(photos))
    except PhotoError as error:
        if len(photos) == 1:
            return [error]
        return [result for photo in photos for result in _results(stage, [photo])]
