"""Clusters of faces, made anew or added to, and whose each face is after what a human said.

The first time, or when asked, all faces are clustered. After that a new face joins the cluster of
its nearest clustered neighbour if it is as near as that cluster's own faces are (what the package
`hdbscan` calls approximate prediction), or else the person whose cluster's centroid is near
enough: two tiers, at a cost that grows with the new faces.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import LibraryLockedError
from picture_captioner.library.face_runs import RunRow
from picture_captioner.library.face_table import FaceTable
from picture_captioner.library.store import Library
from picture_captioner.people.clustering import (
    MIN_CLUSTER_SIZE,
    MIN_SAMPLES,
    NEIGHBOURS,
    PAIR,
    SAME_PERSON,
    STRAY,
    cluster,
)
from picture_captioner.people.decisions import Decisions, FaceKey
from picture_captioner.people.faces import Box
from picture_captioner.people.grouping import find_people
from picture_captioner.people.joining import SAME_GROUP
from picture_captioner.people.neighbours import nearest
from picture_captioner.people.persons import People, Status, unit
from picture_captioner.pipeline.people.overview import SHORT

CLUSTER_FROM = 32
"""Pixels of a face's height as it was read: of pairs of one person .86 are found at 32, .79 at 24,
.59 at 16. Smaller faces get lost, they do not glue persons together."""
ASSIGN_FROM = 24
SURE = 0.7
"""A detector's score. YuNet for any size gives 89 hand-drawn faces at least .8; the one of a fixed
640 pixels gives close portraits .71 to .82, and at .8 left all eleven of one person out."""
STALE_FROM = 0.1
"""Share of faces that came since the run."""
ATTEMPTS = 3
_KEY = re.compile(r"[0-9a-f]{64}:-?\d+(?:,-?\d+){3}")
UNSEEN = -2
"""The label of a face that the run has not seen."""

PARAMETERS: Mapping[str, float] = {
    "min_cluster_size": MIN_CLUSTER_SIZE,
    "min_samples": MIN_SAMPLES,
    "neighbours": NEIGHBOURS,
    "same_person": SAME_PERSON,
    "pair": PAIR,
    "stray": STRAY,
    "cluster_from": CLUSTER_FROM,
    "sure": SURE,
}


@dataclass(frozen=True, eq=False)
class Grouped:
    """The outcome: faces, and whose they are.

    `anew`: why all faces were clustered, or empty. `added`: faces that the run had not seen.
    `stale`: why they should be clustered anew, or empty. `shown`: the places of the faces in photos
    that are there; those of photos that were replaced or rewritten only help to know the others.
    """

    table: FaceTable
    people: People
    anew: str
    added: int
    stale: str
    shown: list[int]

    @property
    def nobodys(self) -> int:
        """How many of the shown faces are nobody's."""
        of_face, status, no_face = self.people.of_face, self.people.status, Status.NOT_A_FACE
        return sum(of_face[i] is None and status[i] is not no_face for i in self.shown)

    @property
    def pending(self) -> int:
        """How many of the shown faces somebody has to decide about."""
        shown = {*self.shown}
        return sum(doubt.face in shown for doubt in self.people.doubts)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Of what is made here nothing is in a cycle; looking for some takes .13 s of 2."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()
