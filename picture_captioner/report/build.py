"""`build_report`: from photos and vectors to a `Report`, and what the next run needs of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import UsageError, count
from picture_captioner.report.assigning import assign, is_stale
from picture_captioner.report.chunks import make_chunks
from picture_captioner.report.clustering import (
    FIRST_ID,
    centroids_of,
    cluster_vectors,
    keep_ids,
    outwards,
    reassign_noise,
)
from picture_captioner.report.density import automatic_min_cluster_size
from picture_captioner.report.duplicates import Thumbnail, find_duplicates, no_thumbnail
from picture_captioner.report.engines import DEFAULT_ENGINE, engine_info
from picture_captioner.report.geometry import members_of, unit_rows
from picture_captioner.report.keywords import (
    Said,
    cluster_names,
    keywords,
    speakers_of,
    what_is_said,
)
from picture_captioner.report.labels import Labels, Vocabulary, label_photos
from picture_captioner.report.model import (
    Cluster,
    Clustering,
    LabelSource,
    Report,
    ReportHead,
    ReportPhoto,
)
from picture_captioner.report.places import PlaceNames
from picture_captioner.report.run_state import RunState, digests

DEFAULT_SEED = 42


def _ignore(_: str) -> None:
    """For callers that show no steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """How a report is made; `embedder` is the identity of what made the vectors.

    Without a seed the engine may use all cores and differ from run to run. `vectors_of_pictures`
    is false if the vectors are of captions: then they say nothing of near-duplicates. `step` is
    told what is being done.
    """

    made_at: datetime
    embedder: str
    embedder_reason: str
    goes_by: str = ""
    engine: str = DEFAULT_ENGINE
    seed: int | None = DEFAULT_SEED
    min_cluster_size: int | None = None
    assign: bool = False
    reassign_noise: bool = False
    vectors_of_pictures: bool = True
    vocabulary: Vocabulary | None = None
    place_names: PlaceNames | None = None
    thumbnail: Thumbnail = no_thumbnail
    notes: tuple[str, ...] = ()
    step: Callable[[str], None] = field(default=_ignore)


class Built(NamedTuple):
    """The report, its photos' labels, and what the next run needs."""

    report: Report
    labels: Labels
    state: RunState


class _Clustered(NamedTuple):
    """The clusters under their lasting ids."""

    clustering: Clustering
    added: NDArray[np.bool_]
    next_id: int
    min_cluster_size: int
    notes: tuple[str, ...] = ()


def build_report(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32],
    options: ReportOptions,
    previous: RunState | None = None,
) -> Built:
    """Cluster, label, chunk and find duplicates.

    `vectors` is (n, d), a row per photo; a row of zeros, or one that is not finite, is a photo
    without a vector. `previous` is what the last run left: clusters keep their ids by it.

    Raises:
        UsageError: an unknown engine, `assign` without a previous run or with another embedder.
        ModuleNotFoundError: the `report` extra is not installed.
    """
    info = engine_info(options.engine)
    options.step("grouping")
    done = (
        _assigned(photos, vectors, options, previous)
        if options.assign
        else _clustered(photos, vectors, options, previous)
    )
    state = _state(photos, vectors, options, done, info.name)
    clustering = done.clustering
    if options.reassign_noise:
        clustering = reassign_noise(vectors, clustering)
    options.step("labels and events")
    labels = label_photos(photos, vectors, options.vocabulary)
    said = what_is_said(photos, labels.texts)
    pictures = vectors if options.vectors_of_pictures else None
    report = Report(
        head=_head(photos, options, done),
        photos=tuple(photos),
        clustering=clustering,
        clusters=_clusters(clustering, labels, said),
        chunks=make_chunks(photos, said, vectors, options.place_names),
        duplicates=find_duplicates(photos, pictures, options.thumbnail),
        vocabulary_fallbacks=labels.count(LabelSource.VOCABULARY),
        labels=labels.texts,
        label_sources=labels.sources,
    )
    return Built(report, labels, state)


