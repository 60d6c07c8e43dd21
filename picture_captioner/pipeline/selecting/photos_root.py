"""The photos directory: which one it is, and whether it is still there."""

from __future__ import annotations

import errno
import os
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
