"""The decoders' side of a run: from a pending photo to clean pixels, a copy, or a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL.Image import Image

from picture_captioner.errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    PhotoSkipped,
    UnreadableFileError,
)
from picture_captioner.image_loader import LoadedImage
from picture_captioner.journal import Entry
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.dedup import ContentIndex, SameShots
from picture_captioner.pipeline.recording.recorder import Recorder
from picture_captioner.pipeline.selecting.photos_root import DiskWatch, FileId
from picture_captioner.pipeline.selecting.selection import Source
from picture_captioner.pipeline.work_queue import Buffer, Item, WorkQueue

if TYPE_CHECKING:
    from picture_captioner.pipeline.library_update.on_the_way import FactsOnTheWay


class DecodedPhoto(NamedTuple):
    """A photo that waits for the backend."""

    item: Item
    loaded: LoadedImage
    image: Image


MakeDecoder = Callable[[Path | None], Decoder]
"""Makes a thread's decoder, which opens nothing outside of the given directory."""


def decoder_here(within: Path | None) -> Decoder:
    """A decoder process of this machine."""
    return Decoder(within=within)


@dataclass(slots=True)
class Known:
    """The content hashes for which a photo need not be decoded, as an answer to `in`.

    A set of them would be made anew for each photo, and where all files have one size (RAW, BMP) it
    would hold all that were captioned: the cost of a run would grow with the square of the photos.
    """

    content: ContentIndex
    size: int
    own: str | None
    anything: bool = False
    asked: str | None = None

    def __contains__(self, content_sha256: object) -> bool:
        self.asked = str(content_sha256)
        return (
            self.anything
            or content_sha256 == self.own
            or (
                isinstance(content_sha256, str) and self.content.is_known(self.size, content_sha256)
            )
        )


class Decoding:
    """What each decoder thread does, with a worker process of its own.

    Args:
        unchanged_if: content hash by path, for photos that are pending only because their file
            looks changed.
        jpeg_quality: encode the images as well, for backends that send JPEGs.
        allow_reduced: as in `load_image`. Not in a dry run, which proves that photos decode, nor
            where photos are sent away: only the photo itself is sure to show what its owner sees.
        accept_truncated: caption what is left of a picture that ends too early.
        root: as in `DiskWatch`.
        facts: takes what else is found out of a photo that is decoded anyway.
        follow_links: read photos outside of `photos_dir`, too, where links lead there.
        shots: RAW files that wait for the caption of another photo.
        make_decoder: makes what each thread decodes with.
    """

    def __init__(
        self,
        photos_dir: Path,
        edge: int,
        queue: WorkQueue,
        content: ContentIndex,
        recorder: Recorder,
        ready: Buffer[DecodedPhoto],
        unchanged_if: dict[str, Source],
        jpeg_quality: int | None = None,
        *,
        allow_reduced: bool = False,
        accept_truncated: bool = False,
        root: FileId | None = None,
        facts: FactsOnTheWay | None = None,
        follow_links: bool = False,
        shots: SameShots,
        make_decoder: MakeDecoder = decoder_here,
    ) -> None:
        self._photos_dir = photos_dir
        self._within = None if follow_links else photos_dir
        self._disk = DiskWatch(photos_dir, root)
        self._edge = edge
        self._jpeg_quality = jpeg_quality
        self._allow_reduced = allow_reduced
        self._accept_truncated = accept_truncated
        self._queue = queue
        self._content = content
        self._recorder = recorder
        self._ready = ready
        self._unchanged_if = unchanged_if
        self._facts = facts
        self._shots = shots
        self._make_decoder = make_decoder

    def run(self) -> None:
        """Decode until the feed has nothing more."""
        with self._make_decoder(self._within) as loader:
            while (item := self._queue.next()) is not None:
                self._decode(loader, item)

    def _decode(self, loader: Decoder, item: Item) -> None:
        leader = self._shots.leader(item.photo.rel_path)
        if leader is not None and self._queue.wait_for(item, leader.rel_path):
            return
        same_shot = self._shots.caption(item.photo.rel_path)
        known = self._known(item, anything=same_shot is not None)
        try:
            loaded = self._load(loader, item, known)
        except (DecoderCrashError, DecoderTimeoutError) as error:
            if item.alone:
                self._corrupt(item, known, error)
            else:
                self._queue.suspect(item)
        except CorruptImageError as error:
            self._corrupt(item, known, error)
        except PhotoSkipped as error:
            self._recorder.skipped(item, error)
            self._disk.unreadable()
        else:
            self._disk.readable()
            self._route(item, loaded, same_shot)

    def _load(self, loader: Decoder, item: Item, known: Known) -> LoadedImage:
        path, photo = self._photos_dir / item.photo.rel_path, item.photo
        edge, quality, facts = self._edge, self._jpeg_quality, self._facts
        options = {
            "allow_reduced": self._allow_reduced,
            "accept_truncated": self._accept_truncated,
        }
        if known.anything:
            facts = None
        elif facts is not None and not facts.wants(photo):
            if (kept := facts.kept(loader, photo, edge, known, quality)) is not None:
                return kept
            facts = facts if facts.keeps else None
        if facts is None:
            return loader.load(path, edge, known, quality, **options)
        begun = time.perf_counter()
        examined = loader.examine(
            path, edge, known, quality, for_backend=True, keep=facts.keeps, **options
        )
        facts.found(photo, examined, time.perf_counter() - begun)
        return examined.loaded

    def _corrupt(self, item: Item, known: Known, error: CorruptImageError) -> None:
        if self._facts is not None and known.asked is not None:
            self._facts.undecodable(item.photo, known.asked, error)
        self._recorder.corrupt(item, error)

    def _known(self, item: Item, *, anything: bool) -> Known:
        own = self._unchanged_if.get(item.photo.rel_path)
        sha256 = own.entry.content_sha256 if own else None
        return Known(self._content, item.photo.size, sha256, anything)

    def _route(self, item: Item, loaded: LoadedImage, same_shot: Entry | None) -> None:
        own = self._unchanged_if.get(item.photo.rel_path)
        if own is not None and own.entry.content_sha256 == loaded.content_sha256:
            self._recorder.copied(item, loaded, own)
            return
        if same_shot is not None:
            self._recorder.same_shot(item, loaded, same_shot)
            return
        claim = self._content.claim(item, loaded.size, loaded.content_sha256)
        if isinstance(claim, Source):
            self._recorder.copied(item, loaded, claim)
        elif claim and loaded.image is not None:
            loaded.image.info["full_size"] = (loaded.width, loaded.height)
            self._ready.put(DecodedPhoto(item, loaded, loaded.image))
        elif claim:  # another size than the walk saw: its source was looked for under that one
            self._recorder.skipped(item, UnreadableFileError("the file changed during the run"))
