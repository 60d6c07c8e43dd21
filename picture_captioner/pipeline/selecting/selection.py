"""Which photos a run takes, in which order, and which captions are to be had without asking."""

from __future__ import annotations

import enum
import hashlib
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from picture_captioner.errors import Status, UsageError, count
from picture_captioner.journal.fold import Fold, is_real
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.record import Entry, time_of
from picture_captioner.pipeline.selecting.hints import Hints, Tags
from picture_captioner.pipeline.selecting.walk import Photo, path_key

_MAKES_UP = "mock"
"""The backend that does not look at a photo: no other passes one over because of it."""


class Stale(enum.StrEnum):
    """What may have changed since a photo was captioned (`--stale`)."""

    MODEL = "model"
    PROMPT = "prompt"
    CONTENT = "content"


@dataclass(frozen=True)
class HintedPrompts:
    """The hash of the prompt for a photo with hints; the hints are part of the question."""

    hints: Hints
    sha256: Callable[[Tags], str]


@dataclass(frozen=True)
class Identity:
    """Who answers, with which question: two records with the same identity are interchangeable."""

    backend: str
    model: str
    prompt_sha256: str
    placeholder: bool
    hinted: HintedPrompts | None = None

    def prompt_for(self, rel_path: str, content_sha256: str | None) -> str:
        """The hash of the question about this photo."""
        tags = self.hinted.hints.tags(rel_path, content_sha256) if self.hinted else ()
        return self.hinted.sha256(tags) if self.hinted and tags else self.prompt_sha256

    def same_prompt(self, entry: Entry) -> bool:
        """Whether the record answers the question that would be asked now."""
        return entry.prompt_sha256 == self.prompt_for(entry.rel_path, entry.content_sha256)

    def same_model(self, entry: Entry) -> bool:
        """Whether this backend and model answered."""
        return (entry.backend, entry.model) == (self.backend, self.model)

    def made(self, entry: Entry) -> bool:
        """Whether the record came from this backend, model and prompt."""
        return self.same_model(entry) and self.same_prompt(entry)


@dataclass(frozen=True)
class SelectionRules:
    """The flags that decide what is pending.

    `fallbacks` are asked when the first choice fails: their captions are as good as its own.
    `again` are paths that are taken although their last attempt failed, by any status.
    """

    identity: Identity
    fallbacks: tuple[Identity, ...] = ()
    retry_status: frozenset[Status] = frozenset()
    retry_only: bool = False
    stale: frozenset[Stale] = frozenset()
    force: bool = False
    again: frozenset[str] = frozenset()
    overwrite_edits: bool = False
    since: datetime | None = None
    dry_run: bool = False

    @property
    def redoes(self) -> bool:
        """Whether photos may be taken that are done, though their files did not change."""
        return self.force or bool(self.retry_status or self.again or self.stale - {Stale.CONTENT})

    def takes(self, photo: Photo, index: JournalIndex) -> bool:
        """Whether the photo is pending."""
        if self.dry_run:
            return True
        last = index.entries.get(photo.rel_path)
        if last is None or not self.counts(last):
            return not self.retry_only
        if self.since is not None and (self.is_younger(last) or self._goes_round(last)):
            return False
        again = photo.rel_path in self.again and last.status is not Status.SUCCESS
        if self.force or again or last.status in self.retry_status:
            return self.overwrite_edits or not self._is_humans(photo, index)
        if not self.stale or self.retry_only:  # a million records come by here
            return False
        return self.is_stale(photo, index.fold(photo.rel_path))

    def _is_humans(self, photo: Photo, index: JournalIndex) -> bool:
        """Whether a human wrote the caption, and of this very file as far as its size tells."""
        caption = index.caption(photo.rel_path)
        return caption is not None and caption.edited and caption.size in {None, photo.size}

    def counts(self, last: Entry) -> bool:
        """Whether a path's last line means anything to this run.

        A placeholder does only to a placeholder, and what `mock` made up only to `mock`; a caption
        that was withdrawn is to be had again.
        """
        if last.withdrawn or not last.placeholder:
            return not last.withdrawn
        return last.edited or (
            self.identity.placeholder
            and (last.backend != _MAKES_UP or self.identity.backend == _MAKES_UP)
        )

    def _goes_round(self, last: Entry) -> bool:
        """Whether a loop would take it at each restart: no placeholder supersedes it."""
        return self.identity.placeholder and is_real(last)

    def is_younger(self, last: Entry) -> bool:
        """Whether the attempt was made after `--since`."""
        return self.since is not None and (made := time_of(last)) is not None and made >= self.since

    def is_stale(self, photo: Photo, known: Fold[Entry]) -> bool:
        """Whether the caption is out of date in a way that the person asked about.

        Not if this very question about this very file failed since: that is for --retry-status.
        """
        if known.last is None or (known.redo_failed and self._failed_here(photo, known.last)):
            return False
        caption = known.caption
        if caption is not None and self.answer_is_stale(caption):
            return True
        return Stale.CONTENT in self.stale and file_changed(photo, caption or known.last)

    def _failed_here(self, photo: Photo, last: Entry) -> bool:
        asked = any(i.same_model(last) for i in self.chain) and self.identity.same_prompt(last)
        return (asked or last.status is Status.ERROR_CORRUPT) and not file_changed(photo, last)

    def answer_is_stale(self, caption: Entry) -> bool:
        """Whether it came from another model or prompt; nobody's answer outranks a human's."""
        if caption.edited:
            return False
        if Stale.MODEL in self.stale and not any(i.same_model(caption) for i in self.chain):
            return True
        return Stale.PROMPT in self.stale and not self.identity.same_prompt(caption)

    @property
    def chain(self) -> tuple[Identity, ...]:
        """Everybody who may answer."""
        return (self.identity, *self.fallbacks)


