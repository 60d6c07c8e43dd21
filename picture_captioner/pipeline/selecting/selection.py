"""Which photos a run takes, and where a caption is to be had without asking anyone."""

from __future__ import annotations

import enum
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from picture_captioner.errors import Status
from picture_captioner.journal import Entry, JournalIndex, parse_time
from picture_captioner.pipeline.selecting.hints import Hints, Tags
from picture_captioner.pipeline.selecting.walk import Photo

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
    """

    identity: Identity
    fallbacks: tuple[Identity, ...] = ()
    retry_status: frozenset[Status] = frozenset()
    retry_only: bool = False
    stale: frozenset[Stale] = frozenset()
    force: bool = False
    since: datetime | None = None
    dry_run: bool = False

    def takes(self, photo: Photo, entry: Entry | None) -> bool:
        """Whether the photo is pending, given its effective record."""
        if self.dry_run:
            return True
        if entry is None or not self.counts(entry):
            return not self.retry_only
        if self.is_younger(entry) or self._goes_round(entry):
            return False
        if self.force or entry.status in self.retry_status:
            return True
        return not self.retry_only and self.is_stale(photo, entry)

    def counts(self, entry: Entry) -> bool:
        """Whether the record means anything to this run.

        A placeholder does only to a placeholder, and what `mock` made up only to `mock`.
        """
        if not entry.placeholder:
            return True
        return self.identity.placeholder and (
            entry.backend != _MAKES_UP or self.identity.backend == _MAKES_UP
        )

    def _goes_round(self, entry: Entry) -> bool:
        """Whether a loop would take it at each restart: no placeholder supersedes it."""
        return self.since is not None and self.identity.placeholder and not entry.placeholder

    def is_younger(self, entry: Entry) -> bool:
        """Whether the record was made after `--since`."""
        if self.since is None or entry.created_at is None:
            return False
        try:
            return parse_time(entry.created_at) >= self.since
        except ValueError:
            return False

    def is_stale(self, photo: Photo, entry: Entry) -> bool:
        """Whether the record is out of date in a way that the person asked about."""
        if not self.stale:  # nobody asked; a million records come by here
            return False
        return self.answer_is_stale(entry) or (
            Stale.CONTENT in self.stale and file_changed(photo, entry)
        )

    def answer_is_stale(self, entry: Entry) -> bool:
        """Whether the caption came from another model or prompt; errors are not captions."""
        if not (self.stale and entry.success):
            return False
        if Stale.MODEL in self.stale and not any(i.same_model(entry) for i in self.chain):
            return True
        return Stale.PROMPT in self.stale and not self.identity.same_prompt(entry)

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
    return f"{differing:,} of {compared:,} photos that it has a caption of have another size here"


@dataclass
class Selection:
    """The pending photos in order, and what was passed over."""

    pending: list[Photo]
    done: Counter[Status] = field(default_factory=Counter)

    @property
    def done_errors(self) -> int:
        """Photos passed over although they have no caption."""
        return self.done.total() - self.done[Status.SUCCESS]


def select(photos: Iterable[Photo], index: JournalIndex, rules: SelectionRules) -> Selection:
    """Split the photos into pending and done."""
    selection = Selection(pending=[])
    for photo in photos:
        entry = index.entries.get(photo.rel_path)
        if rules.takes(photo, entry):
            selection.pending.append(photo)
        elif entry is not None:
            selection.done[entry.status] += 1
    return selection


@dataclass(frozen=True)
class Batch:
    """The photos of this process, and how many are left for later ones."""

    photos: Sequence[Photo]
    left_by_limit: int
    left_by_restart: int


def cut(
    selection: Selection,
    photos: Iterable[Photo],
    index: JournalIndex,
    rules: SelectionRules,
    limit: int | None,
    restart_every: int | None,
) -> Batch:
    """Apply `--limit`, which counts what was done since `--since`, then `--restart-every`."""
    pending = selection.pending
    wanted = len(pending)
    if limit is not None:
        entries = (index.entries.get(photo.rel_path) for photo in photos)
        already = sum(entry is not None and rules.is_younger(entry) for entry in entries)
        wanted = min(wanted, max(limit - already, 0))
    now = min(wanted, restart_every or wanted)
    return Batch(pending[:now], left_by_limit=len(pending) - wanted, left_by_restart=wanted - now)


def only_content_may_differ(entry: Entry | None, rules: SelectionRules) -> bool:
    """Whether the photo is pending only because its file looks changed: its hash will tell."""
    if entry is None or not rules.counts(entry):
        return False
    if Stale.CONTENT not in rules.stale or rules.force or rules.dry_run:
        return False
    retried = entry.status in rules.retry_status
    return not retried and not rules.answer_is_stale(entry) and entry.content_sha256 is not None


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
    record's photo is gone and would count as done if it were still there: it was moved.
    """
    if rules.force or rules.dry_run or rules.retry_only:
        return {}
    sizes = {photo.size for photo in pending}
    pending_paths = {photo.rel_path for photo in pending}
    sources: Sources = {}
    for entry in index.entries.values():
        if entry.size not in sizes or not _may_be_copied(entry) or entry.rel_path in pending_paths:
            continue
        same = not rules.identity.placeholder and any(i.made(entry) for i in rules.chain)
        moved = not rules.answer_is_stale(entry) and _is_gone(photos_dir, entry.rel_path)
        if entry.size is not None and entry.content_sha256 and (same or moved):
            by_hash = sources.setdefault(entry.size, {})
            by_hash[entry.content_sha256] = Source(entry, moved=moved)
    return sources


def _may_be_copied(entry: Entry) -> bool:
    return entry.success and not entry.placeholder and entry.content_sha256 is not None


def _is_gone(photos_dir: Path, rel_path: str) -> bool:
    """Whether a record's photo is no longer there; hostile paths are never looked at."""
    pure = PurePosixPath(rel_path)
    if pure.is_absolute() or ".." in pure.parts:
        return False
    return not os.path.lexists(photos_dir / rel_path)
