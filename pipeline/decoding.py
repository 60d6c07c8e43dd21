"""The decoders' side of a run: from a pending photo to clean pixels, a copy, or a verdict."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import NamedTuple

from PIL.Image import Image

from errors import (
    CorruptImageError,
    DecoderCrashError,
    DecoderTimeoutError,
    NoPhotosError,
    PhotoSkipped,
    UnreadableFileError,
)
from image_loader import LoadedImage
from pipeline.buffer import Buffer
from pipeline.content import ContentIndex
from pipeline.feed import Feed, Item
from pipeline.isolation import IsolatedLoader
from pipeline.recorder import Recorder
from pipeline.selection import Source
from pipeline.walk import ensure_present, root_id

MAX_UNREADABLE_IN_A_ROW = 20


class Decoded(NamedTuple):
    """A photo that waits for the backend."""

    item: Item
    loaded: LoadedImage
    image: Image


class Decoding:
    """What each decoder thread does, with a worker process of its own.

    Args:
        unchanged_if: content hash by path, for photos that are pending only because their file
            looks changed.
    """

    def __init__(
        self,
        photos_dir: Path,
        edge: int,
        feed: Feed,
        content: ContentIndex,
        recorder: Recorder,
        ready: Buffer[Decoded],
        unchanged_if: dict[str, Source],
    ) -> None:
        self._photos_dir = photos_dir
        self._root = root_id(photos_dir)
        self._edge = edge
        self._feed = feed
        self._content = content
        self._recorder = recorder
        self._ready = ready
        self._unchanged_if = unchanged_if
        self._unreadable_in_a_row = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Decode until the feed has nothing more."""
        with IsolatedLoader() as loader:
            while (item := self._feed.next()) is not None:
                self._decode(loader, item)

    def _decode(self, loader: IsolatedLoader, item: Item) -> None:
        path = self._photos_dir / item.photo.rel_path
        try:
            loaded = loader.load(path, self._edge, self._known(item))
        except (DecoderCrashError, DecoderTimeoutError) as error:
            if item.alone:
                self._recorder.corrupt(item, error)
            else:
                self._feed.suspect(item)
        except CorruptImageError as error:
            self._recorder.corrupt(item, error)
        except PhotoSkipped as error:
            self._recorder.skipped(item, error)
            self._check_disk()
        else:
            self._unreadable_in_a_row = 0
            self._route(item, loaded)

    def _known(self, item: Item) -> frozenset[str]:
        known = self._content.known(item.photo.size)
        own = self._unchanged_if.get(item.photo.rel_path)
        if own is not None and own.entry.content_sha256 is not None:
            known |= {own.entry.content_sha256}
        return known

    def _route(self, item: Item, loaded: LoadedImage) -> None:
        own = self._unchanged_if.get(item.photo.rel_path)
        if own is not None and own.entry.content_sha256 == loaded.content_sha256:
            self._recorder.copied(item, loaded, own)
            return
        claim = self._content.claim(item, loaded.size, loaded.content_sha256)
        if isinstance(claim, Source):
            self._recorder.copied(item, loaded, claim)
        elif claim and loaded.image is not None:
            loaded.image.info["full_size"] = (loaded.width, loaded.height)
            self._ready.put(Decoded(item, loaded, loaded.image))
        elif claim:  # another size than the walk saw: its source was looked for under that one
            self._recorder.skipped(item, UnreadableFileError("the file changed during the run"))

    def _check_disk(self) -> None:
        """An unmounted disk leaves an empty directory: that is no verdict on its photos."""
        with self._lock:
            self._unreadable_in_a_row += 1
            in_a_row = self._unreadable_in_a_row
        ensure_present(self._photos_dir, self._root)
        if not _has_entries(self._photos_dir):
            raise NoPhotosError(
                f"the photos directory {self._photos_dir} is empty now: is the disk still "
                "mounted? No photo was marked as broken; run the same command again"
            )
        if in_a_row >= MAX_UNREADABLE_IN_A_ROW:
            raise NoPhotosError(
                f"{in_a_row} photos in a row could not be read below {self._photos_dir}: check "
                "the disk and its permissions. None was marked as broken; then run again"
            )


def _has_entries(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
