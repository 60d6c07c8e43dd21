"""What `maintain` does to people: each step alone is idempotent and one transaction.

Themes need no steps: a report makes them anew, with centres, medoids and sizes, and keeps them in
one file. They can only be stale: photos were put into them by `--assign` since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from picture_captioner.library.face_runs import RunRow
from picture_captioner.library.face_table import FaceTable
from picture_captioner.library.store import Library
from picture_captioner.people.decisions import Decisions
from picture_captioner.pipeline.people.overview import overview
from picture_captioner.pipeline.people.regrouping import centroids_of, group_faces, why_stale

OLD_DAYS = 30
"""A face that nobody was found for in so long waits for a human."""

Result = dict[str, Any]


def health(library: Library, said: Decisions) -> Result:
    """Counts that say whether something is to be done. Changes nothing."""
    run, table = _state(library)
    sizes = _sizes(table, run)
    medoids = library.face_runs.clusters_with_medoid()
    missing = sum(not np.any(row) for row in run.centroids) if run is not None else 0
    if run is not None and run.centroids.shape[1] == 0:
        missing = len(run.births)
    view = overview(library, said)
    verified = {p.identity for p in view.persons if p.verified}
    labels = {int(n) for n, p in zip(table.labels, table.persons, strict=True) if p in verified}
    filled = sizes[sizes > 0]
    shown = np.array([content in view.paths for content in table.contents], bool)
    seen = sum(len(person.faces) for person in view.persons) + len(view.no_faces)
    return {
        "total_clusters": len(sizes),
        "empty_clusters": int((sizes == 0).sum()),
        "clusters_without_centroids": missing,
        "clusters_without_medoids": sum(label not in medoids for label in range(len(sizes))),
        "avg_cluster_size": round(float(filled.mean()), 2) if len(filled) else 0.0,
        "min_cluster_size": int(filled.min(initial=0 if not len(filled) else filled[0])),
        "max_cluster_size": int(filled.max(initial=0)),
        "total_faces": seen + len(view.unassigned),
        "unclustered_faces": int((table.labels[shown] < 0).sum()),
        "must_link_count": len(said.must_link),
        "cannot_link_count": len(said.cannot_link) + len(said.not_person) + len(said.apart),
        "verified_clusters": len({label for label in labels if label >= 0}),
        "unassigned_pool_size": len(view.unassigned),
    }


def staleness(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """Why all faces should be clustered anew, if they should."""
    table = library.faces.table()
    if len(table) == 0:
        return {"stale": False, "why": ""}
    why = why_stale(library.face_runs.active_run(), table)
    return {"stale": bool(why), "why": why}


def recompute_centroids(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """Every cluster's centroid from its faces as they are."""
    run, table = _state(library)
    if run is None:
        return {"centroids": 0}
    library.face_runs.save_centroids(run.number, centroids_of(table, len(run.births)))
    return {"centroids": len(run.births)}


def update_medoids(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """Mark the face nearest to each cluster's centroid."""
    run, table = _state(library)
    if run is None:
        return {"medoids": 0}
    centroids = centroids_of(table, len(run.births))
    inside = np.flatnonzero((table.labels >= 0) & (table.labels < len(centroids)))
    near = np.einsum("ij,ij->i", table.vectors[inside], centroids[table.labels[inside]])
    order = np.lexsort((inside, -near, table.labels[inside]))
    _, firsts = np.unique(table.labels[inside][order], return_index=True)
    chosen = inside[order][firsts]
    library.face_runs.save_medoids(table, chosen.tolist())
    return {"medoids": len(chosen)}


def cleanup_empty(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """Drop clusters that have no face any more: its photos were forgotten, or looked at anew."""
    run, table = _state(library)
    empty = np.flatnonzero(_sizes(table, run) == 0).tolist()
    if run is not None and empty:
        library.face_runs.drop_clusters(run.number, empty)
    return {"empty_clusters": len(empty)}


def update_stats(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """Count every cluster's faces."""
    run, table = _state(library)
    sizes = _sizes(table, run)
    if run is not None:
        library.face_runs.save_sizes(run.number, sizes)
    return {"clusters": len(sizes), "faces": int(sizes.sum())}


def follow_decisions(library: Library, said: Decisions) -> Result:
    """What follows from links and the other decisions, and what contradicts itself."""
    grouped = group_faces(library, said)
    if grouped is None:
        return {"persons": 0, "violations": [], "similar": 0}
    return {
        "persons": len(grouped.people.persons),
        "violations": grouped.people.violations,
        "similar": len(grouped.people.suggestions),
    }


def old_unassigned(library: Library, said: Decisions) -> Result:  # noqa: ARG001
    """How many faces nobody was found for in a month."""
    return {"old_unassigned": library.faces.waiting_since(time.time() - OLD_DAYS * 86400)}


Step = Callable[[Library, Decisions], Result]

STEPS: dict[str, Step] = {
    "recompute-centroids": recompute_centroids,
    "cleanup-empty": cleanup_empty,
    "update-stats": update_stats,
    "update-medoids": update_medoids,
    "health": health,
    "check-staleness": staleness,
    "follow-links": follow_decisions,
    "old-unassigned": old_unassigned,
}
DAILY = ("follow-links", "recompute-centroids", "cleanup-empty", "update-stats", "check-staleness")
WEEKLY = (*DAILY, "update-medoids", "old-unassigned")


def _state(library: Library) -> tuple[RunRow | None, FaceTable]:
    run = library.face_runs.active_run()
    return run, library.faces.table(run.recogniser if run else None)


def _sizes(table: FaceTable, run: RunRow | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    count = len(run.births) if run is not None else 0
    labels = table.labels[(table.labels >= 0) & (table.labels < count)]
    return np.bincount(labels, minlength=count)
