"""Tags of photos: those in captions, and those that a model gave the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from picture_captioner.library import ledger
from picture_captioner.library.home import Connection
from picture_captioner.library.schema import from_key, to_key, to_text

TAGS = "tag"
"""The ledger's name for tags that a model gave."""

FACE_TAGS = "face tags"
"""The ledger's name for tags that a model gave the faces of a photo."""

CONTENTS_WITH = (
    "SELECT content FROM photo_tags WHERE tag IN (SELECT value FROM json_each(?)) UNION "
    "SELECT content FROM face_tags WHERE tag IN (SELECT value FROM json_each(?))"
)
MARKS = CONTENTS_WITH.count("?")
"""SQL for the pictures with some of the tags that a model gave, and how often it asks for these."""


class PhotoTag(NamedTuple):
    """A tag of a photo as it is stored; `category` and `confidence` where a tagger gave it."""

    rel_path: str
    tag: str
    category: str = ""
    confidence: float | None = None


class GivenTag(NamedTuple):
    """A tag that a model gives a picture, and how sure it is (0 to 1)."""

    category: str
    tag: str
    confidence: float


def pending(connection: Connection, identity: str, version: str | None) -> list[str]:
    """The contents with a vector of this embedder and no tags of this version; None: of any."""
    rows = connection.execute(
        "SELECT key FROM vectors JOIN models ON models.id = model WHERE identity = ? "
        "AND NOT EXISTS (SELECT 1 FROM stages "
        "WHERE content = key AND stage = ? AND version = ?) ORDER BY key",
        (identity, TAGS, version),
    )
    return [from_key(key) for (key,) in rows]


def faces_pending(connection: Connection, version: str | None) -> list[str]:
    """The contents with faces that have no tags of this version; None: all with faces."""
    rows = connection.execute(
        "SELECT DISTINCT content FROM faces WHERE NOT EXISTS (SELECT 1 FROM stages "
        "WHERE stages.content = faces.content AND stage = ? AND version = ?) ORDER BY content",
        (FACE_TAGS, version),
    )
    return [from_key(key) for (key,) in rows]


def save(
    connection: Connection,
    identity: str,
    version: str,
    found: Mapping[str, Sequence[GivenTag]],
) -> None:
    """Keep the tags of each content in place of those it had, and that this is done."""
    keys = [(to_key(content),) for content in found]
    connection.executemany("DELETE FROM photo_tags WHERE content = ?", keys)
    connection.executemany(f"DELETE FROM stages WHERE content = ? AND stage = '{TAGS}'", keys)  # noqa: S608
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
        ledger.note(connection, content, TAGS, version, None, None)


def save_of_faces(
    connection: Connection,
    version: str,
    found: Mapping[str, Mapping[int, Sequence[GivenTag]]],
) -> None:
    """Keep the tags of the faces of each content, by the faces' numbers, and that this is done."""
    keys = [(to_key(content),) for content in found]
    connection.executemany("DELETE FROM face_tags WHERE content = ?", keys)
    connection.executemany(
        f"DELETE FROM stages WHERE content = ? AND stage = '{FACE_TAGS}'",  # noqa: S608
        keys,
    )
    connection.executemany(
        "INSERT INTO face_tags (content, number, version, category, tag, confidence) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            (to_key(content), number, version, to_text(tag.category), to_text(tag.tag), tag[2])
            for content, faces in found.items()
            for number, tags in faces.items()
            for tag in tags
        ],
    )
    for content in found:
        ledger.note(connection, content, FACE_TAGS, version, None, None)


def given(connection: Connection) -> dict[str, list[GivenTag]]:
    """The tags that a model gave the pictures, by content, the surest first."""
    found: dict[str, list[GivenTag]] = {}
    for key, *tag in connection.execute(
        "SELECT content, category, tag, confidence FROM photo_tags "
        "ORDER BY content, confidence DESC, category, tag"
    ):
        found.setdefault(from_key(key), []).append(GivenTag(*tag))
    return found


def of_faces(connection: Connection) -> dict[str, list[str]]:
    """The tags of the faces of each content, each once."""
    found: dict[str, list[str]] = {}
    for key, tag in connection.execute(
        "SELECT content, tag FROM face_tags GROUP BY content, tag "
        "ORDER BY content, max(confidence) DESC, tag"
    ):
        found.setdefault(from_key(key), []).append(tag)
    return found


def of_pictures(connection: Connection) -> list[str]:
    """Each tag that a model gave a picture or a face, once.

    From one to the next by the index: reading all rows of 50,000 photos takes far longer.
    """
    each = " UNION ".join(
        f"SELECT * FROM (WITH RECURSIVE each_tag (tag) AS (SELECT min(tag) FROM {table} UNION ALL "  # noqa: S608
        f"SELECT (SELECT min(tag) FROM {table} WHERE {table}.tag > each_tag.tag) FROM each_tag "
        "WHERE each_tag.tag IS NOT NULL) SELECT tag FROM each_tag WHERE tag IS NOT NULL) AS t"
        for table in ("photo_tags", "face_tags")
    )
    return [tag for (tag,) in connection.execute(each)]


def every(connection: Connection) -> Iterator[PhotoTag]:
    """Every tag of every photo, those of captions first, other programs' keywords last."""
    for key, tag in connection.execute(
        "SELECT rel_path, tag FROM caption_tags ORDER BY rel_path, tag"
    ):
        yield PhotoTag(from_key(key), tag)
    for table in ("photo_tags", "face_tags"):
        by_model = connection.execute(
            f"SELECT rel_path, tag, category, confidence FROM {table} "  # noqa: S608
            "JOIN located USING (content) ORDER BY rel_path, category, tag"
        )
        for key, tag, category, confidence in by_model:
            yield PhotoTag(from_key(key), tag, category, confidence)
    for column in ("rel_path", "content"):
        told = connection.execute(
            "SELECT located.rel_path, value FROM told_facts JOIN told ON told.id = told "  # noqa: S608
            f"JOIN located ON located.{column} = told.{column} "
            "WHERE kind = 'keyword' ORDER BY located.rel_path, value"
        )
        for key, tag in told:
            yield PhotoTag(from_key(key), tag)


def counts(
    connection: Connection, name: Callable[[str], str | None], key: Callable[[str], str]
) -> list[tuple[str, int]]:
    """How many photos have each tag, as `name` calls it, the most frequent first.

    Tags with the same `key` are one, spelled as most photos have it.
    """
    photos: dict[str, set[str]] = {}
    spelled: dict[str, dict[str, int]] = {}
    for found in every(connection):
        now = name(found.tag)
        if now is not None:
            photos.setdefault(key(now), set()).add(found.rel_path)
            times = spelled.setdefault(key(now), {})
            times[now] = times.get(now, 0) + 1
    rows = [(max(spelled[k], key=lambda s: spelled[k][s]), len(p)) for k, p in photos.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))
