"""Telling a photo that cannot be read from a disk that went away."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from picture_captioner.errors import NoPhotosError
from picture_captioner.pipeline.selecting.photos_root import FileId, ensure_present, root_id

MAX_UNREADABLE_IN_A_ROW = 20


class DiskWatch:
    """Counts photos that could not be read, one after the other. Thread-safe.

    `root` is the directory in which the photos were found; without it the one that is there now.
    """

    def __init__(self, photos_dir: Path, root: FileId | None = None) -> None:
        self._photos_dir = photos_dir
        self._root = root or root_id(photos_dir)
        self._unreadable_in_a_row = 0
        self._lock = threading.Lock()

    def readable(self) -> None:
        """A photo was read."""
        self._unreadable_in_a_row = 0

    def unreadable(self) -> None:
        """A photo could not be read. An unmounted disk leaves an empty directory.

        Raises:
            NoPhotosError: the photos went away, or 20 in a row could not be read.
        """
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
