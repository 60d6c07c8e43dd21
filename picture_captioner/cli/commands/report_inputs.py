"""What the report is about: the journal's photos and those in the photos directory, as one list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from picture_captioner.backends.vocabulary import read_vocabulary
from picture_captioner.cli.command_flags import ReportFlags
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.terminal import say
from picture_captioner.errors import ModelMissingError, Status, UsageError, count
from picture_captioner.image_loader.images import structure_of
from picture_captioner.journal.fold import Fold
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.record import Entry, Record, is_count
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.metadata.told import Kind
from picture_captioner.pipeline.selecting.selection import file_changed
from picture_captioner.pipeline.selecting.walk import Photo, path_key
from picture_captioner.report.model import ReportPhoto

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from picture_captioner.embedders.base import Embedder, EmbedderSettings
    from picture_captioner.library.facts import Facts, PhotoFacts
    from picture_captioner.library.store import Library
    from picture_captioner.library.texts import Words
    from picture_captioner.report.labels import Vocabulary


def report_photos(
    walked: Iterable[Photo], records: Iterable[Record], failed_since: Iterable[Record] = ()
) -> list[ReportPhoto]:
    """Every photo that was found or has a record, in path order.

    `records` are those whose captions hold, or the last attempt where there is none;
    `failed_since` are later attempts than the caption's, which failed.

    Only a photo that the walk found is `present`: a journal from elsewhere may name `../secret` or
    an absolute path, and nothing is read or linked because of what it says.
    """
    found = {
        photo.rel_path: ReportPhoto(rel_path=photo.rel_path, size=photo.size, present=True)
        for photo in walked
    }
    for record in records:
        found[record.rel_path] = _from_record(record, found.get(record.rel_path))
    for record in failed_since:
        error = record_error(record) or str(record.status)
        photo = found[record.rel_path]
        found[record.rel_path] = replace(photo, last_error=error, redo_status=record.status)
    return [found[path] for path in sorted(found, key=_place)]


def moved_captions(
    walked: Sequence[Photo], index: JournalIndex, known: Iterable[Fold[Entry]]
) -> dict[str, Entry]:
    """The captions of photos that lie under another path than when they were captioned.

    A folder that was renamed shows every photo twice otherwise, once gone and once without a
    caption. Name, size and time of the file stay as they were; a run compares the bytes. So do
    folder, size and time where photos were numbered anew, or took each other's names.
    """
    there = {photo.rel_path: photo for photo in walked}
    away: dict[tuple[object, ...], Entry | None] = {}
    for fold in known:
        if (caption := fold.caption) is None or _is_still(there.get(caption.rel_path), caption):
            continue
        for key in _keys(caption.rel_path, caption.size, caption.mtime_ns):
            away[key] = None if key in away else caption  # of two that are alike nobody knows
    found: dict[str, Entry] = {}
    for photo in walked if away else ():
        if photo.rel_path in index.entries and _is_still(photo, index.caption(photo.rel_path)):
            continue
        keys = _keys(photo.rel_path, photo.size, photo.mtime_ns)
        if (caption := next(filter(None, map(away.get, keys)), None)) is not None:
            found[photo.rel_path] = caption
            away |= dict.fromkeys(_keys(caption.rel_path, caption.size, caption.mtime_ns))
    return found


def _is_still(photo: Photo | None, caption: Entry | None) -> bool:
    """Whether the file that was captioned is where it was; without a caption nothing else is."""
    return caption is None or (photo is not None and not file_changed(photo, caption))


def _keys(rel_path: str, size: int | None, mtime_ns: int | None) -> Iterator[tuple[object, ...]]:
    path = PurePosixPath(rel_path)
    yield "name", path.name, size, mtime_ns
    yield "folder", path.parent, size, mtime_ns


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
        title=record.title,
        tags=tuple(record.tags),
        text=record.text_in_image or None,
        more=record.more or None,
        last_error=record_error(record),
        suspect=bool(record.extra.get("suspect") and record.caption),
        placeholder=record.placeholder,
        content_sha256=record.content_sha256,
        size=walked.size if walked else size,
        present=walked is not None,
    )


def record_error(record: Record) -> str | None:
    """Why a record has no caption: the code and the message."""
    return None if record.error is None else f"{record.error.code}: {record.error.message}"


def of_their_own(
    photos: Sequence[ReportPhoto], walked: Iterable[Photo], library: Library
) -> tuple[list[ReportPhoto], int]:
    """The photos without captions of what lay under their names before; how many had one.

    What only got other metadata since (a rating) looks as it did, and keeps its caption.
    """
    files = {photo.rel_path: photo for photo in walked}
    own = [
        ReportPhoto(rel_path=photo.rel_path, size=photo.size, present=True)
        if photo.caption and _is_another(photo, files.get(photo.rel_path), library)
        else photo
        for photo in photos
    ]
    return own, sum(mine is not photo for mine, photo in zip(own, photos, strict=True))


def _is_another(photo: ReportPhoto, file: Photo | None, library: Library) -> bool:
    facts = file and library.facts.of_file(file.rel_path, file.size, file.mtime_ns)
    if not facts or photo.content_sha256 in (None, facts.content_sha256):
        return False
    then, now = (
        library.thumbnail(photo.content_sha256 or ""),
        library.thumbnail(facts.content_sha256),
    )
    if then is None or now is None or then == now:  # the same pixels give the same bytes
        return False
    was, shown = structure_of(then), structure_of(now)
    return was is not None and shown is not None and not was.resembles(shown)


def with_facts(
    photos: Sequence[ReportPhoto], walked: Mapping[str, Photo], facts: Facts
) -> list[ReportPhoto]:
    """The photos with what the library knows of the files that were walked, else of their bytes."""

    def known(photo: ReportPhoto) -> PhotoFacts | None:
        if file := walked.get(photo.rel_path):
            return facts.of_file(file.rel_path, file.size, file.mtime_ns)
        if photo.content_sha256:
            return facts.of_content(photo.rel_path, photo.content_sha256)
        return None

    return [_with_facts(photo, found) if (found := known(photo)) else photo for photo in photos]


def with_words(
    photos: Sequence[ReportPhoto],
    words: Words,
    tags: TagDecisions,
    wanted: Callable[[str], bool] = lambda _: True,
) -> list[ReportPhoto]:
    """The photos with what the library knows of the pictures in words.

    Of the names that other programs gave, those that are `wanted`.
    """
    names = {name for told in words.told.values() for name in told.get(Kind.PERSON, ())}
    unwanted = {name.casefold() for name in names if not wanted(name)}
    return [_with_words(photo, words, tags, unwanted) for photo in photos]


def _with_words(
    photo: ReportPhoto, words: Words, tags: TagDecisions, unwanted: Collection[str]
) -> ReportPhoto:
    content = photo.content_sha256 or ""
    keys = (photo.rel_path, content)
    told = {kind: _said(words, keys, kind) for kind in Kind}
    keywords = told.pop(Kind.KEYWORD)
    if unwanted:
        # Some programs write `People > Anna` among the keywords, too, or that alone.
        keywords = [k for k in keywords if k.rpartition(">")[2].strip().casefold() not in unwanted]
        told[Kind.PERSON] = [n for n in told[Kind.PERSON] if n.casefold() not in unwanted]
    place = words.places.get(content)
    return replace(
        photo,
        tags=tuple(tags.names((*photo.tags, *words.tags.get(content, ()), *keywords))),
        text="\n".join(filter(None, (photo.text, words.text.get(content)))) or None,
        more="\n".join(filter(None, (photo.more, *chain(*told.values())))) or None,
        told_people=tuple(told[Kind.PERSON]),
        told_places=tuple(told[Kind.PLACE]),
        place=place.name if place else None,
        place_detail=place.detail if place else None,
        has_vector=content in words.vectors,
        has_face=content in words.faces,
    )


def _said(words: Words, keys: Iterable[str], kind: Kind) -> list[str]:
    return [word for key in keys for word in words.told.get(key, {}).get(kind, ())]


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


TEXTS_AT_A_TIME = 256

TO_GO_BY_CAPTIONS = (
    "the captions say more than that: 'caption.py models download minilm' (91 MB), and make the "
    "report again"
)


@dataclass(frozen=True)
class Chosen:
    """The embedder of this report, and why it."""

    embedder: Embedder
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def by_captions(self) -> bool:
        """Whether it looks at captions, not at pictures."""
        return not self.embedder.embeds_images


def choose_embedder(
    flags: ReportFlags, present: int, photos: Sequence[ReportPhoto]
) -> Chosen | None:
    """The embedder asked for, or the best that can run; None if there is nothing to embed.

    Raises:
        FatalError: there is no such embedder, or it cannot run here.
    """
    from picture_captioner.embedders.base import EmbedderSettings
    from picture_captioner.embedders.choice import choose
    from picture_captioner.embedders.registry import AUTO, embedder_class

    settings = EmbedderSettings(
        model=flags.model or "",
        device=flags.device,
        models_dir=flags.models_dir,
        allow_download=flags.download,
        notice=say,
    )
    # A template's captions speak of light and format: they do not count, unless there is no more.
    real = sum(p.status is Status.SUCCESS and not p.placeholder for p in photos)
    captions = real if present else sum(p.status is Status.SUCCESS for p in photos)
    if not present and not captions and flags.embedder in {AUTO, "caption"}:
        return None  # a model that is not there is no reason to do without the report
    choice = choose(flags.embedder, settings, photos=present, captions=captions)
    if choice.wanted and _fetched(choice.wanted, settings, flags.models_dir):
        choice = choose(flags.embedder, settings, photos=present, captions=captions)
    notes = (TO_GO_BY_CAPTIONS,) if choice.wanted else ()
    chosen = Chosen(embedder_class(choice.name)(settings), choice.reason, notes)
    if not present and not chosen.by_captions:
        raise UsageError(
            f"--embedder {choice.name} looks at photos and there are none; "
            "give --photos-dir, or --embedder caption"
        )
    with_models(chosen.embedder.check, flags.models_dir)
    say(f"Embedder: {choice.name}, {choice.reason}")
    return chosen


def _fetched(model: str, settings: EmbedderSettings, models_dir: Path | None) -> bool:
    """Whether a person, or --download, let the model be fetched that reads captions."""
    from picture_captioner.embedders.minilm import find_caption_model

    try:
        with_models(lambda: find_caption_model(model, settings), models_dir)
    except ModelMissingError:
        return False
    return True


def load_vectors(
    library: Library, chosen: Chosen | None, photos: Sequence[ReportPhoto]
) -> NDArray[np.float32]:
    """A row for each photo, zeros where there is none; captions are embedded if need be.

    Raises:
        FatalError: the library cannot be written, or the embedder fails.
    """
    import numpy as np

    if chosen is None:
        return np.zeros((len(photos), 0), dtype=np.float32)
    if not chosen.by_captions:
        keys = [photo.content_sha256 or "" for photo in photos]
        return library.vectors(chosen.embedder.identity, keys)[1]
    texts = [photo.own_label for photo in photos]
    _embed_captions(library, chosen.embedder, texts)
    keys = [_text_key(text) if text else "" for text in texts]
    return library.vectors(chosen.embedder.identity, keys)[1]


def _text_key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _embed_captions(library: Library, embedder: Embedder, texts: Sequence[str]) -> None:
    unique = sorted({text for text in texts if text})
    known, _ = library.vectors(embedder.identity, [_text_key(text) for text in unique])
    missing = [text for text, is_known in zip(unique, known, strict=True) if not is_known]
    if missing:
        say(f"Embedding {count(len(missing), 'caption')}")
    for start in range(0, len(missing), TEXTS_AT_A_TIME):
        piece = missing[start : start + TEXTS_AT_A_TIME]
        keys = [_text_key(text) for text in piece]
        library.save_vectors(embedder.identity, keys, embedder.embed_texts(piece))


def load_vocabulary(
    path: Path | None, chosen: Chosen | None, photos: Sequence[ReportPhoto]
) -> Vocabulary | None:
    """The vocabulary with its vectors; None if there is none or no photo needs it.

    Raises:
        UsageError: the file makes no sense, or the embedder's images and texts share no space.
        FatalError: the terms cannot be embedded.
    """
    if path is None or chosen is None:
        return None
    terms = read_vocabulary(path).named
    if all(photo.status is not None and (photo.own_label or photo.last_error) for photo in photos):
        say("Every photo has a caption or an error: the vocabulary is not needed")
        return None
    embedder = chosen.embedder
    if not (embedder.embeds_images and embedder.embeds_texts):
        raise UsageError(
            f"--vocabulary needs an embedder that puts images and texts in one space, and "
            f"{embedder.name} does not; give --embedder siglip2 or clip"
        )
    from picture_captioner.report.labels import Vocabulary

    return Vocabulary(terms, embedder.embed_texts(terms))
