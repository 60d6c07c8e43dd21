"""A report as the columns that the page unpacks (assets/data.js is the other side).

Photos are named by their index everywhere. Coordinates stay out: nobody who is handed the page
learns from it where a photo was taken, beyond the name of a place.

A journal may come from elsewhere, so a path in it is only linked when the walk of the photos
directory found that photo, and never out of that directory. A link is relative and built from
percent-encoded bytes alone: no name can bring a scheme, a query or a fragment.

The page finds `dog` where `dogs` is sought and has no stemmers: it gets, for each language, the
words of its photos that share a stem.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import Status
from picture_captioner.library.words import language_of, stem_of, words_of
from picture_captioner.report.model import (
    Chunk,
    Cluster,
    DuplicateGroup,
    People,
    Person,
    Question,
    Report,
    ReportPhoto,
)
from picture_captioner.report.page.columns import Json, Texts, floats, integers
from picture_captioner.report.page.palette import colours
from picture_captioner.report.page.thumbnails import NO_THUMBNAIL

STATUSES: tuple[Status | None, ...] = (None, *Status)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNPLACED = 65535
"""Where the map has no place for a photo; positions go from 0 to one less."""

LINKED, SHOWN, PLACEHOLDER, LOCATED, SUSPECT, HAS_VECTOR, HAS_FACE, DAY_ONLY = (
    1 << n for n in range(8)
)
"""Flags of a photo: it may be linked; browsers show its format; its caption is a placeholder; it is
known where it was taken (not where that is); its caption names what nobody told; library.db has a
vector of it, or a face; the day of its capture is known, and noon stands for its time."""


def payload(
    report: Report,
    digests: Sequence[bytes],
    library_name: str,
    root: str | None,
    people: Json = None,
) -> dict[str, Json]:
    """Everything the page shows; `digests` names each photo's thumbnail, `root` the photos.

    `people` are those of `people_payload`.
    """
    texts, words = Texts(), word_forms(report.photos)
    return {
        "version": 1,
        "library": library_name,
        "root": root,
        "head": _head(report),
        "photos": _photos(report, digests, texts, words.language, linked=root is not None),
        "clusters": _clusters(report.clusters),
        "chunks": [_chunk(chunk) for chunk in report.chunks],
        "duplicates": [_group(group) for group in report.duplicates],
        "texts": [*texts.all],
        "people": people,
        "languages": [*words.languages],
        "forms": [[*groups] for groups in words.forms],
    }


def _head(report: Report) -> Json:
    head = report.head
    return {
        "madeAt": wall_seconds(head.made_at),
        "embedder": head.embedder,
        "reason": head.embedder_reason,
        "themesGoBy": head.themes_go_by,
        "engine": head.engine,
        "seed": head.seed,
        "minClusterSize": head.min_cluster_size,
        "notes": [*head.notes],
        "commands": {**head.commands},
        "noiseShare": report.noise_share,
        "vocabularyFallbacks": report.vocabulary_fallbacks,
    }


def _photos(
    report: Report, digests: Sequence[bytes], texts: Texts, language: Sequence[int], *, linked: bool
) -> Json:
    photos = report.photos
    links = [photo_link(photo) if linked else None for photo in photos]
    x, y = _positions(report.clustering.position)
    return {
        "count": len(photos),
        **_paths(photos, links),
        "flags": integers([_flags(p, link) for p, link in zip(photos, links, strict=True)]),
        "status": integers([STATUSES.index(photo.status) for photo in photos]),
        "redo": integers([STATUSES.index(photo.redo_status) for photo in photos]),
        "caption": texts.column(photo.caption for photo in photos),
        "title": texts.column(photo.title for photo in photos),
        "error": texts.column(photo.last_error for photo in photos),
        "camera": texts.column(photo.camera for photo in photos),
        "text": texts.column(photo.text for photo in photos),
        "more": texts.column(photo.more for photo in photos),
        "place": texts.column(photo.place for photo in photos),
        "placeDetail": texts.column(photo.place_detail for photo in photos),
        "toldPeople": texts.column("\n".join(photo.told_people) for photo in photos),
        "toldPlaces": texts.column("\n".join(photo.told_places) for photo in photos),
        "language": integers(language),
        "tags": _tags(photos, texts),
        "takenAt": floats([wall_seconds(photo.taken_at) for photo in photos]),
        "width": integers([photo.width or 0 for photo in photos]),
        "height": integers([photo.height or 0 for photo in photos]),
        "size": integers([-1 if photo.size is None else photo.size for photo in photos]),
        "x": integers(x),
        "y": integers(y),
        "thumbnails": base64.b64encode(b"".join(digests)).decode("ascii"),
    }


def _paths(photos: Sequence[ReportPhoto], links: Sequence[str | None]) -> dict[str, Json]:
    """Folders once each; a name's link only where it is not the name itself."""
    folders = Texts()
    parts = [photo.rel_path.rpartition("/") for photo in photos]
    names = [name for _, _, name in parts]
    return {
        "folder": folders.column(folder for folder, _, _ in parts),
        "folders": [*folders.all],
        "folderLinks": [quoted(folder) for folder in folders.all],
        "name": [*names],
        "nameLinks": {
            str(i): encoded
            for i, (name, link) in enumerate(zip(names, links, strict=True))
            if link is not None and (encoded := quoted(name)) != name
        },
    }


