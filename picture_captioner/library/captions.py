"""The full-text index of captions, titles and tags, which follows the journal.

Only lines that were added since the last time are read; a journal that was replaced (compacted,
copied from elsewhere) is indexed from its beginning. Which caption holds is the journal's own rule
(`journal.fold`): a row keeps what that needs to go on from here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from picture_captioner.errors import Status
from picture_captioner.journal.fold import Fold, Line, fold, is_real
from picture_captioner.journal.record import Record
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.journal.tail import JournalTail
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.schema import from_key, to_key, to_text
from picture_captioner.library.words import spaced, stems_of_text

_AT_ONCE = 500
"""Lines of the journal that are taken in together."""


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
    number = take_in(connection, tail.records(), tags)
    position = f"{tail.position()}\n{tags.digest}" if tags.digest else tail.position()
    connection.execute("INSERT OR REPLACE INTO indexed_journal VALUES (1, ?)", (position,))
    return Followed(number, tail.damaged)


def take_in(connection: Connection, records: Iterable[Record], tags: TagDecisions) -> int:
    """Index records that came after those that are indexed; how many there were."""
    connection.alone("index captions")  # which gives ids
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM captions").fetchone()
    waiting, number = iter(records), 0
    while some := [tags.applied(record) for record in islice(waiting, _AT_ONCE)]:
        last = _apply(connection, some, last)
        number += len(some)
    return number


@dataclass(frozen=True, slots=True)
class _Known:
    """A line of the journal, as far as its row here remembers it."""

    status: Status
    placeholder: bool
    edited: bool
    withdrawn: bool
    content_sha256: str | None
    dry_run: bool = False


def _remembered(
    content: str | None, *, captioned: bool, placeholder: bool, edited: bool, withdrawn: bool
) -> Fold[Line]:
    """What a row says of the lines that it came from."""
    status = Status.SUCCESS if captioned else Status.ERROR_MODEL
    known = _Known(status, placeholder, edited, withdrawn, content)
    return Fold(known, known if captioned else None)


def _rows_of(
    connection: Connection, keys: Collection[bytes]
) -> tuple[dict[bytes, int], dict[bytes, Fold[Line]]]:
    """The rows of these paths: their ids, and what they remember."""
    marks = ",".join("?" * len(keys))
    rows = connection.execute(
        "SELECT rel_path, id, caption IS NOT NULL, placeholder, edited, withdrawn, content "  # noqa: S608
        f"FROM captions WHERE rel_path IN ({marks})",
        tuple(keys),
    ).fetchall()
    return {row[0]: row[1] for row in rows}, {
        key: _remembered(
            from_key(content) if content is not None else None,
            captioned=bool(captioned),
            placeholder=bool(placeholder),
            edited=bool(edited),
            withdrawn=bool(withdrawn),
        )
        for key, _, captioned, placeholder, edited, withdrawn, content in rows
    }


def _apply(connection: Connection, records: Sequence[Record], last: int) -> int:
    """Take in lines that follow each other, all at once; the last id that was given then.

    One by one each would be several questions to a server that may be far away.
    """
    ids, folds = _rows_of(connection, {to_key(record.rel_path) for record in records})
    added: dict[bytes, tuple[Record, bool]] = {}
    status: dict[bytes, Status] = {}
    for record in records:
        key = to_key(record.rel_path)
        before = folds.get(key, Fold())
        after = fold(before, record)
        if after is before:
            continue
        status[key] = record.status
        if after.caption is not None and after.caption is before.caption:
            continue
        holds = after.caption is record
        added[key] = (record, holds)
        folds[key] = _remembered(
            record.content_sha256 or None,
            captioned=holds,
            placeholder=not is_real(record),
            edited=record.edited,
            withdrawn=record.withdrawn,
        )
    _remove(connection, {key: ids[key] for key in added if key in ids})
    updates = [(status[key], key) for key in status if key not in added]
    connection.executemany("UPDATE captions SET status = ? WHERE rel_path = ?", updates)
    _add(connection, [(*added[key], status[key]) for key in added], last)
    return last + len(added)


def _remove(connection: Connection, ids: Mapping[bytes, int]) -> None:
    numbers = [(number,) for number in ids.values()]
    connection.executemany("DELETE FROM caption_words WHERE rowid = ?", numbers)
    connection.executemany("DELETE FROM captions WHERE id = ?", numbers)
    connection.executemany("DELETE FROM caption_tags WHERE rel_path = ?", [(key,) for key in ids])


def _add(connection: Connection, lines: Sequence[tuple[Record, bool, Status]], last: int) -> None:
    """Add rows of lines, and of those whose captions hold the words."""
    numbered = list(enumerate(lines, last + 1))
    connection.executemany(
        "INSERT INTO captions (id, rel_path, placeholder, edited, withdrawn, content, title, "
        "caption, tags, status, suspect) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(number, *_row(*line)) for number, line in numbered],
    )
    holding = [(number, record) for number, (record, holds, _) in numbered if holds]
    connection.executemany(
        "INSERT OR IGNORE INTO caption_tags VALUES (?, ?)",
        [(to_key(r.rel_path), to_text(tag)) for _, r in holding for tag in r.tags],
    )
    connection.add_words("caption_words", [(number, *_words(r)) for number, r in holding])


def _row(record: Record, holds: bool, status: Status) -> tuple[Any, ...]:
    return (
        to_key(record.rel_path),
        not is_real(record),
        record.edited,
        record.withdrawn,
        to_key(record.content_sha256) if record.content_sha256 else None,
        to_text(record.title) if record.title else None,
        to_text(record.caption or "") if holds else None,
        json.dumps(record.tags),
        status,
        bool(record.extra.get("suspect")),
    )


def _words(record: Record) -> tuple[str, ...]:
    """What the full-text index is given of a line, a text for each column."""
    written = [
        record.title or "",
        record.caption or "",
        ", ".join(record.tags),
        record.text_in_image,
        record.more,
    ]
    # Not `with_suffix`, which refuses what only a journal from elsewhere can name: ".", "..", "/".
    path = record.rel_path.removesuffix(PurePosixPath(record.rel_path).suffix)
    return (*map(spaced, (*written, path)), stems_of_text(" ".join(written)))


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
