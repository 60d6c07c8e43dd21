"""Taking photos out of library.db, free pages and the full-text index's older segments included."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from picture_captioner.library.face_runs import drop_leftovers
from picture_captioner.library.home import Database
from picture_captioner.library.schema import to_key

_KEY_COLUMNS = {"content", "key", "rel_path"}
"""Columns with a path, or the hash of a photo's bytes or of a caption that was embedded."""


def forget(
    database: Database, paths: Iterable[str], hashes: Iterable[str], captions: Iterable[str]
) -> None:
    """Delete every row about these photos, then write the file afresh.

    Rows are found by the columns' names, so that a table which comes later is not left out. Copies
    of the file as it was (of an older version, or damaged) are deleted: they hold the photos too.

    Raises:
        LibraryError: it cannot be written; the same call goes on where it ended.
    """
    said = {text for caption in captions for text in (caption, caption.strip())}
    texts = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in said)
    keys = [(to_key(key),) for key in (*hashes, *texts)]
    places = [(to_key(path),) for path in paths]
    with database.transaction() as connection:
        connection.executemany(
            "DELETE FROM caption_words WHERE rowid IN (SELECT id FROM captions WHERE rel_path = ?)",
            places,
        )
        connection.executemany(
            "DELETE FROM text_words WHERE rowid IN (SELECT id FROM texts WHERE content = ?)", keys
        )
        for table, column in connection.columns():
            if column not in _KEY_COLUMNS:
                continue
            wanted = places if column == "rel_path" else keys
            gone = connection.executemany(f'DELETE FROM "{table}" WHERE "{column}" = ?', wanted)  # noqa: S608
            if table == "faces" and gone.rowcount > 0:
                drop_leftovers(connection)
    database.reclaim()
    if database.path is not None:
        for copy in _copies(database.path):
            copy.unlink(missing_ok=True)


def _copies(path: Path) -> Iterator[Path]:
    for kind in ("version-", "broken"):
        yield from path.parent.glob(f"{glob.escape(path.name)}.{kind}*")
