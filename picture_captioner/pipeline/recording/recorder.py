"""Makes the record of what became of a photo, writes it, then counts it: never in another order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, NamedTuple

from picture_captioner.backends.base import Caption
from picture_captioner.backends.fields import OUTSIDE
from picture_captioner.backends.usage import MAX_NAME, believable
from picture_captioner.errors import (
    MAX_ERROR_MESSAGE,
    CorruptImageError,
    PhotoError,
    PhotoSkipped,
    Status,
    TransientError,
    Usage,
)
from picture_captioner.foreign_text import all_without_secrets, clean
from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.record import Entry, Record, RecordError, utc_now, utc_text
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.circuit_breaker import UNKNOWN, Withheld
from picture_captioner.pipeline.dedup import ContentIndex
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome, Outcomes
from picture_captioner.pipeline.selecting.selection import Identity, Source
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import Item, WorkQueue


class SeenBytes(NamedTuple):
    """A file's bytes as somebody saw them who has no picture of them."""

    content_sha256: str
    size: int
    mtime_ns: int
    truncated: bool = False


def success_record(
    photo: Photo,
    loaded: LoadedImage | SeenBytes,
    caption: Caption,
    identity: Identity,
    latency_ms: int | None,
) -> Record:
    """The record of a captioned photo."""
    record = Record(
        rel_path=photo.rel_path,
        caption=caption.text,
        status=Status.SUCCESS,
        placeholder=identity.placeholder,
        truncated=loaded.truncated,
        backend=identity.backend,
        model=identity.model,
        model_version=caption.model_version,
        prompt_sha256=identity.prompt_for(photo.rel_path, loaded.content_sha256),
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        latency_ms=latency_ms,
        created_at=utc_now(),
        extra=_extra(caption),
        **_spent(caption.usage, Status.SUCCESS),
    )
    return _cleaned(record)


def _spent(usage: Usage, status: Status) -> Usage:
    """The usage for a record; that all or none of its requests have a price needs no words."""
    all_of_them = "cost_usd" not in usage and status.was_answered
    if usage.get("unpriced_requests", 0) == (usage.get("requests", 0) if all_of_them else 0):
        usage.pop("unpriced_requests", None)
    return usage


def _extra(caption: Caption) -> dict[str, Any]:
    """The structured fields. Of tags that a vocabulary refused only the number is kept."""
    fields = dict(caption.fields)
    if outside := fields.pop(OUTSIDE, None):
        fields[OUTSIDE] = len(outside)
    return fields


_OURS = {"rel_path", "status", "error", "backend", "model", "prompt_sha256", "content_sha256"}
"""Fields that hold no word of a server's; an error's message is cleaned where it is made."""

_THEIRS = tuple(field.name for field in fields(Record) if field.name not in _OURS)


def _cleaned(record: Record) -> Record:
    """The record without a key in whatever a server said, in a field of today or of tomorrow.

    A name in which one was, or that is none by its length, may be of any length: it is cut.
    """
    said: dict[str, Any] = {}
    for name in _THEIRS:
        value = getattr(record, name)
        if isinstance(value, str | dict):
            cleaned = all_without_secrets(value)
            if isinstance(cleaned, str) and name != "caption":
                cleaned = cleaned[:MAX_NAME]
            if cleaned != value:
                said[name] = cleaned
    return replace(record, **said) if said else record


def failure_record(
    photo: Photo,
    loaded: LoadedImage | SeenBytes,
    error: PhotoError | TransientError,
    identity: Identity,
    latency_ms: int | None,
    spent: Usage | None = None,
) -> Record:
    """The record of a photo for which the backend gave no caption.

    `spent` is what it cost in all, if not only for this verdict.
    """
    if spent is None:
        spent = error.usage if isinstance(error, PhotoError) else Usage()
    status = error.status if isinstance(error, PhotoError) else Status.ERROR_API
    record = Record(
        rel_path=photo.rel_path,
        caption=None,
        status=status,
        error=RecordError(error.code, clean(str(error), MAX_ERROR_MESSAGE)),
        placeholder=identity.placeholder,
        truncated=loaded.truncated,
        backend=identity.backend,
        model=identity.model,
        prompt_sha256=identity.prompt_for(photo.rel_path, loaded.content_sha256),
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        latency_ms=latency_ms,
        created_at=utc_now(),
        **_spent(believable(spent), status),
    )
    return _cleaned(record)


def corrupt_record(photo: Photo, error: CorruptImageError) -> Record:
    """The image loader's verdict: real whatever the backend, and made by none."""
    return Record(
        rel_path=photo.rel_path,
        caption=None,
        status=Status.ERROR_CORRUPT,
        error=RecordError.of(error),
        size=photo.size,
        mtime_ns=photo.mtime_ns,
        created_at=utc_now(),
    )