def file_changed(photo: Photo, entry: Entry) -> bool:
    """Whether size or mtime differ from the record's; a record that does not say is out of date."""
    return (photo.size, photo.mtime_ns) != (entry.size, entry.mtime_ns)


def of_another_library(photos: Iterable[Photo], index: JournalIndex) -> str | None:
    """A clause that says so, if most of the photos with a caption had another size when captioned.

    Two libraries have names in common (`IMG_0001.JPG`), and their photos would take each other's
    captions. Times say nothing: a library that was copied has new ones.
    """
    compared = differing = 0
    for photo in photos:
        entry = index.entries.get(photo.rel_path)
        if entry is not None and entry.success and entry.size is not None:
            compared += 1
            differing += entry.size != photo.size
    if 2 * differing <= compared:
        return None
    return f"of {count(compared)} that it has a caption of, {differing:,} with another size here"


def known_below(photos_dir: Path, photos: Sequence[Photo], index: JournalIndex) -> str:
    """The folder under which most of these photos are recorded, if it is the one they lie in.

    A part of a library that is taken for a library of its own would double its photos' names.
    """
    where = photos_dir.resolve().as_posix()
    new = {p.rel_path: p.size for p in photos if p.rel_path not in index.entries}
    if 2 * len(new) <= len(photos):
        return ""
    folders = Counter[str]()
    for path, entry in index.entries.items():
        steps = path.split("/")
        for cut in range(1, len(steps)):
            rest = "/".join(steps[cut:])
            if entry.size is not None and new.get(rest) == entry.size:
                folders["/".join(steps[:cut])] += 1
    fits = {folder: n for folder, n in folders.items() if where.endswith(f"/{folder}")}
    folder, known = max(fits.items(), key=lambda item: item[1], default=("", 0))
    return folder if 2 * known > len(photos) else ""


@dataclass
class Pending:
    """The pending photos in order, and what was passed over."""

    photos: list[Photo]
    done: Counter[Status] = field(default_factory=Counter)

    @property
    def done_errors(self) -> int:
        """Photos passed over although they have no caption."""
        return self.done.total() - self.done[Status.SUCCESS]


def select(photos: Iterable[Photo], index: JournalIndex, rules: SelectionRules) -> Pending:
    """Split the photos into pending and done."""
    pending = Pending([])
    success, done = Status.SUCCESS, pending.done
    for photo in photos:
        if rules.takes(photo, index):
            pending.photos.append(photo)
        elif (last := index.entries.get(photo.rel_path)) is not None:
            done[last.status if last.status is success else index.status(last)] += 1
    return pending


@dataclass(frozen=True)
class Portion:
    """The photos of this process, and how many are left for later ones."""

    photos: Sequence[Photo]
    left_by_limit: int
    left_by_restart: int


def cut(
    pending: Pending,
    photos: Iterable[Photo],
    index: JournalIndex,
    rules: SelectionRules,
    limit: int | None,
    restart_every: int | None,
) -> Portion:
    """Apply `--limit`, which counts what was done since `--since`, then `--restart-every`."""
    wanted = len(pending.photos)
    if limit is not None:
        entries = (index.entries.get(photo.rel_path) for photo in photos)
        already = sum(e is not None and rules.counts(e) and rules.is_younger(e) for e in entries)
        wanted = min(wanted, max(limit - already, 0))
    now = min(wanted, restart_every or wanted)
    left_by_limit = len(pending.photos) - wanted
    return Portion(pending.photos[:now], left_by_limit, left_by_restart=wanted - now)


