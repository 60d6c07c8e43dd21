"""Faces of photos, and whose each face is now; face_runs.py has the clusters.

All of it can be computed again; what a human said of faces is in people.jsonl. A face keeps its
number in a photo when it is found again, so that clusters outlive another detector threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from picture_captioner.library import face_table
from picture_captioner.library.face_table import VECTOR_DTYPE, FaceTable, half, number_or_none
from picture_captioner.library.home import Database
from picture_captioner.library.schema import from_key, to_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOST = "content NOT IN (SELECT content FROM files)"
_NEW = (
    "content IN (SELECT content FROM files) AND content NOT IN "
    "(SELECT content FROM face_assignments)"
)
_WHERE = "SELECT content, number, x, y, width, height, vector FROM faces WHERE "
_LANDMARKS_DTYPE = "<f4"


class StoredFace(NamedTuple):
    """A face: its box in pixels of the upright photo, and `seen`, its height when it was read.

    `landmarks` has shape (5, 2), `vector` (dim,). `age` holds probabilities, `gender` that of male.
    """

    number: int
    box: tuple[float, float, float, float]
    score: float
    seen: float
    landmarks: NDArray[np.float32]
    vector: NDArray[np.float32]
    age: NDArray[np.float32] | None = None
    gender: float | None = None


class StoredBody(NamedTuple):
    """Somebody, perhaps without a face: the box in pixels of the upright photo."""

    box: tuple[float, float, float, float]
    score: float


class Where(NamedTuple):
    """A face's box and its vector, to tell whether two pictures are one."""

    box: tuple[float, float, float, float]
    vector: NDArray[np.float16]


class Placed(NamedTuple):
    """A face as it is shown: where, whose, and how that came."""

    content_sha256: str
    number: int
    box: tuple[float, float, float, float]
    score: float
    person: str | None
    status: str | None
    cosine: float | None