SAME_BYTES, SAME_SHOT = "same_bytes", "same_shot"
"""Why a caption was copied: the files are one, or a RAW and the JPEG that was taken with it."""


def copied_record(
    photo: Photo, loaded: LoadedImage | SeenBytes, source: Record, because: str = SAME_BYTES
) -> Record:
    """The caption of a photo with the same bytes, or of the same shot, at no cost."""
    return replace(
        source.without_cost(),
        rel_path=photo.rel_path,
        copied_from=source.rel_path,
        copied_because=because,
        content_sha256=loaded.content_sha256,
        size=loaded.size,
        mtime_ns=loaded.mtime_ns,
        batch=False,
        batch_job=None,
        created_at=utc_now(),
    )


_log = logging.getLogger("caption.photo")

_OVERWRITTEN = RecordError("rejected", "a human's caption, overwritten on request")
_UNSEEN = RecordError("no_image", "the same text for photos that look nothing alike")

_OUTCOMES = {
    Status.ERROR_CORRUPT: Outcome.CORRUPT,
    Status.ERROR_API: Outcome.API_ERROR,
    Status.ERROR_MODEL: Outcome.MODEL_ERROR,
}


class Captioned(NamedTuple):
    """A photo with its caption, ready to be written."""

    item: Item
    loaded: LoadedImage
    record: Record


