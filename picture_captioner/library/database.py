"""library.db as a file: opened by one rule, private, replaced when it is not what it should be.

It holds nothing that photos and journal do not, so one that is broken is moved aside, never
deleted, and an empty one takes its place, aloud. What took hours to compute stays: one of an older
version is brought to ours (migrating.py), one of a newer version is left alone. So is whatever else
a person named by mistake: a photo, the journal, another program's database.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from picture_captioner.errors import LibraryError, LibraryNewerError
from picture_captioner.library import schema
from picture_captioner.library.file_access import (
    BROKEN,
    BUSY,
    BUSY_SECONDS,
    closed_well,
    code_of,
    create_private,
    mark_closed,
    move_aside,
    sentence,
)
from picture_captioner.library.home import Connection, Part, Phrase
from picture_captioner.library.migrating import drop_unsound_rows, migrate, version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RETRY_SECONDS = 0.02
_TELL_SECONDS = 2.5
"""Waited without a word: another process's transaction takes milliseconds."""

_PATIENCE = "PRAGMA busy_timeout = {:.0f}"

_WEIGHTS = "2.0, 1.0, 2.0, 1.0, 0.5, 0.5, 2.0"
"""bm25 of title, caption, tags, text, more, path, stems: worth more where there are few words."""

ROWS_AT_ONCE = 500
EVERY_VECTOR = "SELECT key, vector FROM vectors NOT INDEXED WHERE model = ?"
"""The index would send SQLite back and forth between its keys and the rows."""

Notice = Callable[[str], None]
T = TypeVar("T")


class FileConnection(sqlite3.Connection):
    """A connection to the file, with what a server does in another way (home.py)."""

    def look_through(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query that has to look at most photos."""
        return self.execute(sql, values).fetchall()

    def columns(self) -> list[tuple[str, str]]:
        """Every table and each of its columns, but for those of full-text indexes."""
        tables = self.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%\\_words%' "
            "ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
        return [
            (table, row[1])
            for (table,) in tables
            for row in self.execute(f'PRAGMA table_info("{table}")')
        ]

    def alone(self, task: str) -> None:
        """Whoever writes the file is alone."""

    def add_words(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Put rows (id, text of each column) into a full-text index."""
        names = [row[1] for row in self.execute(f"PRAGMA table_info({table})")]
        self.write_rows(table, ["rowid", *names], rows)

    def find_words(
        self, table: str, phrases: Sequence[Phrase], column: str | None, *, scored: bool
    ) -> Part:
        """A query for (rowid, score) of the rows with any of the phrases, by bm25 or 0."""
        weights = f", {_WEIGHTS}" if table == "caption_words" else ""
        quoted = ((text.replace('"', '""'), "*" * begins) for text, begins in phrases)
        expression = " OR ".join(f'"{text}"{star}' for text, star in quoted)
        score = f"-bm25({table}{weights})" if scored else "0.0"
        return Part(
            f"SELECT rowid, {score} AS score FROM {table} WHERE {table} MATCH ?",  # noqa: S608
            (f"{column} : ({expression})" if column else expression,),
        )

    def read_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[Any]:
        """All rows of a table, some at a time; also of a full-text index, by `rowid`."""
        yield from self.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}")  # noqa: S608

    def write_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table or full-text index, with the ids that they have."""
        marks = ", ".join("?" * len(columns))
        self.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608

    def halves(self, vector: bytes) -> bytes:
        """A vector in half precision, as it is stored."""
        return vector

    def nearest(self, model: int, query: NDArray[np.float32]) -> Iterator[tuple[bytes, float]]:
        """All keys of a model with their products with `query`, best first."""
        import numpy as np

        keys: list[bytes] = []
        products: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
        everything = self.execute(EVERY_VECTOR, (model,))
        while rows := everything.fetchmany(ROWS_AT_ONCE):
            keys += [key for key, _ in rows]
            stored = np.frombuffer(b"".join([vector for _, vector in rows]), "<f2")
            array = stored.reshape(-1, len(query)).astype(np.float32)
            products.append(np.nan_to_num(array) @ query)
        found = np.concatenate(products)
        for place in np.argsort(-found, kind="stable"):
            yield keys[place], float(found[place])


class FileDatabase:
    """One connection, for any thread, one at a time.

    Raises, from every method:
        LibraryLockedError: another process kept the file locked for `BUSY_SECONDS`.
        LibraryError: no room, no permission, a disk error; or damage that came to light: the
            file is then moved aside and the next `FileDatabase` starts an empty one.
        LibraryNewerError: from the constructor alone: a later version of this program wrote it.
        ConfigurationError: the file is something else; it is left as it is.
    """

    def __init__(self, path: Path | None, notice: Notice) -> None:
        """Open the file, made if there is none; None keeps everything in memory."""
        self.path = path
        self._notice = notice
        self._waited = False
        self._lock = threading.RLock()
        self._depth = 0
        self._failed = False
        if path is None:
            self._connection = _connect(":memory:")
            migrate(self._connection, None, notice)
            return
        if (reason := self._open(path, notice)) is not None:
            aside = move_aside(path)
            notice(
                f"{path} {reason}: moved to {aside.name}, and a new one is begun. What it held "
                "is computed again from photos and journal"
            )
            if (reason := self._open(path, notice)) is not None:
                raise LibraryError(f"{path} {reason}, although it is new: is the disk in order?")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of the block is written, or nothing; the inner ones belong to the outermost."""
        with self._lock, self._told():
            if self._depth == 0:
                self._patiently(lambda c: c.execute("BEGIN IMMEDIATE"))
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._rollback()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, for queries."""
        with self._lock, self._told():
            yield self._connection

    def snapshot(self) -> contextlib.AbstractContextManager[Connection]:
        """As `reading`, but all queries see one state, whatever others write meanwhile."""
        return self.transaction()

    def reclaim(self) -> None:
        """Write the file afresh, and delete what its log still holds."""
        with self._lock, self._told():
            for words in ("caption_words", "text_words", "told_words"):
                self._connection.execute(f"INSERT INTO {words} ({words}) VALUES ('optimize')")  # noqa: S608
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file; unless something failed, the next one need not check it."""
        with self._lock:
            self._connection.close()
            if self.path is not None:
                mark_closed(self.path, well=not self._failed)

    def _commit(self) -> None:
        try:
            self._connection.commit()
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # the error before it is the one to tell
            self._connection.rollback()

    def _open(self, path: Path, notice: Notice) -> str | None:
        """Open the file, or say what is wrong with it."""
        create_private(path)
        whole = closed_well(path)
        with self._told(may_be_moved=False):
            self._connection = _connect(path)
            try:
                reason = self._patiently(lambda c: _look_into(c, whole=whole))
                if reason is None:
                    self._patiently(lambda c: migrate(c, path, notice))
                    dropped = {} if whole else self._patiently(drop_unsound_rows)
                    if dropped:
                        _tell_dropped(path, dropped, notice)
            except LibraryNewerError as error:
                self._connection.close()
                raise LibraryNewerError(f"{path} {error}") from None
            except sqlite3.DatabaseError as error:
                if code_of(error) not in BROKEN:
                    self._connection.close()
                    raise
                reason = f"is damaged ({error})"
        if reason is not None:
            self._connection.close()
        return reason

    def _patiently(self, look: Callable[[FileConnection], T]) -> T:
        """Try again while others have the file, and say so once if that takes seconds.

        SQLite waits by itself for another's transaction, without a word, and not at all for its
        change to or from WAL.
        """
        started = time.monotonic()
        self._connection.execute(_PATIENCE.format(min(_TELL_SECONDS, BUSY_SECONDS) * 1000))
        try:
            while True:
                try:
                    return look(self._connection)
                except sqlite3.OperationalError as error:
                    waited = time.monotonic() - started
                    if code_of(error) not in BUSY or waited > BUSY_SECONDS - _TELL_SECONDS:
                        raise
                    if self._connection.in_transaction:
                        self._connection.rollback()
                    self._tell_waiting(waited)
                    time.sleep(_RETRY_SECONDS)
        finally:
            self._connection.execute(_PATIENCE.format(BUSY_SECONDS * 1000))

    def _tell_waiting(self, waited: float) -> None:
        if waited >= _TELL_SECONDS and not self._waited:
            self._waited = True
            self._notice(
                f"Waiting for {self.path}, which another program has locked: for "
                f"{BUSY_SECONDS:.0f} seconds at most"
            )

    @contextlib.contextmanager
    def _told(self, *, may_be_moved: bool = True) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            path, code = self.path, code_of(error)
            self._failed = True
            if path is None:
                raise
            if code in BROKEN and may_be_moved:
                self._connection.close()
                aside = move_aside(path)
                raise LibraryError(
                    f"{path} is damaged ({error}); it is {aside.name} now. Run the same command "
                    "again: what it held is computed again"
                ) from error
            raise sentence(path, code, error) from error