def group_faces(
    library: Library,
    said: Decisions,
    *,
    rebuild: bool = False,
    same_group: float | None = None,
    dry_run: bool = False,
) -> Grouped | None:
    """Cluster what is to be clustered, and find out whose each face is; None without faces.

    Args:
        rebuild: cluster all faces anew.
        same_group: the cosine above which two clusters are one person, kept for later runs.
        dry_run: change nothing in library.db.

    Raises:
        LibraryLockedError: others kept changing the faces meanwhile.
        LibraryError: it cannot be written.
    """
    for _ in range(ATTEMPTS):
        with library.transaction():  # one look: labels belong to their run
            before, table = library.face_runs.active_run(), library.faces.table()
            lost = library.faces.lost()
        if len(table) == 0:
            return None
        # What follows takes half an hour for 200,000 faces: others may write meanwhile.
        new = np.flatnonzero(table.labels == UNSEEN)
        run: RunRow | None
        anew = "as asked" if rebuild else why_anew(before, table)
        with _threads(few=not anew):
            if anew and not dry_run:
                run, placed = _cluster_all(table, before), np.arange(len(table))
            else:
                run, placed = before, _predict(table, new, before)
            kept = run.parameters if run else {}
            limit = same_group or float(kept.get("same_group", SAME_GROUP))
            people = _people(table, said, limit)
            people = replace(people, violations=_with_names(people.violations, table))
        shown = [i for i, content in enumerate(table.contents) if content not in lost]
        grouped = Grouped(table, people, anew, len(new), why_stale(run, table), shown)
        if dry_run or run is None:
            return grouped
        if same_group is not None:
            run = replace(run, parameters={**run.parameters, "same_group": same_group})
        if _saved(library, before, run, table, people, placed):
            return grouped
    raise LibraryLockedError(
        "photos were scanned for faces, or forgotten, while their faces were grouped; nothing is "
        "changed: run this again when no other command is at work"
    )


def _threads(*, few: bool) -> AbstractContextManager[object]:
    """One thread for what is added: a second one gains 0.1 s and waits, busily, for 0.4."""
    if not few:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    one: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return one


def _with_names(violations: Sequence[str], table: FaceTable) -> list[str]:
    """Contradictions with faces called as the commands print them, in place of their long keys."""
    found = {key for text in violations for key in _KEY.findall(text)}
    contents = {key.partition(":")[0] for key in found}
    keys = FaceKeys(table)
    names = {
        keys[i]: f"{content[:SHORT]}#{table.numbers[i]}"
        for i, content in enumerate(table.contents if found else ())
        if content in contents
    }
    return [_KEY.sub(lambda key: names.get(key[0], key[0]), text) for text in violations]


class FaceKeys:
    """The key of each face, as people.jsonl has it; made when asked for, as few of many are."""

    def __init__(self, table: FaceTable) -> None:
        self._table = table

    def __getitem__(self, face: int) -> str:
        box = Box(*self._table.boxes[face].tolist())
        return str(FaceKey(self._table.contents[face], box))


def why_anew(run: RunRow | None, table: FaceTable) -> str:
    """Why adding to the run would be no use; empty if it would."""
    if run is None:
        return "for the first time"
    if run.recogniser != table.recogniser:
        return "another model made the vectors"
    if int((table.labels == UNSEEN).sum()) > int((table.labels != UNSEEN).sum()):
        return "most faces are new"
    return ""


def why_stale(run: RunRow | None, table: FaceTable) -> str:
    """Why all faces should be clustered anew; empty if the run still fits."""
    if run is None:
        return "nothing was clustered yet"
    if run.recogniser != table.recogniser:
        return "another model made the vectors"
    if any(run.parameters.get(name) != value for name, value in PARAMETERS.items()):
        return "the parameters have changed"
    came = int((table.since | (table.labels == UNSEEN)).sum())
    share = came / max(run.faces, 1)
    return f"{share:.0%} of the faces came since" if share >= STALE_FROM else ""


def _cluster_all(table: FaceTable, before: RunRow | None) -> RunRow:
    fit = np.flatnonzero((table.seen >= CLUSTER_FROM) & (table.scores >= SURE))
    found = cluster(table.vectors[fit], photos=[table.contents[i] for i in fit.tolist()])
    table.labels[:], table.since[:] = -1, False
    table.labels[fit] = found.labels
    for array, values in (
        (table.core, found.core),
        (table.lambdas, found.lambdas),
        (table.outliers, found.outliers),
    ):
        array[:] = np.nan
        array[fit] = values
    count = len(found.births)
    parameters: dict[str, Any] = dict(PARAMETERS)
    if before is not None and "same_group" in before.parameters:
        parameters["same_group"] = before.parameters["same_group"]
    return RunRow(
        recogniser=table.recogniser,
        parameters=parameters,
        faces=len(table),
        noise=int((found.labels < 0).sum()),
        births=found.births,
        persistence=found.persistence,
        centroids=centroids_of(table, count),
        sizes=np.bincount(found.labels[found.labels >= 0], minlength=count),
        tree=found.tree,
    )