class Recorder:
    """Settles photos: journal first, then followers, tally and feed. Thread-safe.

    In a dry run only what is new is written, and marked: placeholders where there is no record,
    verdicts of the image loader where there is no real one. Nothing is dated before `not_before`,
    whatever the clock says.
    """

    def __init__(
        self,
        journal: Journal,
        content: ContentIndex,
        queue: WorkQueue,
        outcomes: Outcomes,
        *,
        dry_run: bool,
        not_before: datetime | None = None,
    ) -> None:
        self._journal = journal
        self._content = content
        self._queue = queue
        self._outcomes = outcomes
        self._dry_run = dry_run
        self._not_before = "" if not_before is None else utc_text(not_before)

    def captioned(self, done: Sequence[Captioned]) -> None:
        """Write captions (one group), and give each to the photos with the same bytes."""
        self._write([r for c in done for r in (*self._withdrawn(c.record), c.record)])
        for item, loaded, record in done:
            if self._dry_run:
                self._note_mended(item)
            entry = self._journal.index.entries.get(record.rel_path)
            followers = self._content.resolve(loaded.size, loaded.content_sha256, entry)
            self._write([_follower_record(f, loaded, record) for f in followers])
            self._settle(Outcome.OPENED if self._dry_run else Outcome.CAPTIONED, item)
            for follower in followers:
                self._settle(Outcome.COPIED, follower)

    def _withdrawn(self, record: Record) -> list[Record]:
        """The line that ends a human's caption; only `--overwrite-edits` lets a run get here."""
        caption = self._journal.index.caption(record.rel_path)
        if self._dry_run or caption is None or not caption.edited:
            return []
        if caption.content_sha256 not in {None, record.content_sha256}:
            return []  # of an older file: it ends by itself
        return [record.withdrawal(_OVERWRITTEN)]

    def copied(self, item: Item, loaded: LoadedImage, source: Source) -> None:
        """Give a photo the caption of one with the same bytes; itself, if only its date changed."""
        if source.entry.rel_path == item.photo.rel_path:
            self._settle(Outcome.UNCHANGED, item)
            return
        leader = self._journal.read_record(source.entry)
        copy = copied_record(item.photo, loaded, leader)
        self._write([copy])
        now = self._journal.index.entries.get(leader.rel_path)
        if now is not None and now.withdrawn and not source.entry.withdrawn:
            self._write([copy.withdrawal(_UNSEEN)])  # while it was being copied
        self._settle(Outcome.MOVED if source.moved else Outcome.COPIED, item)

    def same_shot(self, item: Item, loaded: LoadedImage, entry: Entry) -> None:
        """Give a RAW file the caption of the photo that was taken with it."""
        record = self._journal.read_record(entry)
        self._write([copied_record(item.photo, loaded, record, SAME_SHOT)])
        self._settle(Outcome.COPIED, item)

    def release(self, verdicts: Sequence[Withheld]) -> None:
        """Photos that the backend failed: nobody waits for them, their copies are tried themselves.

        What becomes of them is told later, by `failed` or `dropped`.
        """
        for verdict in verdicts:
            record = verdict.record
            if record.size is not None and record.content_sha256 is not None:
                followers = self._content.resolve(record.size, record.content_sha256, None)
                self._queue.put_back(followers)
            self._queue.settle(verdict.item)

    def deferred(self, items: Sequence[tuple[Item, LoadedImage]]) -> None:
        """Photos that a service failed which may be down: they are asked about again, later."""
        for item, loaded in items:
            self._queue.put_back(self._content.resolve(loaded.size, loaded.content_sha256, None))
            self._queue.defer(item)

    def failed(self, verdicts: Sequence[Withheld]) -> None:
        """Write the backend's verdicts."""
        self._write([v.record for v in verdicts])
        for item, record, error in verdicts:
            self._tell(item, _OUTCOMES[record.status], error.code, str(error))

    def withdraw(self, captions: Sequence[Record]) -> None:
        """Take back captions of this run, and the copies of them: the model did not see the photos.

        The next run asks about these photos again.
        """
        if not captions:
            return
        leaders = {record.rel_path: record for record in captions}
        for record in captions:
            self._content.forget(record.size or 0, record.content_sha256 or "")
        # First the captions, then the copies: who copies one meanwhile looks after it wrote.
        self._write([record.withdrawal(_UNSEEN) for record in captions])
        copies = [
            entry.rel_path
            for entry in list(self._journal.index.entries.values())
            if entry.success
            and (leader := leaders.get(entry.copied_from or "")) is not None
            and (entry.content_sha256 == leader.content_sha256 or self._is_shot(entry, leader))
        ]
        sources = {path: self._journal.index.entries[path].copied_from or "" for path in copies}
        self._write(
            [
                replace(leaders[source], rel_path=path).withdrawal(_UNSEEN)
                for path, source in sources.items()
            ]
        )
        self._outcomes.withdrawn(len(leaders), len(copies))

    def _is_shot(self, entry: Entry, leader: Record) -> bool:
        """Whether this copy was made of this very caption, for a RAW file."""
        made = self._journal.read_record(entry)
        return made.copied_because == SAME_SHOT and made.caption == leader.caption

    def dropped(self, verdicts: Sequence[Withheld]) -> None:
        """Count photos whose verdict was never proved: of what was billed a line is kept.

        Ceilings go by it. The line is withdrawn, so that the next run asks about the photo again,
        unless that would take an older caption along.
        """
        billed = [v.record for v in verdicts if v.record.requests and v.error.code != UNKNOWN]
        index = self._journal.index
        self._write([replace(r, withdrawn=index.caption(r.rel_path) is None) for r in billed])
        for item, _, error in verdicts:
            self._tell(item, Outcome.WITHHELD, error.code, str(error))

    def corrupt(self, item: Item, error: CorruptImageError) -> None:
        """Write the image loader's verdict."""
        self._write([corrupt_record(item.photo, error)])
        self._tell(item, Outcome.CORRUPT, error.code, str(error))
        self._queue.settle(item)

    def skipped(self, item: Item, error: PhotoSkipped) -> None:
        """Count a photo about which nothing can be said."""
        self._tell(item, Outcome.UNREADABLE, error.code, str(error))
        self._queue.settle(item)

    def _write(self, records: Sequence[Record]) -> None:
        if self._dry_run:
            records = [replace(r, dry_run=True) for r in records if self._is_news(r)]
        self._journal.append(*(self._dated(record) for record in records))

    def _dated(self, record: Record) -> Record:
        made = record.created_at or ""
        return record if made >= self._not_before else replace(record, created_at=self._not_before)

    def _is_news(self, record: Record) -> bool:
        index = self._journal.index
        known = index.entries.get(record.rel_path) or index.rehearsed.get(record.rel_path)
        return known is None or (not is_real(known) and is_real(record))

    def _note_mended(self, item: Item) -> None:
        known = self._journal.index.entries.get(item.photo.rel_path)
        if known is not None and known.status is Status.ERROR_CORRUPT:
            self._outcomes.mended.append(item.photo.rel_path)

    def _tell(self, item: Item, outcome: Outcome, code: str, message: str) -> None:
        failure = FailedPhoto(item.photo.rel_path, outcome, code, message)
        said = {"code": code, "message": message}
        _log.warning(
            "photo failed",
            extra={"event": "photo_failed", "rel_path": failure.rel_path, "error": said},
        )
        self._outcomes.fail(failure)

    def _settle(self, outcome: Outcome, item: Item) -> None:
        self._outcomes.settle(outcome)
        self._queue.settle(item)


def _follower_record(follower: Item, leader: LoadedImage, record: Record) -> Record:
    """A copy has the leader's bytes, but a date of its own."""
    own = replace(leader, mtime_ns=follower.photo.mtime_ns)
    return copied_record(follower.photo, own, record)
