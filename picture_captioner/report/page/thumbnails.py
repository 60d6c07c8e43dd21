"""The folder of thumbnails beside the page.

A file is named by the SHA-256 of its bytes, so a thumbnail that did not change is already there
and equal ones are one file. Files appear under their name only when they are whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from picture_captioner.journal.durable import make_folders

DIGEST_BYTES = 10
"""Of the SHA-256: 80 bits keep apart more photos than anyone has."""

SHARD_NAME = re.compile(r"[0-9a-f]{2}")
FILE_NAME = re.compile(rf"([0-9a-f]{{{2 * DIGEST_BYTES}}})\.webp(\.new)?")
NO_THUMBNAIL = bytes(DIGEST_BYTES)


class ThumbnailFolder:
    """The thumbnails of one report: `add` all, replace the page, then `sweep`.

    Raises:
        OSError: the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes = {f.name: f.stat().st_size for f in self._files() if f.suffix == ".webp"}
        self._used: set[str] = set()

    def add(self, data: bytes | None) -> bytes:
        """Keep a thumbnail; returns its digest, or `NO_THUMBNAIL` if `data` is no WebP file."""
        if data is None or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
            return NO_THUMBNAIL
        digest = hashlib.sha256(data).digest()[:DIGEST_BYTES]
        name = f"{digest.hex()}.webp"
        if name not in self._used:
            self._used.add(name)
            if self._sizes.get(name) != len(data):
                self._write(name, data)
        return digest

    def sweep(self) -> None:
        """Remove thumbnails that `add` was not given, and what a killed run left unfinished."""
        for file in self._files():
            if file.name not in self._used:
                file.unlink(missing_ok=True)
        for shard in self._shards():
            if not any(shard.iterdir()):
                shard.rmdir()

    def _write(self, name: str, data: bytes) -> None:
        shard = self._folder / name[:2]
        make_folders(shard)
        unfinished = shard / f"{name}.new"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        unfinished.replace(shard / name)

    def _shards(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [s for s in self._folder.iterdir() if SHARD_NAME.fullmatch(s.name) and s.is_dir()]

    def _files(self) -> Iterator[Path]:
        """Files that this class has written, and no others."""
        for shard in self._shards():
            yield from (f for f in list(shard.iterdir()) if FILE_NAME.fullmatch(f.name))