def _clustered(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32],
    options: ReportOptions,
    previous: RunState | None,
) -> _Clustered:
    known, _ = unit_rows(vectors)
    size = options.min_cluster_size or automatic_min_cluster_size(int(known.sum()))
    found = cluster_vectors(vectors, engine_info(options.engine).engine, size, options.seed)
    before = previous.previous_ids(photos) if previous else np.full_like(found.cluster, -1)
    named = keep_ids(found.cluster, before, previous.next_id if previous else FIRST_ID)
    return _Clustered(
        Clustering(
            named.cluster, found.probability, found.outlier_score, found.distance, found.position
        ),
        np.zeros(len(photos), dtype=np.bool_),
        named.next_id,
        size,
    )


def _assigned(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32],
    options: ReportOptions,
    previous: RunState | None,
) -> _Clustered:
    if previous is None:
        raise UsageError("--assign: there is no earlier report in the output folder; leave it out")
    if previous.embedder != options.embedder:
        raise UsageError(
            f"--assign: the earlier report was made with {previous.embedder}, this one would be "
            f"with {options.embedder}; name the same embedder, or leave --assign out"
        )
    if len(previous.centroids.ids) and previous.centroids.rows.shape[1] != vectors.shape[1]:
        raise UsageError("--assign: the earlier report has vectors of another length; leave it out")
    done = assign(vectors, previous.rows_of(photos), previous)
    notes = [f"{count(done.new, 'new photo')} put into the clusters of the earlier report"]
    if is_stale(done.added, done.clustering):
        share = float(done.added.sum()) / len(photos)
        notes.append(
            f"{share:.0%} of the photos came after the clusters were made: "
            "run without --assign to cluster again"
        )
    return _Clustered(
        done.clustering, done.added, previous.next_id, previous.min_cluster_size, tuple(notes)
    )


def _state(
    photos: Sequence[ReportPhoto],
    vectors: NDArray[np.float32],
    options: ReportOptions,
    done: _Clustered,
    engine: str,
) -> RunState:
    """Before outliers are reassigned: that would blur the clusters a little more with each run."""
    paths, contents = digests(photos)
    return RunState(
        embedder=options.embedder,
        engine=engine,
        seed=options.seed,
        min_cluster_size=done.min_cluster_size,
        next_id=done.next_id,
        paths=paths,
        contents=contents,
        clustering=done.clustering,
        added=done.added,
        centroids=centroids_of(vectors, done.clustering),
    )


def _head(photos: Sequence[ReportPhoto], options: ReportOptions, done: _Clustered) -> ReportHead:
    notes = [*options.notes, *done.notes]
    if options.reassign_noise:
        notes.append("outliers were given their nearest cluster")
    located = any(photo.latitude is not None for photo in photos)
    if located and options.place_names is None:
        notes.append("no names of places: 'caption.py doctor' says how to install the extra places")
    return ReportHead(
        made_at=options.made_at,
        embedder=options.embedder,
        embedder_reason=options.embedder_reason,
        engine=options.engine,
        seed=options.seed,
        min_cluster_size=done.min_cluster_size,
        notes=tuple(notes),
        goes_by=options.goes_by,
    )


def _clusters(clustering: Clustering, labels: Labels, said: Sequence[Said]) -> tuple[Cluster, ...]:
    """The clusters in order of their ids."""
    members = {i: outwards(clustering, m) for i, m in members_of(clustering.cluster).items()}
    ids = sorted(members, key=lambda i: (-len(members[i]), i))
    groups = [[s for m in members[i] if (s := said[m])] for i in ids]
    words = keywords(groups, common_at_need=True)
    names = cluster_names(words)
    speakers = speakers_of([members[i] for i in ids], labels.texts)
    found = [
        Cluster(
            id=number,
            label=label,
            label_source=labels.sources[speaker],
            keywords=keyword,
            members=members[number],
            name=name or f"Cluster {number}",
        )
        for number, (speaker, label), keyword, name in zip(ids, speakers, words, names, strict=True)
    ]
    return tuple(sorted(found, key=lambda cluster: cluster.id))
