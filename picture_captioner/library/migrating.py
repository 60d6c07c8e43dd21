"""library.db brought to this program's version: forward only, one transaction a step.

A process that is killed leaves the file at the version that its last step reached, and the next
one goes on from there. Before the first step a file that holds something is copied beside itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from picture_captioner.library import schema

_SPARE_BYTES = 1 << 24
"""Room that stays free beside the copy and as much again, which a step may write."""


def migrate(
    connection: sqlite3.Connection, path: Path | None, notice: Callable[[str], None]
) -> None:
    """Take the steps that the file lacks; a new one gets all tables.

    `notice` is told of a file that was brought to another version, not of a new one.

    Raises:
        sqlite3.Error: a step failed; the file is as that step found it.
    """
    first = version_of(connection)
    if first == len(schema.MIGRATIONS):
        return
    # A step may replace a table that others refer to; it is checked as a whole before its commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    copy: Path | None = None
    try:
        while version_of(connection) < len(schema.MIGRATIONS):
            with _transaction(connection):
                version = version_of(connection)  # another process may have taken this step
                if path is not None and version == first != 0:
                    copy = _copy(path, version, notice)
                # A new file gets all tables at once: nobody sees one that is half made.
                last = len(schema.MIGRATIONS) if version == 0 else version + 1
                for step in range(version, min(last, len(schema.MIGRATIONS))):
                    _take_step(connection, step)
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
    if path is not None and first != 0:
        _tell(path, first, copy, notice)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables; 0 in an empty file."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # the error before it is the one to tell
            connection.rollback()
        raise


def _take_step(connection: sqlite3.Connection, version: int) -> None:
    for statement in _statements(schema.MIGRATIONS[version]):
        connection.execute(statement)
    if row := connection.execute("PRAGMA foreign_key_check").fetchone():
        raise sqlite3.IntegrityError(f"table {row[0]} refers to rows of {row[2]} that are gone")
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version + 1}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. `executescript` would commit what was begun."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _copy(path: Path, version: int, notice: Callable[[str], None]) -> Path | None:
    """Keep the file as it is now; None, and a notice, where there is no room for that."""
    copy = _copy_of(path, version)
    part = path.with_name(f"{copy.name}.part")
    try:
        if shutil.disk_usage(path.parent).free > 2 * path.stat().st_size + _SPARE_BYTES:
            _back_up(path, part)
            part.replace(copy)
            return copy
        why = "there is no room for one"
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        why = str(error)
    notice(f"{path} is brought to a new version without a copy of the old one: {why}")
    return None


def _back_up(path: Path, copy: Path) -> None:
    """Copy by another connection: SQLite refuses to copy what its own connection may write."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)


def _copy_of(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.version-{version}")


def _tell(path: Path, first: int, copy: Path | None, notice: Callable[[str], None]) -> None:
    kept = f"; as it was it is kept as {copy.name}, which can be deleted" if copy else ""
    notice(f"{path} was brought from version {first} to {len(schema.MIGRATIONS)}{kept}")
    for version in range(1, first if copy else 0):
        _copy_of(path, version).unlink(missing_ok=True)
