"""The full-text index of captions, titles and tags, which follows the journal.

Only lines that were added since the last time are read; a journal that was replaced (compacted,
copied from elsewhere) is indexed from its beginning. Which caption holds is the journal's own rule
(`journal.fold`): a row keeps what that needs to go on from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from picture_captioner.errors import Status
from picture_captioner.journal import (
    Fold,
    JournalTail,
    Line,
    Record,
    TagDecisions,
    fold,
    is_real,
)
from picture_captioner.library.encoding import from_key, to_key, to_text
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.query import spaced
from picture_captioner.library.stems import stems_of_text


@dataclass(frozen=True, slots=True)
class StoredCaption:
    """What the journal says of a photo."""

    rel_path: str
    caption: str
    title: str | None
    tags: tuple[str, ...]
    placeholder: bool
    content_sha256: str | None


@dataclass(frozen=True, slots=True)
class Followed:
    """What following the journal brought: records read, and lines passed over as damage."""

    records: int = 0
    damaged: int = 0


def follow(database: Database, journal: Path) -> Followed:
    """Take in what the journal holds that the index does not; all of it after a word about tags.

    Raises:
        JournalError: it, or what was decided about tags, cannot be read.
        LibraryError: the index cannot be written.
    """
    tags = TagDecisions.beside(journal)
    with (
        database.reading() as connection,
        JournalTail(journal, _position(connection, tags)) as tail,
    ):
        if tail.up_to_date:
            return Followed()
    # Asked again: another process may have been here in between.
    with database.transaction() as connection:
        connection.alone("follow the journal")
        with JournalTail(journal, _position(connection, tags)) as tail:
            return _take_in(connection, tail, tags)


def _position(connection: Connection, tags: TagDecisions) -> str | None:
    """Where reading ended; None if that was with other tags."""
    row = connection.execute("SELECT position FROM indexed_journal").fetchone()
    position, _, digest = str(row[0]).partition("\n") if row else ("", "", "")
    return position if row and digest == tags.digest else None


def _take_in(connection: Connection, tail: JournalTail, tags: TagDecisions) -> Followed:
    if tail.restarted:
        connection.execute("DELETE FROM captions")
        connection.execute("DELETE FROM caption_tags")
        connection.execute("DELETE FROM caption_words")
    records = 0
    for record in tail.records():
        records += 1
        _apply(connection, tags.applied(record))
    position = f"{tail.position()}\n{tags.digest}" if tags.digest else tail.position()
    connection.execute("INSERT OR REPLACE INTO indexed_journal VALUES (1, ?)", (position,))
    return Followed(records, tail.damaged)


def take_in(connection: Connection, records: Iterable[Record], tags: TagDecisions) -> None:
    """Index records that came after those that are indexed."""
    for record in records:
        _apply(connection, tags.applied(record))


@dataclass(frozen=True, slots=True)
class _Known:
    """A line of the journal, as far as its row here remembers it."""

    status: Status
    placeholder: bool
    edited: bool
    withdrawn: bool
    content_sha256: str | None
    dry_run: bool = False


def _before(connection: Connection, key: bytes) -> Fold[Line]:
    row = connection.execute(
        "SELECT caption IS NOT NULL, placeholder, edited, withdrawn, content FROM captions "
        "WHERE rel_path = ?",
        (key,),
    ).fetchone()
    if row is None:
        return Fold()
    captioned, placeholder, edited, withdrawn, content = row
    hashed = from_key(content) if content is not None else None
    status = Status.SUCCESS if captioned else Status.ERROR_MODEL
    known = _Known(status, bool(placeholder), bool(edited), bool(withdrawn), hashed)
    return Fold(known, known if captioned else None)


def _apply(connection: Connection, record: Record) -> None:
    key = to_key(record.rel_path)
    before = _before(connection, key)
    after = fold(before, record)
    if after is before:
        return
    if after.caption is not None and after.caption is before.caption:
        status = (record.status, key)
        connection.execute("UPDATE captions SET status = ? WHERE rel_path = ?", status)
        return
    if before.last is not None:
        of_path = "FROM captions WHERE rel_path = ?"
        connection.execute(
            f"DELETE FROM caption_words WHERE rowid = (SELECT id {of_path})",  # noqa: S608
            (key,),
        )
        connection.execute(f"DELETE {of_path}", (key,))
        connection.execute("DELETE FROM caption_tags WHERE rel_path = ?", (key,))
    _add(connection, key, record, holds=after.caption is record)


def _add(connection: Connection, key: bytes, record: Record, *, holds: bool) -> None:
    title, tags = _title(record), _tags(record)
    (added,) = connection.execute(
        "INSERT INTO captions "
        "(rel_path, placeholder, edited, withdrawn, content, title, caption, tags, status, suspect)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            key,
            not is_real(record),
            record.edited,
            record.withdrawn,
            to_key(record.content_sha256) if record.content_sha256 else None,
            to_text(title) if title else None,
            to_text(record.caption or "") if holds else None,
            json.dumps(tags),
            record.status,
            bool(record.extra.get("suspect")),
        ),
    ).fetchone()
    if not holds:
        return
    rows = [(key, to_text(tag)) for tag in tags]
    connection.executemany("INSERT OR IGNORE INTO caption_tags VALUES (?, ?)", rows)
    written = [
        title or "",
        record.caption or "",
        ", ".join(tags),
        record.text_in_image,
        record.more,
    ]
    # Not `with_suffix`, which refuses what only a journal from elsewhere can name: ".", "..", "/".
    path = record.rel_path.removesuffix(PurePosixPath(record.rel_path).suffix)
    row = (added, *map(spaced, (*written, path)), stems_of_text(" ".join(written)))
    connection.add_words("caption_words", [row])


def _title(record: Record) -> str | None:
    title = record.extra.get("title")
    return title if isinstance(title, str) else None


def _tags(record: Record) -> list[str]:
    tags = record.extra.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def caption_of(connection: Connection, rel_path: str) -> StoredCaption | None:
    """What the journal says of one photo."""
    row = connection.execute(
        "SELECT caption, title, tags, placeholder, content FROM captions WHERE rel_path = ?",
        (to_key(rel_path),),
    ).fetchone()
    if row is None:
        return None
    caption, title, tags, placeholder, content = row
    return StoredCaption(
        rel_path=rel_path,
        caption=caption or "",
        title=title,
        tags=tuple(json.loads(tags)),
        placeholder=bool(placeholder),
        content_sha256=from_key(content) if content is not None else None,
    )