def _flags(photo: ReportPhoto, link: str | None) -> int:
    flags = LINKED if link is not None else 0
    flags |= SHOWN if shown_by_browsers(photo.rel_path) else 0
    flags |= LOCATED if photo.latitude is not None else 0
    flags |= SUSPECT * photo.suspect | HAS_VECTOR * photo.has_vector | HAS_FACE * photo.has_face
    flags |= DAY_ONLY * photo.day_only
    return flags | (PLACEHOLDER if photo.placeholder else 0)


def _tags(photos: Sequence[ReportPhoto], texts: Texts) -> Json:
    """Each photo's tags end where `ends` says and begin where the one before it ends."""
    counts = [len(photo.tags) for photo in photos]
    places = [texts.place(tag) for photo in photos for tag in photo.tags]
    return {"ends": integers(np.cumsum(counts, dtype=np.int64)), "text": integers(places)}


def _positions(
    position: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The map in 65,535 steps; `UNPLACED` for a photo without a place."""
    known = ~np.isnan(position).any(axis=1)
    steps = np.full(position.shape, UNPLACED, dtype=np.int64)
    steps[known] = np.round(position[known].clip(0, 1) * (UNPLACED - 1)).astype(np.int64)
    return steps[:, 0], steps[:, 1]


def _clusters(clusters: Sequence[Cluster]) -> Json:
    colour = colours(cluster.id for cluster in clusters)
    return [
        {
            "id": cluster.id,
            "name": cluster.name or f"Cluster {cluster.id}",
            "label": cluster.label,
            "source": cluster.label_source.value,
            "keywords": [*cluster.keywords],
            "colour": colour[cluster.id],
            "size": len(cluster.members),
            "members": integers(cluster.members),
        }
        for cluster in clusters
    ]


def _chunk(chunk: Chunk) -> Json:
    return {
        "id": chunk.id,
        "level": chunk.level.value,
        "start": wall_seconds(chunk.start),
        "end": wall_seconds(chunk.end),
        "size": len(chunk.members),
        "members": integers(chunk.members),
        "typical": int(chunk.typical),
        "keywords": [*chunk.keywords],
        "name": chunk.name,
        "place": chunk.place,
        "hours": chunk.hours,
        "parents": [*chunk.parents],
    }


def _group(group: DuplicateGroup) -> Json:
    return {
        "id": group.id,
        "likeness": group.likeness.value,
        "size": len(group.members),
        "members": integers(group.members),
        "keeper": int(group.keeper),
    }


def wall_seconds(moment: datetime | None) -> float:
    """What the clock on the wall showed, in seconds since 1970; NaN for None."""
    if moment is None:
        return float("nan")
    return (moment.replace(tzinfo=UTC) - EPOCH).total_seconds()


SHOWN_BY_BROWSERS = frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def root_link(photos_dir: Path, out_dir: Path) -> str:
    """The way from the page to the photos directory, percent-encoded.

    Symbolic links are left alone: the browser, too, takes `..` by the letters of the path.
    """
    return quote(os.fsencode(os.path.relpath(photos_dir.absolute(), out_dir.absolute())))


def photo_link(photo: ReportPhoto) -> str | None:
    """The photo below the photos directory, percent-encoded; None if it must not be linked."""
    parts = photo.rel_path.split("/")
    if not photo.present or not set(parts).isdisjoint({"", ".", ".."}):
        return None
    return quoted(photo.rel_path)


def quoted(path: str) -> str | None:
    """The path's bytes on disk, percent-encoded; None for a text that no file can be named."""
    try:
        return quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def shown_by_browsers(rel_path: str) -> bool:
    """Whether browsers show this format by themselves; HEIC, TIFF and RAW they do not."""
    return PurePosixPath(rel_path).suffix.lower() in SHOWN_BY_BROWSERS


Keep = Callable[[bytes | None], bytes]
"""Puts a picture into the page's folder and returns its digest."""


def people_payload(people: People | None, keep: Keep) -> Json:
    """Persons and questions; nothing where nobody is to be shown."""
    if people is None or not people.persons:
        return None
    return {
        "persons": [_person(person, keep) for person in people.persons],
        "questions": [_question(question, keep) for question in people.questions],
        "more": people.more,
    }


def _person(person: Person, keep: Keep) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "faces": person.faces,
        "size": len(person.members),
        "members": integers(person.members),
        "crop": _picture(person.crop, keep),
    }


