"""Clean images kept beside library.db: small JPEGs, upright, in sRGB, named by content.

A cache, of which anything may be deleted at any time. It is bounded; what was kept or used longest
ago goes first, down to the bound as soon as a pass begins. What this pass kept or used then stays,
and no more is kept: a pass over more photos than fit would else throw each image away shortly
before the next pass asks for it.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from picture_captioner.errors import LibraryError
from picture_captioner.journal.durable import has_room

GIGABYTE = 10**9
_HASH = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".new"


def folder_of(library_path: Path) -> Path:
    """Where the clean images of a library lie; `walk_photos` passes over folders of this name."""
    return library_path.with_name(f"{library_path.name}.clean-images")


class CleanImages:
    """The folder, with at most `most_bytes` in it. Thread-safe; its failure is nobody's failure.

    `notice` is told once why nothing more is kept.
    """

    def __init__(self, library_path: Path, most_bytes: int, notice: Callable[[str], None]) -> None:
        self._folder = folder_of(library_path)
        self._most = most_bytes
        self._notice = notice
        self._began = math.inf
        self._lock = threading.Lock()
        self._older: deque[tuple[Path, int]] | None = None
        self._bytes = 0
        self._given_up = False
        self._shrink()
        self._began = time.time()

    @classmethod
    def up_to(cls, gigabytes: float, library: Path, notice: Callable[[str], None]) -> Self | None:
        """Those beside the library, up to so many GB; None if none are to be kept."""
        most = round(gigabytes * GIGABYTE)
        return cls(library, most, notice) if most else None

    def find(self, content_sha256: str) -> Path | None:
        """The image of this content, which counts as used now; None if there is none."""
        path = self._path(content_sha256)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def save(self, content_sha256: str, jpeg: bytes) -> None:
        """Keep an image, whole or not at all, if there is or can be made room for it."""
        path = self._path(content_sha256)
        with self._lock:
            try:
                if not self._given_up and not path.exists() and self._made_room(len(jpeg)):
                    _write(path, jpeg)
                    self._bytes += len(jpeg)
            except OSError as error:
                self._give_up(error)

    def _shrink(self) -> None:
        try:
            if self._folder.is_dir():
                self._made_room(0)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._given_up = True
        self._notice(f"cannot keep clean images in {self._folder}: {error.strerror}")

    def drop(self, content_sha256: str) -> None:
        """Take out an image that is no use."""
        try:
            self._path(content_sha256).unlink(missing_ok=True)
        except OSError as error:
            self._give_up(error)

    def _path(self, content_sha256: str) -> Path:
        if not _HASH.fullmatch(content_sha256):  # it came out of a decoder
            raise ValueError("not the SHA-256 of a photo")
        return self._folder / f"{content_sha256}.jpg"

    def _made_room(self, size: int) -> bool:
        if self._older is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            found = [(e.stat(follow_symlinks=False), e.path) for e in os.scandir(self._folder)]
            self._bytes = sum(status.st_size for status, _ in found)
            found.sort(key=lambda one: one[0].st_mtime)
            self._older = deque((Path(path), status.st_size) for status, path in found)
        while self._bytes + size > self._most and self._older:
            oldest, its_size = self._older.popleft()
            try:
                if oldest.stat().st_mtime >= self._began:
                    continue  # used since
                oldest.unlink()
            except FileNotFoundError:  # dropped since, as no use
                pass
            self._bytes -= its_size
        return self._bytes + size <= self._most and has_room(self._folder)


def _write(path: Path, jpeg: bytes) -> None:
    unfinished = path.with_suffix(_UNFINISHED)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(jpeg)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def kept_clean_images(library_path: Path) -> tuple[int, int]:
    """How many images are kept, and their bytes."""
    try:
        sizes = [entry.stat().st_size for entry in os.scandir(folder_of(library_path))]
    except OSError:
        return 0, 0
    return len(sizes), sum(sizes)


def forget_clean_images(library_path: Path, hashes: Iterable[str]) -> None:
    """Delete the images of these contents, and what a process that was killed left unfinished.

    Raises:
        LibraryError: one cannot be deleted.
    """
    folder = folder_of(library_path)
    names = [f"{content_sha256}.jpg" for content_sha256 in filter(_HASH.fullmatch, hashes)]
    try:
        for path in (*(folder / name for name in names), *folder.glob(f"*{_UNFINISHED}")):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LibraryError(
            f"cannot delete {error.filename}: {error.strerror}; make {folder} writable and run the "
            "same command again"
        ) from error
