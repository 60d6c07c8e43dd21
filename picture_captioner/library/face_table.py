"""All faces of a recogniser as arrays, which clusters are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from picture_captioner.library.database import ROWS_AT_ONCE
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import from_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VECTOR_DTYPE = "<f2"


@dataclass(frozen=True, eq=False)
class FaceTable:
    """All faces of one recogniser, and where each stands; arrays and lists of one length.

    `boxes` (n, 4), `vectors` (n, dim) of unit length. `labels` is -1 for faces in no cluster and -2
    for those that the run has not seen; `core` is NaN where nothing is known. `lambdas` and
    `outliers` are for who clusters to keep: nothing reads them, so they come as NaN.
    """

    recogniser: str
    contents: list[str]
    numbers: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    seen: NDArray[np.float32]
    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]
    since: NDArray[np.bool_]
    core: NDArray[np.float32]
    persons: list[str | None]
    status: list[str | None]
    lambdas: NDArray[np.float32]
    outliers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.contents)


def read(connection: Connection, recogniser: str | None = None) -> FaceTable:
    """Every face of a recogniser, by default of that of most, by photo and number.

    Vectors of another length than most have are damaged, and left out.
    """
    import numpy as np

    found: dict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)
    [first] = connection.execute("SELECT recogniser FROM faces LIMIT 1").fetchone() or [""]
    cursor = connection.execute(
        "SELECT content, number, x, y, width, height, score, seen, vector, "
        "coalesce(label, -2), coalesce(since, FALSE), core, person, status, "
        "nullif(recogniser, ?) "  # the same text 200,000 times takes 0.07 s
        "FROM faces LEFT JOIN face_assignments USING (content, number) "
        "ORDER BY content, number",
        (first,),
    )
    # All of 200,000 rows as Python objects would be out of the cache: twice the time.
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        kinds = [(row[14] or first, len(row[8])) for row in rows]
        for kind in {*kinds}:
            some = [row for row, own in zip(rows, kinds, strict=True) if own == kind]
            found[kind].append(_columns(some))
    sizes = {
        kind: sum(len(part[0]) for part in parts)
        for kind, parts in found.items()
        if recogniser in {None, kind[0]}
    }
    kind = max(sizes, key=sizes.__getitem__, default=(recogniser or "", 0))
    columns = [*map(_joined, zip(*(found.get(kind) or [_columns([])]), strict=True))]
    return FaceTable(kind[0], *columns, *np.full((2, len(columns[0])), np.nan, np.float32))


def _columns(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The columns of a `FaceTable`, from its contents on, of some of its rows."""
    import numpy as np

    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * 15
    contents, numbers, x, y, width, height, scores, seen, vectors = columns[:9]
    labels, since, core, persons, status = columns[9:14]
    halves = np.frombuffer(b"".join(vectors), VECTOR_DTYPE)
    return (
        [from_key(content) for content in contents],
        np.array(numbers, np.int64),
        np.array([x, y, width, height], np.float64).T,
        np.array(scores, np.float32),
        np.array(seen, np.float32),
        halves.reshape(len(rows), -1) if rows else halves.reshape(0, 0),
        np.array(labels, np.int64),
        np.array(since, bool),
        np.array(core, np.float32),
        list(persons),
        list(status),
    )


def _joined(parts: Sequence[Any]) -> Any:
    import numpy as np

    if isinstance(parts[0], list):
        return [*chain(*parts)]
    return _unit(parts) if parts[0].dtype == VECTOR_DTYPE else np.concatenate(parts)


def _unit(parts: Sequence[NDArray[np.float16]]) -> NDArray[np.float32]:
    """Stored vectors with length 1, each piece in its place: 200,000 are copied once."""
    import numpy as np

    unit = np.empty((sum(map(len, parts)), parts[0].shape[1]), np.float32)
    places = np.split(unit, np.cumsum([*map(len, parts)])[:-1])
    for place, part in zip(places, parts, strict=True):
        place[:] = part
        squares = np.einsum("ij,ij->i", place, place)
        if not np.isfinite(squares).all():
            np.nan_to_num(place, copy=False)
            squares = np.einsum("ij,ij->i", place, place)
        place /= np.maximum(np.sqrt(squares), np.float32(1e-12))[:, None]
    return unit


def half(vector: NDArray[np.float32]) -> bytes:
    """A vector as it is stored."""
    return vector.astype(VECTOR_DTYPE).tobytes()


def number_or_none(value: np.float32) -> float | None:
    """A number as it is stored: NaN is unknown."""
    return None if value != value else float(value)