def _question(question: Question, keep: Keep) -> Json:
    return {
        "about": question.about.value,
        "text": question.text,
        "persons": [*question.persons],
        "photo": question.photo,
        "crop": _picture(question.crop, keep),
        "cosine": question.cosine,
        "answers": [[answer, command] for answer, command in question.answers],
    }


def _picture(webp: bytes | None, keep: Keep) -> str | None:
    digest = keep(webp)
    return None if digest == NO_THUMBNAIL else digest.hex()


class WordForms(NamedTuple):
    """The languages, the place of each photo's (-1: no words), and groups of words for each."""

    languages: list[str]
    language: list[int]
    forms: list[list[str]]


def word_forms(photos: Iterable[ReportPhoto]) -> WordForms:
    """The forms that occur; a word that is the only one of its stem is left out."""
    words: dict[str, set[str]] = {}
    spoken: list[str] = []
    for photo in photos:
        parts = (photo.title, photo.caption, *photo.tags, photo.text, photo.more)
        found = words_of(" ".join(filter(None, parts)))
        spoken.append(language_of(found) if found else "")
        words.setdefault(spoken[-1], set()).update(found)
    languages = sorted(name for name in words if name)
    every = set().union(*words.values())
    places = {name: place for place, name in enumerate(languages)}
    return WordForms(
        languages,
        [places.get(name, -1) for name in spoken],
        [_groups(name, every, words[name]) for name in languages],
    )


def _groups(language: str, words: Iterable[str], spoken: Iterable[str]) -> list[str]:
    """Words that share a stem by the rules of a language, one of which its photos have."""
    groups: dict[str, set[str]] = {}
    for word in words:
        stem, plain = stem_of(language, word)
        groups.setdefault(stem, set()).add(plain)
    wanted = {stem_of(language, word)[0] for word in spoken}
    shared = (sorted(group) for stem, group in groups.items() if stem in wanted)
    return sorted(" ".join(group) for group in shared if len(group) > 1)
