"""Clustering runs over the faces, their clusters, and which face is in which.

All of it can be computed again from the faces; so forgetting one clears what was computed of many.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from picture_captioner.library.face_table import VECTOR_DTYPE, FaceTable, half, number_or_none
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.schema import to_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RunRow:
    """A clustering run. `births`, `persistence` and `centroids` have a row for each cluster.

    `tree` is what `save_run` keeps; `active_run` leaves it out: only `FaceRuns.tree` reads it.
    """

    recogniser: str
    parameters: Mapping[str, Any]
    faces: int
    noise: int
    births: NDArray[np.float32]
    persistence: NDArray[np.float32]
    centroids: NDArray[np.float32]
    sizes: NDArray[np.int64]
    tree: NDArray[np.float64] | None = None
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    number: int = 0


class FaceRuns:
    """The runs in library.db. Thread-safe; what every call may raise: `LibraryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def active_run(self) -> RunRow | None:
        """The clustering run that holds."""
        import numpy as np

        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, created_at, recogniser, parameters, faces, noise FROM face_runs "
                "WHERE active"
            ).fetchone()
            if row is None:
                return None
            number, created_at, recogniser, parameters, faces, noise = row
            clusters = connection.execute(
                "SELECT birth, persistence, faces, centroid FROM face_clusters WHERE run = ? "
                "ORDER BY label",
                (number,),
            ).fetchall()
        centroids = [np.frombuffer(c[3] or b"", VECTOR_DTYPE).astype(np.float32) for c in clusters]
        return RunRow(
            recogniser=recogniser,
            parameters=json.loads(parameters),
            faces=faces,
            noise=noise,
            births=np.array([c[0] for c in clusters], np.float32),
            persistence=np.array([c[1] for c in clusters], np.float32),
            centroids=np.stack(centroids)
            if len({len(centroid) for centroid in centroids}) == 1
            else np.zeros((len(clusters), 0), np.float32),
            sizes=np.array([c[2] for c in clusters], np.int64),
            created_at=created_at,
            number=number,
        )

    def tree(self, run: int) -> NDArray[np.float64]:
        """The condensed trees of a run, as `people.clustering.Clusters` describes them."""
        import numpy as np

        with self._database.reading() as connection:
            row = connection.execute("SELECT tree FROM face_runs WHERE id = ?", (run,)).fetchone()
        if row is None or row[0] is None:
            return np.empty((0, 5))
        with np.load(io.BytesIO(row[0]), allow_pickle=False) as held:
            tree: NDArray[np.float64] = held["tree"]
        return tree

    def still_holds(self, run: int) -> bool:
        """Whether this run (0: none) is the active one; no other is until the transaction ends."""
        with self._database.transaction() as connection:
            connection.alone("cluster faces")
            row = connection.execute("SELECT id FROM face_runs WHERE active").fetchone()
        return run == (row[0] if row else 0)

    def save_run(self, run: RunRow, table: FaceTable) -> int:
        """Keep a run, with the table's labels, and let it be the one that holds; its number."""
        with self._database.transaction() as connection:
            connection.alone("cluster faces")
            connection.execute("UPDATE face_runs SET active = FALSE")
            (number,) = connection.execute(
                "INSERT INTO face_runs (created_at, recogniser, parameters, faces, clusters, "
                "noise, active, tree) VALUES (?, ?, ?, ?, ?, ?, TRUE, ?) RETURNING id",
                (
                    run.created_at,
                    run.recogniser,
                    json.dumps(run.parameters),
                    run.faces,
                    len(run.births),
                    run.noise,
                    _packed(run.tree),
                ),
            ).fetchone()
            connection.executemany(
                "INSERT INTO face_clusters (run, label, birth, persistence, faces, centroid) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (number, label, float(birth), float(lasts), int(size), half(centroid))
                    for label, (birth, lasts, size, centroid) in enumerate(
                        zip(run.births, run.persistence, run.sizes, run.centroids, strict=True)
                    )
                ),
            )
            connection.execute("DELETE FROM face_assignments")
            self.save_labels(table, range(len(table)))
        return int(number)

    def save_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Change what is noted of the active run's parameters."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE face_runs SET parameters = ? WHERE active", (json.dumps(parameters),)
            )

    def save_labels(self, table: FaceTable, which: Iterable[int]) -> None:
        """Keep the cluster of some faces of the table; one that is -2 is not kept."""
        now = int(time.time())
        rows = (
            (
                to_key(table.contents[i]),
                int(table.numbers[i]),
                int(table.labels[i]),
                bool(table.since[i]),
                number_or_none(table.core[i]),
                number_or_none(table.lambdas[i]),
                number_or_none(table.outliers[i]),
                now,
            )
            for i in which
            if table.labels[i] > -2
        )
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO face_assignments (content, number, label, since, core, lambda, "
                "outlier, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (content, number) DO UPDATE SET "
                "label = excluded.label, since = excluded.since, core = excluded.core, "
                "lambda = excluded.lambda, outlier = excluded.outlier",
                rows,
            )

    def clusters_with_medoid(self) -> set[int]:
        """The labels of the clusters whose most typical face is marked."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT DISTINCT label FROM face_assignments WHERE medoid")
            return {label for (label,) in rows}

    def save_medoids(self, table: FaceTable, which: Iterable[int]) -> None:
        """Mark these faces of the table as the most typical of their clusters, and no others."""
        rows = [(to_key(table.contents[i]), int(table.numbers[i])) for i in which]
        with self._database.transaction() as connection:
            connection.execute("UPDATE face_assignments SET medoid = FALSE WHERE medoid")
            connection.executemany(
                "UPDATE face_assignments SET medoid = TRUE WHERE content = ? AND number = ?", rows
            )

    def save_centroids(self, run: int, centroids: NDArray[np.float32]) -> None:
        """Replace the centroids of a run's clusters, array (clusters, dim)."""
        rows = [(half(row), run, label) for label, row in enumerate(centroids)]
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE face_clusters SET centroid = ? WHERE run = ? AND label = ?", rows
            )

    def drop_clusters(self, run: int, labels: Sequence[int]) -> None:
        """Take empty clusters out of a run; those after them move up, and their faces with them."""
        gone = json.dumps(list(labels))
        before = "(SELECT count(*) FROM json_each(?) WHERE CAST(value AS INTEGER) < label)"
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM face_clusters WHERE run = ? AND label IN "
                "(SELECT CAST(value AS INTEGER) FROM json_each(?))",
                (run, gone),
            )
            # By way of negative numbers: no row may have the label of one that is yet to move.
            connection.execute(
                f"UPDATE face_clusters SET label = {before} - label - 1 WHERE run = ?",  # noqa: S608
                (gone, run),
            )
            connection.execute("UPDATE face_clusters SET label = -label - 1 WHERE run = ?", (run,))
            connection.execute(
                f"UPDATE face_assignments SET label = label - {before} WHERE label > 0",  # noqa: S608
                (gone,),
            )

    def save_sizes(self, run: int, sizes: NDArray[np.int64]) -> None:
        """Replace the number of faces of a run's clusters."""
        rows = [(int(size), run, label) for label, size in enumerate(sizes)]
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE face_clusters SET faces = ? WHERE run = ? AND label = ?", rows
            )


def drop_leftovers(connection: Connection) -> None:
    """After faces were forgotten: keep nothing that was computed from them and others together."""
    connection.execute("UPDATE face_runs SET tree = NULL")
    connection.execute("UPDATE face_clusters SET centroid = NULL")


def _packed(tree: NDArray[np.float64] | None) -> bytes | None:
    import numpy as np

    if tree is None:
        return None
    buffer = io.BytesIO()
    np.savez_compressed(buffer, tree=tree)
    return buffer.getvalue()
