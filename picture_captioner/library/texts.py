"""What is written in photos, by content, and its full-text index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from picture_captioner.library.facts import Place
from picture_captioner.library.home import Database
from picture_captioner.library.schema import from_key, to_key, to_text
from picture_captioner.library.tags import Tags
from picture_captioner.library.words import spaced, stems_of_text
from picture_captioner.metadata.told import Kind


class StoredLine(NamedTuple):
    """A line of text; its corners are shares of the picture's sides."""

    text: str
    confidence: float
    corners: tuple[tuple[float, float], ...]


class Words(NamedTuple):
    """What is known in words of the pictures themselves, by content.

    Attributes:
        tags: those that a model gave them, and their faces.
        text: what is written in them, a line each.
        places: where they were taken.
        told: what other programs say, by content or by path, by its kind.
        vectors, faces: the contents that have one.
    """

    tags: dict[str, list[str]]
    text: dict[str, str]
    places: dict[str, Place]
    told: dict[str, dict[str, list[str]]]
    vectors: set[str]
    faces: set[str]


class Texts:
    """What is written in photos. Thread-safe; a call is a transaction, or part of an open one."""

    def __init__(self, database: Database, tags: Tags) -> None:
        self._database = database
        self._tags = tags

    def save(
        self,
        content_sha256: str,
        reader: str,
        lines: Sequence[tuple[str, float, tuple[tuple[float, float], ...]]],
    ) -> None:
        """Keep the lines (text, confidence, corners) that a reader found in a photo, perhaps none.

        They take the place of those that one found before.
        """
        key = to_key(content_sha256)
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM text_words WHERE rowid IN (SELECT id FROM texts WHERE content = ?)",
                (key,),
            )
            connection.execute("DELETE FROM texts WHERE content = ?", (key,))
            (added,) = connection.execute(
                "INSERT INTO texts (content, reader, lines) VALUES (?, ?, ?) RETURNING id",
                (key, reader, json.dumps([[to_text(text), *rest] for text, *rest in lines])),
            ).fetchone()
            if lines:
                whole = "\n".join(to_text(text) for text, *_ in lines)
                row = (added, spaced(whole), stems_of_text(whole))
                connection.add_words("text_words", [row])

    def of_content(self, content_sha256: str) -> list[StoredLine] | None:
        """The lines that were read in a photo; None if nobody has read it."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT lines FROM texts WHERE content = ?", (to_key(content_sha256),)
            ).fetchone()
        if row is None:
            return None
        try:
            return msgspec.json.decode(row[0], type=list[StoredLine])
        except msgspec.MsgspecError:  # this program never wrote it: as if nobody had read the photo
            return None

    def words(self) -> Words:
        """Tags, texts and places of the pictures themselves, by content."""
        with self._database.reading() as connection:
            named = {key: [one.tag for one in found] for key, found in self._tags.given().items()}
            for key, found in self._tags.of_faces().items():
                named.setdefault(key, []).extend(found)
            read = connection.execute("SELECT content, lines FROM texts WHERE lines != '[]'")
            text = {
                from_key(k): "\n".join(line[0] for line in json.loads(lines)) for k, lines in read
            }
            rows = connection.execute(
                "SELECT content, name, coalesce(detail, '') FROM places WHERE name IS NOT NULL"
            )
            places = {from_key(key): Place(*found) for key, *found in rows}
            told: dict[str, dict[str, list[str]]] = {}
            for key, kind, value in connection.execute(
                "SELECT coalesce(rel_path, content), kind, value FROM told "
                "JOIN told_facts ON told.id = told_facts.told WHERE kind != ? "
                "ORDER BY told.id, kind, value",
                (Kind.FAVOURITE,),
            ):
                told.setdefault(from_key(key), {}).setdefault(kind, []).append(value)
            vectors, faces = (
                {from_key(key) for (key,) in connection.execute(query)}
                for query in ("SELECT key FROM vectors", "SELECT content FROM faces")
            )
        return Words(named, text, places, told, vectors, faces)