def only_content_may_differ(known: Fold[Entry], rules: SelectionRules) -> Entry | None:
    """What holds of a photo that is pending only because its file looks changed: hashing tells."""
    if known.last is None or not rules.counts(known.last):
        return None
    if Stale.CONTENT not in rules.stale or rules.force or rules.dry_run:
        return None
    if known.last.status in rules.retry_status:
        return None
    entry = known.caption or known.last
    if known.caption is not None and rules.answer_is_stale(entry):
        return None
    return entry if entry.content_sha256 is not None else None


@dataclass(frozen=True, slots=True)
class Source:
    """A record whose caption serves another photo with the same bytes."""

    entry: Entry
    moved: bool


Sources: TypeAlias = dict[int, dict[str, Source]]
"""File size -> content hash -> where its caption is."""


def find_sources(
    pending: Sequence[Photo], index: JournalIndex, rules: SelectionRules, photos_dir: Path
) -> Sources:
    """Records that may caption a pending photo with the same bytes.

    Either this run would have made the same record (same backend, model and prompt), or the
    record's photo is gone and would count as done if it were still there: it was moved. So it is
    where another file took its name since (a series numbered anew), which `--stale content` takes.
    What was rejected for one photo, or withdrawn, is not had back from a copy that kept it.
    """
    if rules.force or rules.dry_run or rules.retry_only:
        return {}
    sizes = {photo.size for photo in pending}
    pending_paths = {photo.rel_path for photo in pending}
    withdrawn = {
        last.content_sha256: last.created_at or ""
        for last in index.entries.values()
        if last.withdrawn and last.content_sha256
    }
    sources: Sources = {}
    for entry in index.captions():
        if (entry.created_at or "") < withdrawn.get(entry.content_sha256 or "", ""):
            continue
        if entry.size not in sizes or not _may_be_copied(entry):
            continue
        gone = entry.rel_path in pending_paths
        if gone and not only_content_may_differ(index.fold(entry.rel_path), rules):
            continue
        same = not rules.identity.placeholder and any(i.made(entry) for i in rules.chain)
        gone = gone or _is_gone(photos_dir, entry.rel_path)
        moved = not rules.answer_is_stale(entry) and gone
        if entry.size is not None and entry.content_sha256 and (same or moved):
            by_hash = sources.setdefault(entry.size, {})
            by_hash[entry.content_sha256] = Source(entry, moved=moved)
    return sources


def _may_be_copied(entry: Entry) -> bool:
    return is_real(entry) and entry.content_sha256 is not None


def _is_gone(photos_dir: Path, rel_path: str) -> bool:
    """Whether a record's photo is no longer there; hostile paths are never looked at."""
    pure = PurePosixPath(rel_path)
    if pure.is_absolute() or ".." in pure.parts:
        return False
    return not os.path.lexists(photos_dir / rel_path)


class Order(enum.StrEnum):
    """In which order photos are worked through (`--order`)."""

    PATH = "path"
    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"


def order_photos(photos: Iterable[Photo], order: Order, seed: int = 0) -> list[Photo]:
    """The photos in another order; of the same age, in path order.

    `RANDOM` is the same for the same seed on every machine, and a photo that is added or done
    leaves the others where they were, so that a restarted run goes on where it stopped.
    """
    ordered = sorted(photos, key=lambda photo: path_key(photo.rel_path))
    if order is not Order.PATH:
        ordered.sort(key=lambda photo: _rank(photo, order, seed))  # stable
    return ordered


def _rank(photo: Photo, order: Order, seed: int) -> int:
    if order is Order.NEWEST:
        return -photo.mtime_ns
    if order is Order.OLDEST:
        return photo.mtime_ns
    name = b"%d/%s" % (seed, os.fsencode(photo.rel_path))
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")


def parse_shard(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4): the second of four shards. Raises `UsageError` for anything else."""
    numbers = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise UsageError(f"--shard {text!r}: write I/N with I from 1 to N, such as 2/4")
    return int(numbers[1]), int(numbers[2])


def in_shard(rel_path: str, index: int, count: int) -> bool:
    """Whether a photo belongs to shard `index` (from 1) of `count`.

    By CRC-32 of the path's bytes: every machine agrees, whatever else it has on its disk.
    """
    return zlib.crc32(os.fsencode(rel_path)) % count == index - 1
