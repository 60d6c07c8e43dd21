"""What the report is about: the journal's photos and those in the photos directory, as one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from picture_captioner.journal import (
    Entry,
    Fold,
    JournalIndex,
    Record,
    TagDecisions,
    is_count,
)
from picture_captioner.pipeline.selecting.walk import Photo, path_key
from picture_captioner.report.model import ReportPhoto

if TYPE_CHECKING:
    from picture_captioner.library import PhotoFacts, Words


def report_photos(
    walked: Iterable[Photo], records: Iterable[Record], redo_errors: Mapping[str, str] | None = None
) -> list[ReportPhoto]:
    """Every photo that was found or has a record, in path order.

    `records` are those whose captions hold, or the last attempt where there is none; `redo_errors`
    say why a later attempt than the caption's failed.

    Only a photo that the walk found is `present`: a journal from elsewhere may name `../secret` or
    an absolute path, and nothing is read or linked because of what it says.
    """
    found = {
        photo.rel_path: ReportPhoto(rel_path=photo.rel_path, size=photo.size, present=True)
        for photo in walked
    }
    for record in records:
        known = found.get(record.rel_path)
        photo = _from_record(record, known)
        if error := (redo_errors or {}).get(record.rel_path):
            photo = replace(photo, last_error=error)
        found[record.rel_path] = photo
    return [found[path] for path in sorted(found, key=_place)]


def moved_captions(
    walked: Sequence[Photo], index: JournalIndex, known: Iterable[Fold[Entry]]
) -> dict[str, Entry]:
    """The captions of photos that lie under another path than when they were captioned.

    A folder that was renamed shows every photo twice otherwise, once gone and once without a
    caption. Name, size and time of the file stay as they were; a run compares the bytes.
    """
    new = [photo for photo in walked if photo.rel_path not in index.entries]
    if not new:
        return {}
    there = {photo.rel_path for photo in walked}
    gone = {
        (PurePosixPath(caption.rel_path).name, caption.size, caption.mtime_ns): caption
        for fold in known
        if (caption := fold.caption) is not None and caption.rel_path not in there
    }
    found: dict[str, Entry] = {}
    for photo in new:
        key = (PurePosixPath(photo.rel_path).name, photo.size, photo.mtime_ns)
        if (caption := gone.pop(key, None)) is not None:
            found[photo.rel_path] = caption
    return found


def _place(rel_path: str) -> bytes:
    """Path order; a text from a journal that no file can be named has a place, too."""
    try:
        return path_key(rel_path)
    except UnicodeEncodeError:
        return rel_path.encode("utf-8", "surrogatepass")


def _from_record(record: Record, walked: ReportPhoto | None) -> ReportPhoto:
    size = record.size if is_count(record.size) else None
    return ReportPhoto(
        rel_path=record.rel_path,
        status=record.status,
        caption=record.caption,
        title=_text(record.extra.get("title")),
        tags=_tags(record.extra.get("tags")),
        text=record.text_in_image or None,
        more=record.more or None,
        last_error=record_error(record),
        placeholder=record.placeholder,
        content_sha256=record.content_sha256,
        size=walked.size if walked else size,
        present=walked is not None,
    )


def record_error(record: Record) -> str | None:
    """Why a record has no caption: the code and the message."""
    return None if record.error is None else f"{record.error.code}: {record.error.message}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _tags(value: Any) -> tuple[str, ...]:
    """Other programs write other things; what is not a list of words is no tags."""
    if not isinstance(value, list):
        return ()
    return tuple(tag for tag in value if isinstance(tag, str))


def with_facts(
    photos: Sequence[ReportPhoto],
    walked: Mapping[str, Photo],
    facts_of: Callable[[str, int, int], PhotoFacts | None],
) -> list[ReportPhoto]:
    """The photos with what the library knows of the files that were walked."""
    return [
        _with_facts(photo, facts)
        if (file := walked.get(photo.rel_path))
        and (facts := facts_of(file.rel_path, file.size, file.mtime_ns))
        else photo
        for photo in photos
    ]


def with_words(
    photos: Sequence[ReportPhoto], words: Words, tags: TagDecisions
) -> list[ReportPhoto]:
    """The photos with what the library knows of the pictures in words."""
    return [_with_words(photo, words, tags) for photo in photos]


def _with_words(photo: ReportPhoto, words: Words, tags: TagDecisions) -> ReportPhoto:
    content = photo.content_sha256 or ""
    keys = (photo.rel_path, content)
    keywords = [word for key in keys for word in words.keywords.get(key, ())]
    told = [word for key in keys for word in words.told.get(key, ())]
    return replace(
        photo,
        tags=tuple(tags.names((*photo.tags, *words.tags.get(content, ()), *keywords))),
        text="\n".join(filter(None, (photo.text, words.text.get(content)))) or None,
        more=" ".join(filter(None, (photo.more, *told))) or None,
        place=words.places.get(content),
    )


def _with_facts(photo: ReportPhoto, facts: PhotoFacts) -> ReportPhoto:
    return replace(
        photo,
        content_sha256=facts.content_sha256,
        width=facts.width,
        height=facts.height,
        taken_at=facts.taken_at,
        day_only=facts.day_only,
        camera=facts.camera,
        latitude=facts.latitude,
        longitude=facts.longitude,
        sharpness=facts.sharpness,
        perceptual_hash=facts.perceptual_hash,
    )
