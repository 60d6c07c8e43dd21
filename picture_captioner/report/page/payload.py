"""A report as the columns that the page unpacks (assets/data.js is the other side).

Photos are named by their index everywhere. Coordinates stay out: nobody who is handed the page
learns from it where a photo was taken, beyond the name of a place.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import Status
from picture_captioner.report.model import Chunk, Cluster, DuplicateGroup, Report, ReportPhoto
from picture_captioner.report.page.columns import Json, Texts, floats, integers
from picture_captioner.report.page.links import photo_link, quoted, shown_by_browsers
from picture_captioner.report.page.palette import colours
from picture_captioner.report.page.word_forms import word_forms

STATUSES: tuple[Status | None, ...] = (None, *Status)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNPLACED = 65535
"""Where the map has no place for a photo; positions go from 0 to one less."""

LINKED, SHOWN, PLACEHOLDER, LOCATED = 1, 2, 4, 8
"""Flags of a photo: it may be linked; browsers show its format; its caption is a placeholder; it is
known where it was taken (not where that is)."""


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
        "program": head.program,
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
        "caption": texts.column(photo.caption for photo in photos),
        "title": texts.column(photo.title for photo in photos),
        "error": texts.column(photo.last_error for photo in photos),
        "camera": texts.column(photo.camera for photo in photos),
        "text": texts.column(photo.text for photo in photos),
        "more": texts.column(photo.more for photo in photos),
        "place": texts.column(photo.place for photo in photos),
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
        "place": chunk.place,
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
