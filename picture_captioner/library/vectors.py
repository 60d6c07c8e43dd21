"""Vectors by model and key, in half precision: 768 dimensions take 1.5 kB.

Rows of float16 differ from float32 by less than 0.001 in cosine, far below what tells photos apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from picture_captioner.library.database import EVERY_VECTOR, ROWS_AT_ONCE
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import from_key, to_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPE = "<f2"


def save(
    connection: Connection,
    identity: str,
    keys: Sequence[str],
    array: NDArray[np.floating[Any]],
) -> bool:
    """Store one row per key; whether older vectors of another dimension had to go.

    Raises:
        ValueError: not one finite row of a matrix for each key.
    """
    import numpy as np

    if array.ndim != 2 or len(array) != len(keys) or not np.isfinite(array).all():
        raise ValueError(f"{len(keys)} keys need as many finite vectors, not {array.shape}")
    model, replaced = _model(connection, identity, array.shape[1])
    half = np.ascontiguousarray(array, DTYPE)
    rows = [
        (model, to_key(key), connection.halves(row.tobytes()))
        for key, row in zip(keys, half, strict=True)
    ]
    connection.executemany(
        "INSERT INTO vectors (model, key, vector) VALUES (?, ?, ?) "
        "ON CONFLICT (model, key) DO UPDATE SET vector = excluded.vector",
        rows,
    )
    return replaced


def _model(connection: Connection, identity: str, dimension: int) -> tuple[int, bool]:
    """The model's number, and whether it was known with another dimension."""
    known = connection.execute(
        "SELECT dimension, dtype FROM models WHERE identity = ?", (identity,)
    ).fetchone()
    replaced = known is not None and known != (dimension, DTYPE)
    if replaced:
        connection.execute("DELETE FROM models WHERE identity = ?", (identity,))
    connection.execute(
        "INSERT OR IGNORE INTO models (identity, dimension, dtype) VALUES (?, ?, ?)",
        (identity, dimension, DTYPE),
    )
    found = connection.execute("SELECT id FROM models WHERE identity = ?", (identity,))
    return int(found.fetchone()[0]), replaced


def load(
    connection: Connection, identity: str, keys: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which keys have a vector, and an array (n, dimension) with zeros for the others."""
    import numpy as np

    model = connection.execute(
        "SELECT id, dimension FROM models WHERE identity = ?", (identity,)
    ).fetchone()
    if model is None:
        return np.zeros(len(keys), bool), np.zeros((len(keys), 0), np.float32)
    wanted = [to_key(key) for key in keys]
    places = {key: place for place, key in enumerate(dict.fromkeys(wanted))}
    known = np.zeros(len(places), bool)
    array = np.zeros((len(places), model[1]), np.float32)
    for rows in _stored(connection, model[0], places):
        here = [places[key] for key, _ in rows]
        array[here] = _matrix(rows, model[1])
        known[here] = np.isfinite(array[here]).all(axis=1)
    array[~known] = 0
    if len(places) == len(wanted):
        return known, array
    each = [places[key] for key in wanted]
    return known[each], array[each]


def _stored(
    connection: Connection, model: int, keys: Collection[bytes]
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Those of the keys that are stored, with their vectors, some at a time.

    Where most of all are wanted, the table is read from its beginning to its end: half the time of
    a look-up for each.
    """
    count = "SELECT count(*) FROM vectors WHERE model = ?"
    if 2 * len(keys) > connection.execute(count, (model,)).fetchone()[0]:
        everything = connection.execute(EVERY_VECTOR, (model,))
        while rows := everything.fetchmany(ROWS_AT_ONCE):
            yield [row for row in rows if row[0] in keys]
        return
    ordered = list(keys)
    for start in range(0, len(ordered), ROWS_AT_ONCE):
        some = ordered[start : start + ROWS_AT_ONCE]
        marks = ",".join("?" * len(some))
        query = f"SELECT key, vector FROM vectors WHERE model = ? AND key IN ({marks})"  # noqa: S608
        yield connection.execute(query, (model, *some)).fetchall()


def nearest(
    connection: Connection, identity: str, query: NDArray[np.float32]
) -> Iterator[tuple[str, float]]:
    """All keys with their cosines to `query`, shape (dimension,), best first."""
    model = connection.execute(
        "SELECT id, dimension FROM models WHERE identity = ?", (identity,)
    ).fetchone()
    if model is None or query.shape != (model[1],):
        return
    for key, cosine in connection.nearest(model[0], query):
        yield from_key(key), cosine


def _matrix(rows: Sequence[tuple[bytes, bytes]], dimension: int) -> NDArray[np.float16]:
    import numpy as np

    return np.frombuffer(b"".join([vector for _, vector in rows]), DTYPE).reshape(-1, dimension)
