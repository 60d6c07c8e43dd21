"""Vectors by model and key, in half precision: 768 dimensions take 1.5 kB.

Rows of float16 differ from float32 by less than 0.001 in cosine, far below what tells photos apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from library.encoding import from_key, to_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPE = "<f2"
_KEYS_PER_QUERY = 500


def save(
    connection: sqlite3.Connection,
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
    rows = [(model, to_key(key), row.tobytes()) for key, row in zip(keys, half, strict=True)]
    connection.executemany(
        "INSERT INTO vectors (model, key, vector) VALUES (?, ?, ?) "
        "ON CONFLICT (model, key) DO UPDATE SET vector = excluded.vector",
        rows,
    )
    return replaced


def _model(connection: sqlite3.Connection, identity: str, dimension: int) -> tuple[int, bool]:
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
    connection: sqlite3.Connection, identity: str, keys: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which keys have a vector, and an array (n, dimension) with zeros for the others."""
    import numpy as np

    model = connection.execute(
        "SELECT id, dimension FROM models WHERE identity = ?", (identity,)
    ).fetchone()
    known = np.zeros(len(keys), bool)
    if model is None:
        return known, np.zeros((len(keys), 0), np.float32)
    array = np.zeros((len(keys), model[1]), np.float32)
    places: dict[bytes, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(to_key(key), []).append(place)
    for rows in _stored(connection, model[0], list(places)):
        found = [(place, vector) for key, vector in rows for place in places[key]]
        if found:
            indices, blobs = zip(*found, strict=True)
            known[list(indices)] = True
            array[list(indices)] = np.frombuffer(b"".join(blobs), DTYPE).reshape(-1, model[1])
    return known, array


def _stored(
    connection: sqlite3.Connection, model: int, keys: Sequence[bytes]
) -> Iterator[list[tuple[bytes, bytes]]]:
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        some = keys[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(some))
        query = f"SELECT key, vector FROM vectors WHERE model = ? AND key IN ({marks})"  # noqa: S608
        yield connection.execute(query, (model, *some)).fetchall()


def nearest(
    connection: sqlite3.Connection, identity: str, query: NDArray[np.float32], limit: int
) -> list[tuple[str, float]]:
    """The keys whose vectors are nearest to `query`, shape (dimension,), with their cosines."""
    import numpy as np

    model = connection.execute(
        "SELECT id, dimension FROM models WHERE identity = ?", (identity,)
    ).fetchone()
    if model is None or query.shape != (model[1],):
        return []
    found = connection.execute("SELECT key, vector FROM vectors WHERE model = ?", model[:1])
    rows = found.fetchall()
    array = np.frombuffer(b"".join(row[1] for row in rows), DTYPE).reshape(len(rows), model[1])
    cosines = array.astype(np.float32) @ query
    best = np.argsort(-cosines, kind="stable")[:limit]
    return [(from_key(rows[place][0]), float(cosines[place])) for place in best]