def _connect(path: Path | str) -> FileConnection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=FileConnection,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what forget deletes is not to be found again
    connection.execute("PRAGMA temp_store = MEMORY")  # captions do not belong into /tmp
    return connection


def _look_into(connection: sqlite3.Connection, *, whole: bool) -> str | None:
    """What is wrong with the file, if anything; all is read unless it is known to be whole."""
    if (reason := _stranger(connection)) is not None:
        return reason
    if not whole:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            return f"is damaged ({' '.join(str(found).split())[:120]})"
    # Readers and one writer do not wait for each other in WAL; not every file system has it.
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    return None


def _tell_dropped(path: Path, dropped: Mapping[str, int], notice: Notice) -> None:
    told = ", ".join(f"{number:,} in {table}" for table, number in dropped.items())
    notice(
        f"{path} held rows that this program never wrote ({told}): they are dropped, and what they "
        "held is computed again from photos and journal; is the disk in order?"
    )


def _stranger(connection: sqlite3.Connection) -> str | None:
    """Why the file is not one of ours; nothing is written to find out."""
    connection.execute("BEGIN")  # one look: another process may be making the tables
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = version_of(connection)
    connection.execute("COMMIT")
    if tables == 0 and version == 0:
        return None
    if owner != schema.APPLICATION_ID:
        return "is the database of another program"
    if version < 1:
        return f"is damaged (its version is {version})"
    if version > (known := len(schema.MIGRATIONS)):
        raise LibraryNewerError(
            f"was written by a newer version of this program (tables {version}, this one knows "
            f"{known}): update the program, or name another file with --library-db"
        )
    return None
