"""Tags of photos: those in captions, and those that a model gave the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from picture_captioner.journal.rows import tag_key
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.ledger import Ledger
from picture_captioner.library.schema import from_key, to_key, to_text
from picture_captioner.library.told import tell_pending

TAGS = "tag"
"""The ledger's name for tags that a model gave."""

FACE_TAGS = "face tags"
"""The ledger's name for tags that a model gave the faces of a photo."""


class GivenTag(NamedTuple):
    """A tag that a model gives a picture, and how sure it is (0 to 1)."""

    category: str
    tag: str
    confidence: float


def _every(connection: Connection) -> Iterator[tuple[bytes, str]]:
    """Path and tag, of captions first, then of pictures and faces, other programs' words last."""
    yield from connection.execute("SELECT rel_path, tag FROM caption_tags ORDER BY rel_path, tag")
    for table in ("photo_tags", "face_tags"):
        yield from connection.execute(
            f"SELECT rel_path, tag FROM {table} JOIN located USING (content) "  # noqa: S608
            "ORDER BY rel_path, category, tag"
        )
    for column in ("rel_path", "content"):
        yield from connection.execute(
            "SELECT located.rel_path, value FROM told_facts JOIN told ON told.id = told "  # noqa: S608
            f"JOIN located ON located.{column} = told.{column} "
            "WHERE kind = 'keyword' ORDER BY located.rel_path, value"
        )


class Tags:
    """Tags of photos and faces. Thread-safe; a call is a transaction, or part of an open one."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def pending(self, identity: str, version: str | None) -> list[str]:
        """The contents with a vector of this embedder that lack tags of this version.

        `version` None: all with a vector.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT key FROM vectors JOIN models ON models.id = model WHERE identity = ? "
                "AND NOT EXISTS (SELECT 1 FROM stages "
                "WHERE content = key AND stage = ? AND version = ?) ORDER BY key",
                (identity, TAGS, version),
            )
            return [from_key(key) for (key,) in rows]

    def faces_pending(self, version: str | None) -> list[str]:
        """The contents with faces that lack tags of this version; None: all with faces."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT content FROM faces WHERE NOT EXISTS (SELECT 1 FROM stages WHERE "
                "stages.content = faces.content AND stage = ? AND version = ?) ORDER BY content",
                (FACE_TAGS, version),
            )
            return [from_key(key) for (key,) in rows]

    def save(self, identity: str, version: str, found: Mapping[str, Sequence[GivenTag]]) -> None:
        """Keep the tags of each content in place of those it had, and that this is done."""
        keys = [(to_key(content),) for content in found]
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM photo_tags WHERE content = ?", keys)
            connection.executemany(
                f"DELETE FROM stages WHERE content = ? AND stage = '{TAGS}'",  # noqa: S608
                keys,
            )
            connection.executemany(
                "INSERT OR REPLACE INTO photo_tags (content, model, category, tag, confidence) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (to_key(content), identity, to_text(category), to_text(tag), confidence)
                    for content, tags in found.items()
                    for category, tag, confidence in tags
                ],
            )
            for content in found:
                self._ledger.note(content, TAGS, version)

    def save_of_faces(
        self, version: str, found: Mapping[str, Mapping[int, Sequence[GivenTag]]]
    ) -> None:
        """Keep the tags of faces, by content and number, in place of those they had."""
        keys = [(to_key(content),) for content in found]
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM face_tags WHERE content = ?", keys)
            connection.executemany(
                f"DELETE FROM stages WHERE content = ? AND stage = '{FACE_TAGS}'",  # noqa: S608
                keys,
            )
            connection.executemany(
                "INSERT INTO face_tags (content, number, version, category, tag, confidence) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (to_key(sha256), number, version, to_text(category), to_text(tag), confidence)
                    for sha256, faces in found.items()
                    for number, tags in faces.items()
                    for category, tag, confidence in tags
                ],
            )
            for content in found:
                self._ledger.note(content, FACE_TAGS, version)

    def given(self) -> dict[str, list[GivenTag]]:
        """The tags that a model gave the pictures, by content, the surest first."""
        found: dict[str, list[GivenTag]] = {}
        with self._database.reading() as connection:
            for key, *tag in connection.execute(
                "SELECT content, category, tag, confidence FROM photo_tags "
                "ORDER BY content, confidence DESC, category, tag"
            ):
                found.setdefault(from_key(key), []).append(GivenTag(*tag))
        return found

    def of_faces(self) -> dict[str, list[str]]:
        """The tags of the faces of each content, each once."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for key, tag in connection.execute(
                "SELECT content, tag FROM face_tags GROUP BY content, tag "
                "ORDER BY content, max(confidence) DESC, tag"
            ):
                found.setdefault(from_key(key), []).append(tag)
        return found

    def counts(self, name: Callable[[str], str | None] = str) -> list[tuple[str, int]]:
        """How many photos have each tag, called as `name` says (None: not at all).

        The most frequent comes first; tags of one `tag_key` are one, spelled as in most photos.
        """
        photos: dict[str, set[bytes]] = {}
        spelled: dict[str, dict[str, int]] = {}
        with self._database.transaction() as connection:
            tell_pending(connection)
            for path, tag in _every(connection):
                now = name(tag)
                if now is not None:
                    key = tag_key(now)
                    photos.setdefault(key, set()).add(path)
                    times = spelled.setdefault(key, {})
                    times[now] = times.get(now, 0) + 1
        rows = [(max(spelled[k], key=lambda s: spelled[k][s]), len(p)) for k, p in photos.items()]
        return sorted(rows, key=lambda row: (-row[1], row[0]))
