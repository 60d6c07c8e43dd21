"""The decoders' side of a pass: from a pending photo to facts, pixels or a reason.

`examine_kept` goes by what was kept of a photo, its thumbnail and clean image, not by its bytes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Container
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    LibraryUnreachableError,
    PhotoSkipped,
    UnreadableFileError,
)
from picture_captioner.image_loader import (
    CLEAN_EDGE,
    CLEAN_QUALITY,
    ExaminedImage,
    LoadedImage,
    OpenedPhoto,
    Traits,
    open_encoded,
    roomy,
)
from picture_captioner.library import Library
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.dedup import Claim, Follower, SharedContent
from picture_captioner.pipeline.library_update.storing import ExaminedPhoto, Keeper
from picture_captioner.pipeline.recording.outcomes import Outcome
from picture_captioner.pipeline.selecting.photos_root import DiskWatch
from picture_captioner.pipeline.work_queue import Buffer, Item, WorkQueue

if TYPE_CHECKING:
    from PIL.Image import Image

    from picture_captioner.library import Library
    from picture_captioner.pipeline.decoding.decoder import Decoder
    from picture_captioner.pipeline.selecting.walk import Photo

_END_OF_JPEG = b"\xff\xd9"


def examine_kept(
    library: Library,
    decoder: Decoder,
    photo: Photo,
    edge: int | None,
    known: Container[str],
    jpeg_quality: int | None = None,
    *,
    for_backend: bool = False,
) -> ExaminedImage | None:
    """`Decoder.examine`, by the kept image and what library.db says; None where that will not do.

    Without an `edge` no more than the thumbnail is wanted, so no clean image is needed.

    The photo is not opened: it was looked at under this size and time, and what is found is told of
    those bytes. `known` is asked only if there is an image.

    Raises:
        LibraryError: library.db cannot be read.
    """
    if edge is not None and (library.clean_images is None or edge > CLEAN_EDGE):
        return None
    facts = library.facts(photo.rel_path, photo.size, photo.mtime_ns)
    if facts is None or facts.sharpness is None or facts.perceptual_hash is None:
        return None
    content = facts.content_sha256
    thumbnail = library.thumbnail(content)
    if thumbnail is None:
        return None
    image = None
    if edge is not None and library.clean_images is not None:
        kept = library.clean_images.find(content)
        if kept is None:
            return None
        try:
            image = _pixels(kept, decoder, edge, jpeg_quality, for_backend=for_backend)
        except (CorruptImageError, UnreadableFileError, OSError):
            library.clean_images.drop(content)  # cut off by a power cut, or evicted meanwhile
            return None
    size = (facts.width, facts.height)
    loaded = LoadedImage(image, content, photo.size, photo.mtime_ns, *size, "JPEG")
    if content in known:
        return ExaminedImage(replace(loaded, image=None), None)
    traits = Traits(facts.metadata, facts.sharpness, facts.perceptual_hash, thumbnail)
    return ExaminedImage(loaded, traits)


def keep(library: Library, examined: ExaminedImage) -> ExaminedImage:
    """Keep the clean image of a photo that was decoded, and let go of its bytes."""
    traits = examined.traits
    if library.clean_images is None or traits is None or traits.clean is None:
        return examined
    library.clean_images.save(examined.loaded.content_sha256, traits.clean)
    return replace(examined, traits=replace(traits, clean=None))


def _pixels(
    path: Path, decoder: Decoder, edge: int, jpeg_quality: int | None, *, for_backend: bool
) -> Image | None:
    """The picture; the file's own bytes where these are what is wanted."""
    with path.open("rb") as file:
        if edge == CLEAN_EDGE and jpeg_quality == CLEAN_QUALITY:
            image = open_encoded(file.read(), jpeg_quality)
            if image.info["jpeg"].endswith(_END_OF_JPEG) and roomy(image, edge) is image:
                return image
            file.seek(0)
        photo = OpenedPhoto(file.fileno(), path.suffix)
        return decoder.load(photo, edge, jpeg_quality=jpeg_quality, for_backend=for_backend).image


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
            with suppress(LibraryUnreachableError):  # the photo itself will do, too
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
