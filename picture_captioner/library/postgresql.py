"""A library on a PostgreSQL server with pgvector, for several machines at once.

A collection is a schema. Each transaction sets its search path anew, so that nothing can come to
the wrong collection behind a pooler that hands a connection from one program to another. SQLite's
few words that PostgreSQL does not know are replaced here (`translated`); the queries are the same.
"""

from __future__ import annotations

import array
import contextlib
import functools
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from picture_captioner.library import postgresql_migrating, postgresql_search
from picture_captioner.library.home import Connection, Cursor, Part, Phrase
from picture_captioner.library.postgresql_access import (
    CHECK_SECONDS,
    arguments_of,
    connect,
    first_connection,
    impatient,
    needed_psycopg,
    telling,
)
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    import numpy as np
    import psycopg
    from numpy.typing import NDArray
    from psycopg_pool import ConnectionPool

BUSY_SECONDS = 20
"""How long rows that another process is writing are waited for; ours take milliseconds."""

_MOST_CONNECTIONS = 8
"""Of one process; a server allows a hundred unless told otherwise."""

_BOOLEAN = 16
"""The type's number, the same in every database."""

Notice = Callable[[str], None]
Keys = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""By table: all columns, and those of its primary key."""


class PostgresDatabase:
    """A collection on a server. Each thread has a connection of its own while it asks.

    Raises, from every method:
        LibraryUnreachableError: the server is down, or went away and did not come back.
        LibraryDeniedError: it takes no such role or password, or a right is missing.
        LibraryLockedError: another process kept rows locked for `BUSY_SECONDS`.
        LibrarySetupError, LibraryNewerError: from the constructor alone: pgvector or the database
            is missing; a later version of this program wrote the collection.
        LibraryError: anything else; nothing of that transaction is written.
    """

    path = None

    def __init__(self, address: ServerAddress, notice: Notice, restart_seconds: float) -> None:
        """Connect, and bring the collection to this program's version; made if there is none."""
        self._address = address
        self._restart_seconds = restart_seconds
        self._held = threading.local()
        with telling(self._address):
            with contextlib.closing(first_connection(address, notice)) as first:
                schemas, self._keys = postgresql_migrating.prepare(first, address, notice)
                self._types = _Types.of(first)
            self._path = ", ".join(f'"{schema}"' for schema in schemas)
            self._pool = self._open_pool()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of the block is written, or nothing; the inner ones belong to the outermost."""
        if (held := getattr(self._held, "connection", None)) is not None:
            yield held
            return
        with telling(self._address), self._pool.connection() as raw:
            self._held.connection = self._served(raw)
            try:
                yield self._held.connection
            finally:
                self._held.connection = None

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """The connection, for queries."""
        return self.transaction()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """As `reading`, but all queries see one state, whatever others write meanwhile."""
        with telling(self._address), self._pool.connection() as raw:
            raw.isolation_level = needed_psycopg().IsolationLevel.REPEATABLE_READ
            try:
                yield self._served(raw)
            finally:
                raw.rollback()
                raw.isolation_level = None

    def reclaim(self) -> None:
        """Rewrite every table without what was deleted; the server's own log is its own."""
        with self.reading() as connection:
            tables = {table for table, _ in connection.columns()}
        with telling(self._address), contextlib.closing(connect(self._address)) as raw:
            raw.autocommit = True
            for table in sorted({*tables, *postgresql_search.WEIGHTS}):
                raw.execute(f'VACUUM (FULL) "{self._address.collection}"."{table}"'.encode())

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _served(self, raw: psycopg.Connection[Any]) -> ServedConnection:
        raw.execute(
            "SELECT set_config('search_path', %s, true), set_config('lock_timeout', %s, true)",
            (self._path, f"{BUSY_SECONDS}s"),
        )
        return ServedConnection(raw, self._keys, self._types)

    def _open_pool(self) -> ConnectionPool[psycopg.Connection[Any]]:
        from psycopg_pool import ConnectionPool

        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # our sentence says it
        return ConnectionPool(
            self._address.url,
            connection_class=impatient(),
            kwargs=arguments_of(self._address),
            min_size=0,
            max_size=_MOST_CONNECTIONS,
            timeout=self._restart_seconds,
            num_workers=1,
            configure=lambda raw: self._types.teach(raw),
            check=_check,
            open=True,
        )


