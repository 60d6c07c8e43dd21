"""The nearest vectors on a PostgreSQL server: exact, or by an HNSW index where there are many.

An index is made after the vectors are there (`library index`): each that comes later takes some
milliseconds more. It gives its best first; whoever wants more, since filters leave few of those,
gets the rest from an exact scan.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from picture_captioner.library.postgresql_access import connect, telling
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    from numpy.typing import NDArray

LEAST_VECTORS = 100_000
"""Of one model, for an index: an exact scan takes 0.1 s there, and 1.1 s for a million."""

_BY_INDEX = 2_000
"""Of the index's best that are asked for: a search takes a thousand."""

_CANDIDATES = 1_000
"""That the index keeps at a time, the most that pgvector allows."""

_MEMORY = "1GB"
"""For the graph while it is made: 2.6 times as slow where it does not fit."""


def nearest(
    raw: psycopg.Connection[Any], model: int, query: NDArray[np.float32]
) -> Iterator[tuple[bytes, float]]:
    """All keys of a model with their products with `query`, best first."""
    # Cast to 32 bits: half of the query's would rank otherwise than library.db does.
    product = "-(CAST(vector AS vector) <#> CAST(%s AS vector))"
    wanted = f"[{','.join(map(repr, query.tolist()))}]"
    given: set[bytes] = set()
    if _is_indexed(raw, model):
        raw.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), "
            "set_config('hnsw.iterative_scan', 'strict_order', true)",
            (str(_CANDIDATES),),
        )
        half = f"halfvec({len(query)})"
        by_index = (
            f"SELECT key, {product} AS product FROM (SELECT key, vector FROM vectors "  # noqa: S608
            f"WHERE model = {model} ORDER BY CAST(vector AS {half}) <#> CAST(%s AS {half}) "
            f"LIMIT {_BY_INDEX}) AS near ORDER BY product DESC, key"
        )
        for key, found in raw.execute(by_index.encode(), (wanted, wanted), binary=True):
            given.add(key)
            yield key, found
    exact = (
        f"SELECT key, {product} AS product FROM vectors WHERE model = {model} "  # noqa: S608
        "ORDER BY product DESC, key"
    )
    with raw.cursor(name="nearest") as cursor:  # few are fetched as a rule
        cursor.itersize = _BY_INDEX
        for key, found in cursor.execute(exact.encode(), (wanted,), binary=True):
            if key not in given:
                yield key, found


def _name(model: int) -> str:
    return f"vectors_near_{model}"


def _is_indexed(raw: psycopg.Connection[Any], model: int) -> bool:
    row = raw.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (_name(model),)
    ).fetchone()
    return bool(row and row[0])


def index_vectors(address: ServerAddress) -> Iterator[str]:
    """Index the models that have many vectors and no index; a sentence for each.

    Others may write meanwhile. What a kill leaves half made is made again the next time.

    Raises:
        LibraryError: it cannot be made.
    """
    with telling(address), contextlib.closing(connect(address)) as raw:
        raw.autocommit = True
        raw.execute(f'SET search_path TO "{address.collection}", public'.encode())
        raw.execute("SELECT set_config('maintenance_work_mem', %s, false)", (_MEMORY,))
        models = raw.execute(
            "SELECT id, identity, dimension, (SELECT count(*) FROM vectors WHERE model = id) "
            "FROM models ORDER BY id"
        ).fetchall()
        for model, identity, dimension, number in models:
            if number < LEAST_VECTORS:
                yield f"{identity}: {number:,} vectors need no index, an exact scan is fast"
            elif _is_indexed(raw, model):
                yield f"{identity}: {number:,} vectors are indexed"
            else:
                yield f"{identity}: indexing {number:,} vectors, which takes minutes"
                raw.execute(f"DROP INDEX IF EXISTS {_name(model)}".encode())
                raw.execute(
                    f"CREATE INDEX CONCURRENTLY {_name(model)} ON vectors USING hnsw "
                    f"(CAST(vector AS halfvec({dimension})) halfvec_ip_ops) "
                    f"WHERE model = {model}".encode()
                )
        raw.execute("ANALYZE vectors")  # else the index is not thought to be worth it
