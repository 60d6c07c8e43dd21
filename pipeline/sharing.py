"""Identical photos are examined once: the first leads, the others wait for what becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from image_loader import LoadedImage
from pipeline.feed import Item


class Follower(NamedTuple):
    """A photo with the bytes of one that is under way."""

    item: Item
    loaded: LoadedImage


class SharedContent:
    """Who is at work on which bytes. Thread-safe.

    Args:
        is_known: whether everything about a content hash is stored already.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._under_way: dict[str, list[Follower]] = {}
        self._lock = threading.Lock()

    def lead(self, content_sha256: str) -> bool:
        """Whether the caller is the one to do it; it must `release` the hash afterwards."""
        with self._lock:
            # In this order: a leader stores before it releases.
            if content_sha256 in self._under_way or self._is_known(content_sha256):
                return False
            self._under_way[content_sha256] = []
            return True

    def follow(self, follower: Follower) -> bool:
        """Wait for the leader; False if there is none any more."""
        with self._lock:
            waiting = self._under_way.get(follower.loaded.content_sha256)
            if waiting is None:
                return False
            waiting.append(follower)
            return True

    def release(self, content_sha256: str) -> list[Follower]:
        """The leader is through, well or not; who waited for it."""
        with self._lock:
            return self._under_way.pop(content_sha256, [])


class Claim:
    """The set of known hashes, as the loader asks it for one photo: asking takes the lead."""

    def __init__(self, shared: SharedContent) -> None:
        self._shared = shared
        self.leads: str | None = None

    def __contains__(self, content_sha256: object) -> bool:
        if self._shared.lead(str(content_sha256)):
            self.leads = str(content_sha256)
            return False
        return True
