"""A library copied from one home to another: every row, compared with what was read, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from picture_captioner.errors import LibraryError, UsageError
from picture_captioner.library.home import Connection, Database

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


def copy(source: Database, target: Database) -> dict[str, int]:
    """Copy every row, and read each again in its new place before anything is kept; the counts.

    Raises:
        UsageError: the target holds something already.
        LibraryError: a row came back in another way; the target is as it was.
    """
    counts: dict[str, int] = {}
    with source.snapshot() as old, target.transaction() as new:
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
