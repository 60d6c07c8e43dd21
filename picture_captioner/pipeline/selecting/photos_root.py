"""The photos directory: which one it is, whether it is still there, and whether its disk is."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TypeAlias

from picture_captioner.errors import ConfigurationError, NoPhotosError

FileId: TypeAlias = tuple[int, int]
"""Device and inode."""

_UNUSABLE_ROOT = frozenset({errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG})


def root_id(photos_dir: Path) -> FileId:
    """Which directory this is now; keep it for `ensure_present`.

    It is opened, not only looked at: opening is what makes an automounter mount it.

    Raises:
        ConfigurationError: there is no such directory.
        NoPhotosError: it is there and cannot be read (permission, disk, network).
    """
    try:
        descriptor = os.open(photos_dir, os.O_RDONLY | os.O_DIRECTORY)
    except NotADirectoryError as error:
        hint = "name the directory that holds the photos; for single files use --files-from"
        raise ConfigurationError(f"{photos_dir} is not a directory: {hint}") from error
    except OSError as error:
        if error.errno in _UNUSABLE_ROOT:
            cure = "set it with --photos-dir DIR, or with the line PHOTOS_DIR=DIR in config.env"
            raise ConfigurationError(f"no photos directory at {photos_dir}: {cure}") from error
        raise NoPhotosError(f"cannot read {photos_dir}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return status.st_dev, status.st_ino


def ensure_present(photos_dir: Path, known: FileId) -> None:
    """Check that the photos directory is still the one it was.

    An unmounted disk leaves its mount point behind, an empty directory of another device.

    Raises:
        NoPhotosError: it is gone, unreadable, or another one.
    """
    try:
        now = root_id(photos_dir)
    except (ConfigurationError, NoPhotosError) as error:
        raise NoPhotosError(f"the photos directory went away: {error}") from error
    if now != known:
        raise NoPhotosError(f"{photos_dir} is another directory than before: was it unmounted?")


MAX_UNREADABLE_IN_A_ROW = 20


class DiskWatch:
    """Tells a photo that cannot be read from a disk that went away. Thread-safe.

    It counts photos that could not be read, one after the other.

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
