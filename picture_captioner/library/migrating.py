"""library.db brought to this program's version: forward only, one transaction a step.

A process that is killed leaves the file at the version that its last step reached, and the next
one goes on from there. Before the first step a file that holds something is copied beside itself.

Rows that hold what this program never wrote are dropped, so that no reader has to expect them.
SQLite takes text for a number, and a bit that flips in a row's header makes one of the other. Each
row can be computed again from photos and journal; the rest of the file is hours of work.
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


_MOST = 1 << 31
_IS_TIME = (
    "(date(substr({0}, 1, 10)) IS substr({0}, 1, 10) AND time(substr({0}, 12, 8)) IS "
    "substr({0}, 12, 8) AND substr({0}, 11, 1) = 'T' AND {0} >= '0001' AND (length({0}) = 19 OR "
    "substr({0}, 20) GLOB '.[0-9]*' OR substr({0}, 20) GLOB '[+-][01][0-9]:[0-5][0-9]'))"
)
_IS_PLACE = "(latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180)"
_TEXTS_ONLY = "NOT EXISTS (SELECT 1 FROM json_each({0}) WHERE json_each.type <> 'text')"

_TYPES = {"blob", "integer", "real", "text"}

MUST_HOLD: dict[str, str] = {
    "photos": f"width BETWEEN 0 AND {_MOST} AND height BETWEEN 0 AND {_MOST} AND "
    f"(taken_at IS NULL OR {_IS_TIME.format('taken_at')}) AND "
    f"(latitude IS NULL AND longitude IS NULL OR {_IS_PLACE}) AND "
    "coalesce(abs(sharpness) < 1e30, 1)",
    "files": "size >= 0",
    "beside": f"latitude IS NULL AND longitude IS NULL OR {_IS_PLACE}",
    "models": "dimension BETWEEN 1 AND 65536 AND dtype = '<f2'",
    "vectors": "length(vector) = 2 * (SELECT dimension FROM models WHERE models.id = model)",
    "captions": "json_valid(tags) AND json_type(tags) = 'array' AND (tags = '[]' OR "
    + _TEXTS_ONLY.format("tags")
    + ")",
    "stages": f"attempts BETWEEN 1 AND {_MOST} AND coalesce(took BETWEEN 0 AND 1e9, 1)",
    "faces": "number >= 0 AND max(abs(x), abs(y), width, height, seen) < 1e9 AND "
    "min(width, height, seen) > 0 AND score BETWEEN 0 AND 1 AND length(landmarks) = 40 AND "
    "length(vector) > 0 AND length(vector) % 2 = 0 AND coalesce(length(age) % 2, 0) = 0",
    "bodies": "number >= 0 AND max(abs(x), abs(y), width, height) < 1e9 AND "
    "min(width, height) > 0 AND score BETWEEN 0 AND 1",
    "face_runs": "json_valid(parameters) AND json_type(parameters) = 'object' AND "
    "min(faces, clusters, noise) >= 0",
    "face_clusters": "label >= 0 AND faces >= 0 AND max(abs(birth), abs(persistence)) < 1e30 AND "
    "coalesce(length(centroid) % 2, 0) = 0",
    "face_assignments": "label BETWEEN -2 AND coalesce((SELECT max(clusters) FROM face_runs), 0)",
    "capture_times": f"taken_at IS NULL OR {_IS_TIME.format('taken_at')}",
    "places": _IS_PLACE,
    "texts": "json_valid(lines) AND json_type(lines) = 'array' AND NOT EXISTS (SELECT 1 FROM "
    "json_each(lines) AS line WHERE CASE line.type WHEN 'array' THEN "
    "coalesce(json_type(line.value, '$[0]') != 'text', 1) ELSE 1 END)",
    "photo_tags": "confidence BETWEEN 0 AND 1",
    "face_tags": "confidence BETWEEN 0 AND 1",
}
"""What the values of a table's rows are, besides being of the declared type."""

_MADE_TOGETHER = """
DELETE FROM stages WHERE status = 'done' AND (
    stage IN ('normalize', 'metadata') AND content NOT IN (SELECT content FROM photos)
    OR stage = 'normalize' AND content NOT IN (SELECT content FROM thumbnails)
    OR stage = 'embed' AND NOT EXISTS (
        SELECT 1 FROM models JOIN vectors ON vectors.model = models.id
        WHERE models.identity = stages.version AND vectors.key = stages.content)
    OR stage = 'text' AND content NOT IN (SELECT content FROM texts))
"""


def drop_unsound_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """Delete them, and the ledger's rows that call them done; how many there were, by table.

    Nothing is written where all is well: 44,000 photos take what docs/log.md says.
    """
    tables = [
        name
        for name, sql in connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
        )
        if "_words_" not in name and not name.startswith("sqlite_") and "VIRTUAL" not in sql
    ]
    unsound = {table: _condition(connection, table) for table in tables}
    found = [t for t, where in unsound.items() if _any(connection, t, where)]
    if not found:
        return {}
    connection.execute("BEGIN IMMEDIATE")
    try:
        dropped = {table: _drop(connection, table, unsound[table]) for table in found}
        if dropped.keys() & {"captions", "caption_tags"}:
            connection.execute("DELETE FROM indexed_journal")  # it is read again
        if dropped.keys() & {"beside", "told", "told_facts"}:  # so is what lies beside the photos
            connection.execute("DELETE FROM beside_folders")
            connection.execute("INSERT OR IGNORE INTO told_pending SELECT content FROM written")
        if dropped.keys() & {"face_runs", "face_clusters"}:
            connection.execute("DELETE FROM face_runs")  # a run is a whole
            connection.execute("DELETE FROM face_assignments")
        connection.execute(_MADE_TOGETHER)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return dropped


def _condition(connection: sqlite3.Connection, table: str) -> str:
    """True of a row with a value of another type than declared, or of no sense."""
    wrong = []
    for _, name, kind, not_null, _, key in connection.execute(f"PRAGMA table_info({table})"):
        if kind.lower() not in _TYPES:  # declared to hold anything
            continue
        types = [kind.lower()] if not_null or key else [kind.lower(), "null"]
        wrong.append(f"typeof({name}) NOT IN ({', '.join(map(repr, types))})")
    if sense := MUST_HOLD.get(table):
        wrong.append(f"NOT coalesce({sense}, 0)")
    return " OR ".join(wrong) or "0"


def _any(connection: sqlite3.Connection, table: str, where: str) -> bool:
    found = connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {where})")  # noqa: S608
    return bool(found.fetchone()[0])


def _drop(connection: sqlite3.Connection, table: str, where: str) -> int:
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if "content" in columns and table not in {"files", "captions", "stages"}:
        connection.execute(
            f"DELETE FROM stages WHERE content IN (SELECT content FROM {table} WHERE {where})"  # noqa: S608
        )
    return connection.execute(f"DELETE FROM {table} WHERE {where}").rowcount  # noqa: S608
