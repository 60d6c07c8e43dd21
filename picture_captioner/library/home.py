"""What the library asks of a database: the one file (database.py), or a server (postgresql.py).

The queries of this room are written once, in SQL that both understand. What they do not share is a
method here, and each home has its own way: words that are searched for, vectors, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Phrase(NamedTuple):
    """Words that stand one after the other; the last may be the beginning of one if `begins`."""

    text: str
    begins: bool = False


class Part(NamedTuple):
    """A piece of SQL, and its values."""

    sql: str
    values: tuple[object, ...] = ()


class Cursor(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchmany(self, size: int) -> list[Any]:
        """The next rows."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection inside `Database.transaction` or `Database.reading`."""

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = (), /) -> Cursor:
        """Run one statement; its marks are `?` or `:name`."""

    def look_through(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query that has to look at most photos."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement for each row."""

    def columns(self) -> list[tuple[str, str]]:
        """Every table and each of its columns, but for those of full-text indexes."""

    def alone(self, task: str) -> None:
        """Wait until no other process does this task; until the transaction's end none does."""

    def add_words(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Put rows (id, text of each column) into a full-text index."""

    def find_words(
        self, table: str, phrases: Sequence[Phrase], column: str | None, *, scored: bool
    ) -> Part:
        """A query for (rowid, score) of the rows with any of the phrases, by bm25 or 0."""

    def read_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[Any]:
        """All rows of a table, some at a time; also of a full-text index, by `rowid`."""

    def write_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table or full-text index, with the ids that they have."""

    def halves(self, vector: bytes) -> Any:
        """A vector in half precision, as this home takes it for a value."""

    def nearest(self, model: int, query: NDArray[np.float32]) -> Iterator[tuple[bytes, float]]:
        """All keys of a model with their products with `query`, best first."""


class Database(Protocol):
    """A home of the library's tables. Thread-safe.

    Raises, from every method:
        LibraryLockedError: others kept what we need for longer than we wait.
        LibraryError: it cannot be read or written; the sentence says why.
    """

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """All of the block is written, or nothing; the inner ones belong to the outermost."""

    def reading(self) -> AbstractContextManager[Connection]:
        """The connection, for queries."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """As `reading`, but all queries see one state, whatever others write meanwhile."""

    def reclaim(self) -> None:
        """Leave nothing of deleted rows in the database's own files."""

    def close(self) -> None:
        """Let go of it."""