class Faces:
    """The faces in library.db. Thread-safe; what every call may raise: `LibraryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_photo(self, content_sha256: str) -> list[tuple[int, tuple[float, float, float, float]]]:
        """Number and box of each face that was found in a photo."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT number, x, y, width, height FROM faces WHERE content = ? ORDER BY number",
                (to_key(content_sha256),),
            )
            return [(number, tuple(box)) for number, *box in rows]

    def save(
        self, content_sha256: str, detector: str, recogniser: str, faces: Sequence[StoredFace]
    ) -> None:
        """Replace what is known of a photo's faces; who keeps the number keeps the cluster.

        A face whose vector comes from another recogniser than before is in no cluster any more.
        """
        content = to_key(content_sha256)
        rows = [_face_row(content, face, detector, recogniser) for face in faces]
        with self._database.transaction() as connection:
            kept = connection.execute(
                "SELECT number FROM faces WHERE content = ? AND recogniser = ?",
                (content, recogniser),
            ).fetchall()
            stay = {number for (number,) in kept} & {face.number for face in faces}
            connection.execute("DELETE FROM faces WHERE content = ?", (content,))
            marks = ",".join("?" * 14)
            connection.executemany(f"INSERT INTO faces VALUES ({marks})", rows)  # noqa: S608
            for (number,) in connection.execute(
                "SELECT number FROM face_assignments WHERE content = ?", (content,)
            ).fetchall():
                if number not in stay:
                    connection.execute(
                        "DELETE FROM face_assignments WHERE content = ? AND number = ?",
                        (content, number),
                    )

    def table(self, recogniser: str | None = None) -> FaceTable:
        """Every face of a recogniser, by default of that of most, by photo and number."""
        with self._database.reading() as connection:
            return face_table.read(connection, recogniser)

    def are_there(self, table: FaceTable, which: Sequence[int]) -> bool:
        """Whether some faces of a table that was read before are there still."""
        with self._database.reading() as connection:
            if len(which) < len(table):
                query = "SELECT 1 FROM faces WHERE content = ? AND number = ? AND recogniser = ?"
                keys = ((to_key(table.contents[i]), int(table.numbers[i])) for i in which)
                return all(
                    connection.execute(query, (*key, table.recogniser)).fetchone() for key in keys
                )
            rows = connection.execute(
                "SELECT content, number FROM faces WHERE recogniser = ?", (table.recogniser,)
            ).fetchall()
        return set(rows).issuperset(
            zip(map(to_key, table.contents), table.numbers.tolist(), strict=True)
        )

    def save_persons(
        self,
        table: FaceTable,
        which: Iterable[int],
        persons: Sequence[str | None],
        status: Sequence[str],
        cosines: NDArray[np.float32],
    ) -> None:
        """Keep whose some of the table's faces are."""
        rows = (
            (
                persons[i],
                status[i],
                number_or_none(cosines[i]),
                to_key(table.contents[i]),
                int(table.numbers[i]),
            )
            for i in which
        )
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE face_assignments SET person = ?, status = ?, cosine = ? "
                "WHERE content = ? AND number = ?",
                rows,
            )

    def placed(self) -> list[Placed]:
        """Every face and whose it is, by photo; None as status where nobody has looked yet."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT content, number, x, y, width, height, score, person, status, cosine "
                "FROM faces LEFT JOIN face_assignments USING (content, number) "
                "ORDER BY content, number"
            ).fetchall()
        return [
            Placed(from_key(content), number, (x, y, w, h), score, person, status, cosine)
            for content, number, x, y, w, h, score, person, status, cosine in rows
        ]

    def where(self, *, lost: bool) -> dict[str, dict[int, Where]]:
        """By content and number, the faces of contents that no file has, or of new ones of files.

        New are those of which nobody has asked yet whose they are.
        """
        with self._database.reading() as connection:
            return _places(connection.execute(f"{_WHERE}{_LOST if lost else _NEW}").fetchall())

    def lost(self) -> set[str]:
        """The contents with faces that no file has any more."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT content FROM faces WHERE {_LOST}"  # noqa: S608
            ).fetchall()
        return {from_key(content) for (content,) in rows}

    def where_of(self, contents: Iterable[str]) -> dict[str, dict[int, Where]]:
        """The same of these contents."""
        with self._database.reading() as connection:
            rows = [
                row
                for content in contents
                for row in connection.execute(f"{_WHERE}content = ?", (to_key(content),)).fetchall()
            ]
        return _places(rows)

    def move(self, old: str, new: str) -> None:
        """The faces of one content are those of another: whose they are stays, the old ones go.

        Should the old content come back, its faces are looked for again.
        """
        before, after = to_key(old), to_key(new)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE face_assignments SET content = ? WHERE content = ? AND NOT EXISTS "
                "(SELECT 1 FROM face_assignments WHERE content = ?)",
                (after, before, after),
            )
            for table in ("face_assignments", "faces", "bodies"):
                connection.execute(f"DELETE FROM {table} WHERE content = ?", (before,))  # noqa: S608
            connection.execute(
                "DELETE FROM stages WHERE content = ? AND stage IN ('faces', 'bodies')", (before,)
            )

    def save_bodies(self, content_sha256: str, bodies: Sequence[StoredBody]) -> None:
        """Replace what is known of the bodies in a photo."""
        content = to_key(content_sha256)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM bodies WHERE content = ?", (content,))
            connection.executemany(
                "INSERT INTO bodies VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(content, n, *body.box, body.score) for n, body in enumerate(bodies)],
            )

    def bodies(self) -> dict[str, list[StoredBody]]:
        """The bodies in each photo that has any, the surest first."""
        found: dict[str, list[StoredBody]] = {}
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT content, x, y, width, height, score FROM bodies ORDER BY content, number"
            ).fetchall()
        for content, x, y, width, height, score in rows:
            found.setdefault(from_key(content), []).append(StoredBody((x, y, width, height), score))
        return found

    def attributes(self) -> dict[tuple[str, int], tuple[NDArray[np.float32] | None, float | None]]:
        """Age (probabilities) and gender (of male) of the faces that were asked for them."""
        import numpy as np

        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT content, number, age, gender FROM faces "
                "WHERE age IS NOT NULL OR gender IS NOT NULL"
            ).fetchall()
        return {
            (from_key(content), number): (
                None if age is None else np.frombuffer(age, "<f2").astype(np.float32),
                gender,
            )
            for content, number, age, gender in rows
        }

    def looked_at(self) -> set[str]:
        """The contents in which faces were looked for, whether or not there were any."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT content FROM stages WHERE stage = 'faces' AND status = 'done' "
                "UNION SELECT content FROM faces"
            )
            return {from_key(content) for (content,) in rows}

    def crops(self, faces: Iterable[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        """The pictures (WebP) of these faces, by content and number, of those that were cut out."""
        query = "SELECT webp FROM face_crops WHERE content = ? AND number = ?"
        with self._database.reading() as connection:
            rows = {
                face: connection.execute(query, (to_key(face[0]), face[1])).fetchone()
                for face in faces
            }
        return {face: bytes(row[0]) for face, row in rows.items() if row is not None}

    def save_crops(self, content_sha256: str, crops: Mapping[int, bytes]) -> None:
        """Keep the pictures of a photo's faces, by number; they go when the faces do."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO face_crops VALUES (?, ?, ?)",
                [(to_key(content_sha256), number, webp) for number, webp in crops.items()],
            )

    def waiting_since(self, seconds: float) -> int:
        """How many faces of nobody were looked at before that time (of the Unix epoch)."""
        with self._database.reading() as connection:
            (number,) = connection.execute(
                "SELECT count(*) FROM face_assignments WHERE person IS NULL AND at < ?",
                (int(seconds),),
            ).fetchone()
        return int(number)

    def years(self, contents: Iterable[str]) -> dict[str, int]:
        """The year in which each photo was taken, where that is known."""
        wanted = set(contents)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT content, taken_at FROM photos WHERE taken_at IS NOT NULL"
            ).fetchall()
        found = {from_key(content): taken_at for content, taken_at in rows}
        return {content: int(found[content][:4]) for content in wanted & found.keys()}

    def files(self) -> dict[str, list[str]]:
        """The paths at which each content that has a face or a body was seen last."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT rel_path, files.content FROM files JOIN faces USING (content) "
                "UNION SELECT rel_path, files.content FROM files JOIN bodies USING (content) "
                "ORDER BY rel_path"
            ).fetchall()
        for path, content in rows:
            found.setdefault(from_key(content), []).append(from_key(path))
        return found


def _places(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[int, Where]]:
    import numpy as np

    found: dict[str, dict[int, Where]] = {}
    for content, number, *box, vector in rows:
        face = Where((box[0], box[1], box[2], box[3]), np.frombuffer(vector, VECTOR_DTYPE))
        found.setdefault(from_key(content), {})[number] = face
    return found


def _face_row(content: bytes, face: StoredFace, detector: str, recogniser: str) -> tuple[Any, ...]:
    return (
        content,
        face.number,
        *face.box,
        face.score,
        face.seen,
        face.landmarks.astype(_LANDMARKS_DTYPE).tobytes(),
        half(face.vector),
        detector,
        recogniser,
        None if face.age is None else face.age.astype("<f2").tobytes(),
        face.gender,
    )