def centroids_of(table: FaceTable, count: int) -> NDArray[np.float32]:
    """The mean direction of each cluster's faces, shape (count, dim)."""
    sums = np.zeros((count, table.vectors.shape[1]), np.float32)
    inside = np.flatnonzero((table.labels >= 0) & (table.labels < count))
    np.add.at(sums, table.labels[inside], table.vectors[inside])
    return np.stack([unit(row) for row in sums]) if count else sums


def _predict(table: FaceTable, new: NDArray[np.int64], run: RunRow | None) -> NDArray[np.int64]:
    """Give new faces the cluster of their nearest clustered neighbour; those that were looked at.

    Near is measured as HDBSCAN does: no nearer than either's distance to its own neighbours.
    """
    table.labels[new], table.since[new] = -1, True
    known = (table.labels >= 0) & ~table.since
    fit = new[(table.seen[new] >= ASSIGN_FROM)]
    if run is None or not known.any() or not len(fit):
        return new
    found = nearest(table.vectors[fit], table.vectors, 2 * MIN_SAMPLES + 12, among=known)
    distances = np.sqrt(np.maximum(2.0 - 2.0 * found.cosines, 0.0))
    own = distances[:, min(MIN_SAMPLES, distances.shape[1]) - 1]
    theirs = np.nan_to_num(table.core[found.indices], nan=np.inf)
    mutual = np.maximum(np.maximum(distances, own[:, None]), theirs)
    best = mutual.argmin(axis=1)
    rows = np.arange(len(fit))
    labels = table.labels[found.indices[rows, best]]
    lambdas = 1.0 / np.maximum(mutual[rows, best], 1e-6)
    joins = lambdas >= run.births[labels]
    table.labels[fit[joins]] = labels[joins]
    table.lambdas[fit], table.core[fit] = lambdas, own
    return new


def _people(table: FaceTable, said: Decisions, same_group: float) -> People:
    weak = set(np.flatnonzero(table.seen < ASSIGN_FROM).tolist())
    return find_people(
        FaceKeys(table),
        table.contents,
        table.vectors,
        table.labels,
        said,
        table.persons,
        weak=weak,
        same_group=same_group,
    )


def _saved(
    library: Library,
    before: RunRow | None,
    run: RunRow,
    table: FaceTable,
    people: People,
    placed: NDArray[np.int64],
) -> bool:
    """Keep what is not there yet: of 200,000 faces a few have changed.

    False, and nothing is kept, if faces are gone or were clustered by another process since they
    were read. Those that came are for the next time.
    """
    fresh = set(placed.tolist())
    moved = [
        i
        for i, (person, status) in enumerate(zip(people.of_face, people.status, strict=True))
        if i in fresh or table.persons[i] != person or table.status[i] != status
    ]
    cosines = np.full(len(table), np.nan, np.float32)
    for i in moved:
        if (identity := people.of_face[i]) is not None:
            cosines[i] = table.vectors[i] @ people.persons[identity].centroid
    for doubt in people.doubts:
        cosines[doubt.face] = doubt.cosine
    runs = library.face_runs
    with library.transaction():
        same_run = runs.still_holds(before.number if before else 0)
        if not same_run or not library.faces.are_there(table, placed.tolist()):
            return False
        if run.number == 0:
            runs.save_run(run, table)
        else:
            runs.save_labels(table, placed.tolist())
            runs.save_parameters(run.parameters)
        library.faces.save_persons(table, moved, people.of_face, people.status, cosines)
    return True
