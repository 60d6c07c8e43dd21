"""A library copied from one home to another: every row, compared with what was read, or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from picture_captioner.errors import LibraryError, LibraryNewerError, UsageError
from picture_captioner.library import schema
from picture_captioner.library.database import FileConnection
from picture_captioner.library.file_access import BEGINNING, BUSY_SECONDS
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.migrating import version_of
from picture_captioner.settings import ServerAddress

_RESTART_SECONDS = 30.0
"""How long a server that goes away meanwhile is waited for."""

TABLES: Mapping[str, str] = {
    "photos": "content",
    "written": "content",
    "files": "rel_path",
    "thumbnails": "content",
    "models": "id",
    "vectors": "model, key",
    "captions": "id",
    "caption_tags": "rel_path, tag",
    "indexed_journal": "position",
    "stages": "content, stage, version",
    "faces": "content, number",
    "face_runs": "id",
    "face_clusters": "run, label",
    "face_assignments": "content, number",
    "face_crops": "content, number",
    "bodies": "content, number",
    "face_tags": "content, number, category, tag",
    "places": "content",
    "texts": "id",
    "photo_tags": "content, model, category, tag",
    "beside_folders": "folder",
    "beside": "rel_path",
    "told": "id",
    "told_facts": "told, kind, value",
    "told_pending": "content",
    "capture_times": "rel_path",
}
"""What is copied, in an order in which no row is lost again, and the key of each."""

WORDS: Mapping[str, Sequence[str]] = {
    "caption_words": ("title", "caption", "tags", "text", "more", "path", "stems"),
    "text_words": ("text", "stems"),
    "told_words": ("text", "stems"),
}


class _OnlyRead(FileConnection):
    def read_rows(self, table: str, columns: Sequence[str], order: str) -> Iterator[Any]:
        """All rows; damage is told here, or it would be taken for that of the other library."""
        try:
            yield from super().read_rows(table, columns, order)
        except sqlite3.DatabaseError as error:
            raise LibraryError(
                f"{table} of the library to copy from cannot be read ({error}): nothing is copied"
            ) from error


@contextlib.contextmanager
def opened_to_copy(
    home: Path | ServerAddress, notice: Callable[[str], None]
) -> Iterator[Connection]:
    """A library as it is at this moment; it is neither made, nor moved, nor written.

    Raises:
        LibraryError: it is not there, damaged, of another version or something else.
    """
    if isinstance(home, Path):
        with contextlib.closing(_file(home)) as connection:
            _check_file(home, connection)
            yield connection
        return
    with contextlib.closing(_collection(home, notice)) as database, database.snapshot() as served:
        yield served


def _file(path: Path) -> _OnlyRead:
    if not path.is_file() or not path.stat().st_size:
        raise LibraryError(f"there is no library to copy from in {path}")
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with path.open("rb") as stream:
            beginning = stream.read(len(BEGINNING))
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, factory=_OnlyRead
        )
    except (OSError, sqlite3.Error) as error:
        raise LibraryError(f"cannot copy from {path}: {error}") from error
    if beginning != BEGINNING:
        connection.close()
        raise LibraryError(f"{path} is no library: nothing is copied")
    return connection


def _check_file(path: Path, connection: _OnlyRead) -> None:
    """Look into the file; all that follows sees it as it is now."""
    try:
        connection.execute("BEGIN")
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        version = version_of(connection)
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise LibraryError(f"cannot copy from {path} ({error}): nothing is copied") from error
    if owner != schema.APPLICATION_ID:
        raise LibraryError(f"{path} is no library of this program: nothing is copied")
    _refuse_other_version(str(path), version, len(schema.MIGRATIONS))
    if found != "ok":
        raise LibraryError(f"{path} is damaged: nothing is copied")


def _collection(address: ServerAddress, notice: Callable[[str], None]) -> Database:
    from picture_captioner.library import postgresql_migrating, postgresql_schema
    from picture_captioner.library.postgresql import PostgresDatabase
    from picture_captioner.library.postgresql_access import first_connection, telling

    with telling(address), contextlib.closing(first_connection(address, notice)) as raw:
        version = postgresql_migrating.version_of(raw, address.collection)
    if version == 0:
        raise LibraryError(f"there is no collection '{address.collection}' in {address}")
    _refuse_other_version(str(address), version, len(postgresql_schema.MIGRATIONS))
    return PostgresDatabase(address, notice, _RESTART_SECONDS)


def _refuse_other_version(shown: str, version: int, known: int) -> None:
    if version < known:
        raise LibraryError(
            f"{shown} is of an older version ({version}, this program has {known}): open it once "
            "with 'caption.py status', which brings it to this one, then copy it"
        )
    if version > known:
        raise LibraryNewerError(
            f"{shown} was written by a newer version of this program (tables {version}, this one "
            f"knows {known}): update the program"
        )


def copy(old: Connection, target: Database) -> dict[str, int]:
    """Copy every row, and read each again in its new place before anything is kept; the counts.

    Raises:
        UsageError: the target holds something already.
        LibraryError: a row came back in another way; the target is as it was.
    """
    counts: dict[str, int] = {}
    with target.transaction() as new:
        new.alone("copy a library")
        for table, columns, order in _tables(old, new):
            if new.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608
                raise UsageError(
                    f"the library to copy into holds rows in {table}: name an empty one"
                )
            read = _Digest(old.read_rows(table, columns, order))
            new.write_rows(table, columns, read)
            again = _Digest(new.read_rows(table, columns, order))
            for _ in again:
                pass
            if (again.count, again.hash.digest()) != (read.count, read.hash.digest()):
                raise LibraryError(
                    f"{table} came out differently ({read.count:,} rows read, {again.count:,} "
                    "written): nothing is copied; is the library being written meanwhile?"
                )
            counts[table] = read.count
    return counts


def _tables(old: Connection, new: Connection) -> Iterator[tuple[str, list[str], str]]:
    shared = [name for name in old.columns() if name in set(new.columns())]
    for table, order in TABLES.items():
        yield table, [column for name, column in shared if name == table], order
    for table, texts in WORDS.items():
        yield table, ["rowid", *texts], "rowid"


class _Digest:
    """Rows on their way, counted and hashed; in both homes a row has one form."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = rows
        self.count = 0
        self.hash = hashlib.sha256()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            plain = tuple(map(_plain, row))
            self.count += 1
            self.hash.update(repr(plain).encode())
            yield plain


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")  # a server's text holds no NUL
    return value