def _check(raw: Any) -> None:
    """See that a connection which nobody used for a while is still one."""
    from psycopg_pool import ConnectionPool

    raw.silent_seconds, usual = CHECK_SECONDS, raw.silent_seconds
    ConnectionPool.check_connection(raw)
    raw.silent_seconds = usual


class ServedConnection:
    """A connection of psycopg that takes the library's SQL."""

    def __init__(self, raw: psycopg.Connection[Any], keys: Keys, types: _Types) -> None:
        self._raw, self._keys, self._types = raw, keys, types

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Cursor:
        """Run one statement; its marks are `?` or `:name`."""
        cursor = self._raw.cursor(binary=True)
        return cast(Cursor, cursor.execute(self._translated(sql), values or None))

    def look_through(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query that has to look at most photos.

        Of a condition such as a period the server takes for granted that it holds for one photo in
        200, and before it has counted also of a table; it then goes through one table for each row
        of another. That took minutes with 44,000 photos, by hashing a tenth of a second.
        """
        self.execute("SET LOCAL enable_nestloop = off")
        rows = self.execute(sql, values).fetchall()
        self.execute("SET LOCAL enable_nestloop = on")
        return rows

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement for each row."""
        cursor = self._raw.cursor(binary=True)
        cursor.executemany(self._translated(sql), rows)
        return cast(Cursor, cursor)

    def columns(self) -> list[tuple[str, str]]:
        """Every table and each of its columns, but for those of full-text indexes."""
        tables = self._keys.items()
        named = [(table, column) for table, (columns, _) in tables for column in columns]
        return [name for name in named if name[0] not in postgresql_search.WEIGHTS]

    def alone(self, task: str) -> None:
        """Wait until no other process does this task; until the transaction's end none does."""
        self.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || ?, 0))",
            (task,),
        )

    def add_words(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Put rows (id, text of each column) into a full-text index."""
        postgresql_search.add(self, table, rows)

    def find_words(
        self, table: str, phrases: Sequence[Phrase], column: str | None, *, scored: bool
    ) -> Part:
        """A query for (rowid, score) of the rows with any of the phrases, by bm25 or 0."""
        return postgresql_search.find(self, table, phrases, column, scored=scored)

    def read_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[Any]:
        """All rows of a table, some at a time; also of a full-text index, by `rowid`."""
        query = f"SELECT {_names(columns)} FROM {table} ORDER BY {order}"  # noqa: S608
        with self._raw.cursor(name=f"all_{table}") as cursor:
            yield from cursor.execute(query.encode(), binary=True)

    def write_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table or full-text index, with the ids that they have."""
        if table in postgresql_search.WEIGHTS:
            self.add_words(table, rows)
            return
        found = self.execute(
            "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = CAST(? AS regclass)",
            (table,),
        )
        kinds = dict(found.fetchall())
        types = [kinds[column] for column in columns]
        made = {_BOOLEAN: bool, self._types.halfvec: Halves}
        makes = [(place, made[kind]) for place, kind in enumerate(types) if kind in made]
        into = f"COPY {table} ({_names(columns)}) FROM STDIN (FORMAT BINARY)".encode()
        with self._raw.cursor() as cursor, cursor.copy(into) as copy:
            copy.set_types(types)
            for row in rows:
                values = list(row)
                for place, make in makes:
                    values[place] = make(values[place])
                copy.write_row(values)
        if "id" in columns:  # the next one that is given begins after those
            self.execute(
                "SELECT setval(pg_get_serial_sequence(?, 'id'), coalesce(max(id), 0) + 1, false) "  # noqa: S608
                f"FROM {table}",
                (table,),
            )

    def halves(self, vector: bytes) -> Any:
        """A vector in half precision, as pgvector takes it."""
        return Halves(vector)

    def nearest(self, model: int, query: NDArray[np.float32]) -> Iterator[tuple[bytes, float]]:
        """All keys of a model with their products with `query`, best first."""
        return postgresql_search.nearest(self._raw, model, query)

    def _translated(self, sql: str) -> bytes:
        upsert = re.match(r"INSERT OR REPLACE INTO (\w+)", sql)
        return translated(sql, *(map(tuple, self._keys[upsert[1]]) if upsert else ()))


@functools.lru_cache(maxsize=500)
def translated(sql: str, columns: tuple[str, ...] = (), key: tuple[str, ...] = ()) -> bytes:
    """SQLite's SQL, as far as the library uses it, in PostgreSQL's words and psycopg's marks.

    `columns` and `key` are those of the table of an `INSERT OR REPLACE`.
    """
    pieces = re.split(r"('(?:[^']|'')*')", sql.replace("%", "%%"))
    pieces[::2] = map(_outside_of_quotes, pieces[::2])
    told = "".join(pieces)
    if columns:
        rest = [column for column in columns if column not in key]
        sets = ", ".join(f'"{column}" = excluded."{column}"' for column in rest)
        then = f"DO UPDATE SET {sets}" if rest else "DO NOTHING"
        told += f" ON CONFLICT ({_names(key)}) {then}"
    elif "INSERT OR IGNORE" in sql:
        told += " ON CONFLICT DO NOTHING"
    return told.encode()


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _outside_of_quotes(sql: str) -> str:
    for pattern, other in (
        (r"INSERT OR (?:REPLACE|IGNORE) INTO", "INSERT INTO"),
        (r"json_each\(\?\)", "json_array_elements_text(CAST(? AS json)) AS each (value)"),
        (r"\bIS NOT (?=[a-z])", "IS DISTINCT FROM "),
        (r"\bLIKE\b", "ILIKE"),  # in SQLite large letters are like small ones
        (r" NOT INDEXED\b", ""),
        (r"\?", "%s"),
        (r"(?<![:\w]):([a-z_]+)\b", r"%(\1)s"),
    ):
        sql = re.sub(pattern, other, sql)
    return sql


@dataclass(frozen=True)
class Halves:
    """A vector of 16-bit floats, little endian, as library.db keeps it."""

    data: bytes


@dataclass(frozen=True)
class _Types:
    """What pgvector's type is called in this database, to take and to give its values."""

    halfvec: int

    @classmethod
    def of(cls, raw: psycopg.Connection[Any]) -> _Types:
        row = raw.execute("SELECT oid FROM pg_type WHERE typname = 'halfvec'").fetchone()
        return cls(int(row[0]) if row else 0)  # prepare() has looked for it

    def teach(self, raw: psycopg.Connection[Any]) -> None:
        """Let a connection read and write vectors, and text whatever is in it."""
        from psycopg.adapt import Buffer, Dumper, Loader
        from psycopg.pq import Format
        from psycopg.types.string import StrDumperUnknown

        class Binary(Loader):
            format = Format.BINARY

            def load(self, data: Buffer) -> bytes:
                return _swapped(bytes(data)[4:])

        class Half(Dumper):
            format = Format.BINARY
            oid = self.halfvec

            def dump(self, obj: Halves) -> Buffer | None:
                return (len(obj.data) // 2).to_bytes(2, "big") + b"\0\0" + _swapped(obj.data)

        class Text(StrDumperUnknown):
            def dump(self, obj: str) -> Buffer | None:
                return super().dump(obj.replace("\0", "\ufffd"))  # no text there holds a NUL

        raw.adapters.register_loader(self.halfvec, Binary)
        raw.adapters.register_dumper(Halves, Half)
        raw.adapters.register_dumper(str, Text)


def _swapped(data: bytes) -> bytes:
    """Big endian for little, and back: numbers travel as big endian."""
    numbers = array.array("H", data)
    numbers.byteswap()
    return numbers.tobytes()
