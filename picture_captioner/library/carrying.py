"""What is known of a photo's content goes along when other metadata were written into its file.

The picture is the same, so its vectors, faces, text and thumbnail are; only the hash of the bytes,
by which all of it is kept, is another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picture_captioner.library import told
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import to_key

if TYPE_CHECKING:
    from picture_captioner.library.texts import Texts


def carry(connection: Connection, texts: Texts, rel_path: str, old: str, new: str) -> None:
    """Let what is kept under the old hash be under the new one, for this path.

    Where another file still has the old content, what is known of it is copied. What the new hash
    has already stays.
    """
    path, before, after = to_key(rel_path), to_key(old), to_key(new)
    shared = connection.execute(
        "SELECT 1 FROM files WHERE content = ? AND rel_path <> ? LIMIT 1", (before, path)
    ).fetchone()
    connection.execute("DELETE FROM capture_times WHERE rel_path = ?", (path,))
    tables: dict[str, list[str]] = {}
    for table, column in connection.columns():
        tables.setdefault(table, []).append(column)
    for table, names in tables.items():
        key = next((name for name in ("content", "key") if name in names), None)
        if key is None or ("rel_path" in names and table != "told"):
            continue
        if not shared:
            connection.execute(
                f"UPDATE {table} SET {key} = ? WHERE {key} = ? "  # noqa: S608
                f"AND NOT EXISTS (SELECT 1 FROM {table} WHERE {key} = ?)",
                (after, before, after),
            )
        elif "id" not in names:
            taken = ", ".join("?" if name == key else name for name in names)
            connection.execute(
                f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) "  # noqa: S608
                f"SELECT {taken} FROM {table} WHERE {key} = ?",
                (after, before),
            )
    if shared:
        _copy_what_is_indexed(connection, texts, old, new)


def _copy_what_is_indexed(connection: Connection, texts: Texts, old: str, new: str) -> None:
    """Copy what has its words in a full-text index beside it: texts, and what is told inside."""
    before, after = to_key(old), to_key(new)
    read = connection.execute("SELECT reader FROM texts WHERE content = ?", (before,)).fetchone()
    lines = texts.of_content(old)
    if read is not None and lines is not None and texts.of_content(new) is None:
        texts.save(new, read[0], lines)
    said = "SELECT 1 FROM told WHERE content = ?"
    if connection.execute(said, (before,)).fetchone() is None:
        return
    if connection.execute(said, (after,)).fetchone() is None:
        (written,) = connection.execute(
            "SELECT metadata FROM written WHERE content = ?", (before,)
        ).fetchone() or (None,)
        told.tell_written(connection, after, told.read_metadata(written))
