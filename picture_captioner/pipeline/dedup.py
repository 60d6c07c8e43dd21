"""Identical content is captioned, or examined, once: the first is the leader, its copies wait.

`ContentIndex` serves captions, `SharedContent` what goes into library.db. `SameShots` are RAW
files, which wait for the photo that was taken with them: `find_shots` tells by two files of one
name that the camera wrote together.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.record import Entry
from picture_captioner.pipeline.selecting.selection import SelectionRules, Source, Sources
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import Item


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

    def forget(self, size: int, content_sha256: str) -> None:
        """The caption for these bytes is withdrawn: no other photo gets it."""
        with self._lock:
            self._finished.get(size, {}).pop(content_sha256, None)


class SameShots:
    """The captions that RAW files take over.

    Args:
        leaders: by the path of a RAW file the photo that was taken with it.
    """

    def __init__(
        self, leaders: Mapping[str, Photo], index: JournalIndex, rules: SelectionRules
    ) -> None:
        self._leaders = leaders
        self._index = index
        self._chain = rules.chain

    def leader(self, rel_path: str) -> Photo | None:
        """The photo that was taken with a RAW file."""
        return self._leaders.get(rel_path)

    def caption(self, rel_path: str) -> Entry | None:
        """The caption of that photo, if this run would have got the same one."""
        leader = self._leaders.get(rel_path)
        entry = self._index.caption(leader.rel_path) if leader is not None else None
        if leader is None or entry is None or not is_real(entry) or entry.size != leader.size:
            return None
        return entry if any(identity.made(entry) for identity in self._chain) else None


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
        self.content_sha256: str | None = None

    def __contains__(self, content_sha256: object) -> bool:
        self.content_sha256 = str(content_sha256)
        if self._shared.lead(str(content_sha256)):
            self.leads = str(content_sha256)
            return False
        return True


_BESIDE_RAW = frozenset({".jpg", ".jpeg", ".heic", ".heif", ".hif"})

_TOGETHER_NS = 60 * 10**9
"""Between the two files' times at most: what was exported later may be cropped."""


def find_shots(photos: Iterable[Photo], raw_suffixes: Collection[str]) -> dict[str, Photo]:
    """The path of each RAW file that was taken together with one other photo, and that photo.

    They lie in one folder, have one name but for the suffix, and were written within a minute.
    """
    raws: dict[str, list[Photo]] = {}
    beside: dict[str, list[Photo]] = {}
    for photo in photos:
        stem, dot, suffix = photo.rel_path.rpartition(".")
        suffix = dot + suffix.lower()
        if suffix in _BESIDE_RAW:
            beside.setdefault(stem, []).append(photo)
        elif suffix in raw_suffixes:
            raws.setdefault(stem, []).append(photo)
    return {
        raw[0].rel_path: beside[stem][0]
        for stem, raw in raws.items()
        if len(raw) == 1
        and len(beside.get(stem, ())) == 1
        and PurePosixPath(stem).name
        and abs(raw[0].mtime_ns - beside[stem][0].mtime_ns) <= _TOGETHER_NS
    }
