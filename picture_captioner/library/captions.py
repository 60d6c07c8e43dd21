"""The full-text index of captions, titles and tags, which follows the journal.

Only lines that were added since the last time are read; a journal that was replaced (compacted,
copied from elsewhere) is indexed from its beginning. Which caption holds is the journal's own rule
(`journal.fold`): a row keeps what that needs to go on from here.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from picture_captioner.errors import Status
from picture_captioner.journal import Fold, JournalTail, Line, Record, fold, is_real
from picture_captioner.library.database import Database
from picture_captioner.library.encoding import from_key, to_key, to_text
from picture_captioner.library.query import match_expressions, spaced

_WEIGHTS = "2.0, 1.0, 2.0"
"""bm25 of title, caption, tags: a word is worth more where there are few."""


@dataclass(frozen=True, slots=True)
class CaptionHit:
    """A photo whose caption, title or tags match.

    `score` is bm25, higher is better, comparable within one search. `all_words` is False if only
    some of the words were found.
    """

    rel_path: str
    caption: str
    title: str | None
    tags: tuple[str, ...]
    placeholder: bool
    content_sha256: str | None
    score: float
    all_words: bool

    @classmethod
    def without_caption(cls, rel_path: str, content_sha256: str) -> CaptionHit:
        """A photo that was found by its vector and that the journal does not name."""
        return cls(rel_path, "", None, (), False, content_sha256, 0.0, False)


@dataclass(frozen=True, slots=True)
class Followed:
    """What following the journal brought: records read, and lines passed over as damage."""

    records: int = 0
    damaged: int = 0


def follow(database: Database, journal: Path) -> Followed:
    """Take in what the journal holds that the index does not.

    Raises:
        JournalError: it cannot be read.
        LibraryError: the index cannot be written.
    """
    with database.reading() as connection, JournalTail(journal, _position(connection)) as tail:
        if tail.up_to_date:
            return Followed()
    # Asked again: another process may have been here in between.
    with database.transaction() as connection, JournalTail(journal, _position(connection)) as tail:
        return _take_in(connection, tail)


def _position(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT position FROM indexed_journal").fetchone()
    return None if row is None else str(row[0])


def _take_in(connection: sqlite3.Connection, tail: JournalTail) -> Followed:
    if tail.restarted:
        connection.execute("DELETE FROM captions")
        connection.execute("DELETE FROM caption_words")
    records = 0
    for record in tail.records():
        records += 1
        _apply(connection, record)
    connection.execute("INSERT OR REPLACE INTO indexed_journal VALUES (1, ?)", (tail.position(),))
    return Followed(records, tail.damaged)


@dataclass(frozen=True, slots=True)
class _Known:
    """A line of the journal, as far as its row here remembers it."""

    status: Status
    placeholder: bool
    edited: bool
    withdrawn: bool
    content_sha256: str | None
    dry_run: bool = False


def _before(connection: sqlite3.Connection, key: bytes) -> Fold[Line]:
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


def _apply(connection: sqlite3.Connection, record: Record) -> None:
    key = to_key(record.rel_path)
    before = _before(connection, key)
    after = fold(before, record)
    if after is before or (after.caption is not None and after.caption is before.caption):
        return
    if before.last is not None:
        of_path = "FROM captions WHERE rel_path = ?"
        connection.execute(
            f"DELETE FROM caption_words WHERE rowid = (SELECT id {of_path})",  # noqa: S608
            (key,),
        )
        connection.execute(f"DELETE {of_path}", (key,))
    holds = after.caption is record
    title, tags = _title(record), _tags(record)
    added = connection.execute(
        "INSERT INTO captions "
        "(rel_path, placeholder, edited, withdrawn, content, title, caption, tags) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            not is_real(record),
            record.edited,
            record.withdrawn,
            to_key(record.content_sha256) if record.content_sha256 else None,
            to_text(title) if title else None,
            to_text(record.caption or "") if holds else None,
            json.dumps(tags),
        ),
    )
    if holds:
        connection.execute(
            "INSERT INTO caption_words (rowid, title, caption, tags) VALUES (?, ?, ?, ?)",
            (
                added.lastrowid,
                spaced(title or ""),
                spaced(record.caption or ""),
                spaced(", ".join(tags)),
            ),
        )


def _title(record: Record) -> str | None:
    title = record.extra.get("title")
    return title if isinstance(title, str) else None


def _tags(record: Record) -> list[str]:
    tags = record.extra.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def search(connection: sqlite3.Connection, query: str, limit: int) -> list[CaptionHit]:
    """Photos with all words of the query, best first; with some of them if none has all."""
    for number, expression in enumerate(match_expressions(query)):
        rows = connection.execute(
            "SELECT rel_path, captions.caption, captions.title, captions.tags, placeholder, "  # noqa: S608
            f"content, -bm25(caption_words, {_WEIGHTS}) AS score "
            "FROM caption_words JOIN captions ON captions.id = caption_words.rowid "
            "WHERE caption_words MATCH ? ORDER BY score DESC, rel_path LIMIT ?",
            (expression, limit),
        ).fetchall()
        if rows:
            return [_hit(row, all_words=number == 0) for row in rows]
    return []


def caption_of(connection: sqlite3.Connection, rel_path: str) -> CaptionHit | None:
    """What the journal says of one photo; with score 0."""
    row = connection.execute(
        "SELECT rel_path, caption, title, tags, placeholder, content, 0.0 FROM captions "
        "WHERE rel_path = ?",
        (to_key(rel_path),),
    ).fetchone()
    return None if row is None else _hit(row, all_words=False)


def _hit(
    row: tuple[bytes, str | None, str | None, str, int, bytes | None, float], *, all_words: bool
) -> CaptionHit:
    rel_path, caption, title, tags, placeholder, content, score = row
    return CaptionHit(
        rel_path=from_key(rel_path),
        caption=caption or "",
        title=title,
        tags=tuple(json.loads(tags)),
        placeholder=bool(placeholder),
        content_sha256=from_key(content) if content is not None else None,
        score=score,
        all_words=all_words,
    )
