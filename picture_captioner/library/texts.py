"""What is written in photos, by content, and its full-text index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from picture_captioner.library import tags
from picture_captioner.library.facts import Place
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import from_key, to_key, to_text
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


def words(connection: Connection) -> Words:
    """What is known now of all contents."""
    named_tags = {key: [one.tag for one in found] for key, found in tags.given(connection).items()}
    for key, found in tags.of_faces(connection).items():
        named_tags.setdefault(key, []).extend(found)
    read = connection.execute("SELECT content, lines FROM texts WHERE lines != '[]'")
    text = {from_key(k): "\n".join(line[0] for line in json.loads(rows)) for k, rows in read}
    rows = connection.execute(
        "SELECT content, name, coalesce(detail, '') FROM places WHERE name IS NOT NULL"
    )
    places = {from_key(key): Place(*named) for key, *named in rows}
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
    return Words(named_tags, text, places, told, vectors, faces)


def save(
    connection: Connection,
    content_sha256: str,
    reader: str,
    lines: Sequence[tuple[str, float, tuple[tuple[float, float], ...]]],
) -> None:
    """Keep what a reader found in a photo, in place of what one found before; perhaps nothing."""
    key = to_key(content_sha256)
    connection.execute(
        "DELETE FROM text_words WHERE rowid IN (SELECT id FROM texts WHERE content = ?)", (key,)
    )
    connection.execute("DELETE FROM texts WHERE content = ?", (key,))
    (added,) = connection.execute(
        "INSERT INTO texts (content, reader, lines) VALUES (?, ?, ?) RETURNING id",
        (key, reader, json.dumps([[to_text(text), *rest] for text, *rest in lines])),
    ).fetchone()
    if lines:
        whole = "\n".join(to_text(text) for text, *_ in lines)
        connection.add_words("text_words", [(added, spaced(whole), stems_of_text(whole))])


def load(connection: Connection, content_sha256: str) -> list[StoredLine] | None:
    """The lines of a photo; None if nobody has read it."""
    row = connection.execute(
        "SELECT lines FROM texts WHERE content = ?", (to_key(content_sha256),)
    ).fetchone()
    if row is None:
        return None
    try:
        return msgspec.json.decode(row[0], type=list[StoredLine])
    except msgspec.MsgspecError:  # this program never wrote it: as if nobody had read the photo
        return None
