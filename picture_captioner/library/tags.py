"""Tags of photos: those in captions, and those that a model gave the picture."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from picture_captioner.library.encoding import from_key


class PhotoTag(NamedTuple):
    """A tag of a photo as it is stored; `category` and `confidence` where a tagger gave it."""

    rel_path: str
    tag: str
    category: str = ""
    confidence: float | None = None


def every(connection: sqlite3.Connection) -> Iterator[PhotoTag]:
    """Every tag of every photo, those of captions first."""
    for key, tag in connection.execute("SELECT rel_path, tag FROM caption_tags"):
        yield PhotoTag(from_key(key), tag)
    given = connection.execute(
        "SELECT rel_path, tag, category, confidence FROM photo_tags JOIN located USING (content)"
    )
    for key, tag, category, confidence in given:
        yield PhotoTag(from_key(key), tag, category, confidence)


def counts(
    connection: sqlite3.Connection, name: Callable[[str], str | None], key: Callable[[str], str]
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
