"""Identical content is captioned once: the first is the leader, its copies wait for it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable

from journal import Entry
from pipeline.feed import Item
from pipeline.selection import Source, Sources
from pipeline.walk import Photo


class ContentIndex:
    """Who captions which bytes. Thread-safe.

    Only sizes that occur twice are looked at, in the pending photos or in the journal's sources:
    files of different sizes cannot be identical.
    """

    def __init__(self, sources: Sources, pending: Iterable[Photo]) -> None:
        counts = Counter(photo.size for photo in pending)
        self._repeated = {size for size, count in counts.items() if count > 1}
        self._sources = sources
        self._followers: dict[str, list[Item]] = {}
        self._finished: dict[int, dict[str, Source]] = defaultdict(dict)
        self._lock = threading.Lock()

    def is_known(self, size: int, content_sha256: str) -> bool:
        """Whether the caption for a file of that size and hash is at hand: no need to decode it."""
        with self._lock:
            return content_sha256 in self._sources.get(
                size, ()
            ) or content_sha256 in self._finished.get(size, ())

    def claim(self, item: Item, size: int, content_sha256: str) -> Source | bool:
        """A source to copy from, True if the item is to lead, False if it now follows a leader."""
        with self._lock:
            source = self._sources.get(size, {}).get(content_sha256)
            source = source or self._finished[size].get(content_sha256)
            if source is not None:
                return source
            if size not in self._repeated:
                return True
            if content_sha256 in self._followers:
                self._followers[content_sha256].append(item)
                return False
            self._followers[content_sha256] = []
            return True

    def resolve(self, size: int, content_sha256: str, entry: Entry | None) -> list[Item]:
        """The leader is settled, with this record if it succeeded; its followers are returned."""
        with self._lock:
            followers = self._followers.pop(content_sha256, None)
            if followers is None:
                return []
            if entry is not None:
                # The record's own spelling of the hash: where all files have one size (RAW, BMP),
                # a million others would take 0.1 GB.
                known = entry.content_sha256 or content_sha256
                self._finished[size][known] = Source(entry, moved=False)
            return followers
