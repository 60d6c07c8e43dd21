"""Where the words of a search are written: in captions, in pictures, in tags, and by others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from picture_captioner.library.conditions import TagName, folded, given_tags
from picture_captioner.library.home import Connection, Part
from picture_captioner.library.schema import from_key
from picture_captioner.library.selection import Term
from picture_captioner.library.words import (
    exact_phrase,
    form_phrases,
    like,
    literally,
    spaced,
    stems_of_text,
    stems_of_word,
    word_phrases,
)

Scores: TypeAlias = dict[bytes, float]

_CONTENTS_WITH = (
    "SELECT content FROM photo_tags WHERE tag IN (SELECT value FROM json_each(?)) UNION "
    "SELECT content FROM face_tags WHERE tag IN (SELECT value FROM json_each(?))"
)
"""SQL for the pictures with some of the tags that a model gave."""

_TAG_SCORE = 1.0
"""Of a tag that a model gave the picture: less than most captions with the word have by bm25."""

_TEXTS = {"caption_words": " || ' ' || ".join(("title", "caption", "tags", "text", "more", "path"))}
"""What an index's rows say; of the others it is their column `text`."""


@dataclass(frozen=True, slots=True)
class Written:
    """The photos with a term, by where it is written, with their scores."""

    term: Term
    captions: Scores
    pictures: Scores
    told: Scores
    tags: Scores

    def __contains__(self, path: bytes) -> bool:
        return path in self.captions or self._is_elsewhere(path)

    def only_in_caption(self, path: bytes) -> bool:
        """Whether it is in the caption alone, and not in the name that is indexed with it."""
        if path not in self.captions or self._is_elsewhere(path):
            return False
        return self.term.kind == "text" or not _says(from_key(path), self.term)

    def _is_elsewhere(self, path: bytes) -> bool:
        return path in self.pictures or path in self.told or path in self.tags

    def scores(self) -> Scores:
        """The sum for each photo over all places where the term is written."""
        whole = dict(self.captions)
        for scores in (self.pictures, self.told, self.tags):
            for path, score in scores.items():
                whole[path] = whole.get(path, 0.0) + score
        return whole


def look_for(connection: Connection, term: Term, name: TagName | None) -> Written:
    """Where a word, phrase or text is written; `name` is what a tag is called now.

    Scores are 0 for what is not wanted: to compute them takes longer than to find it.
    """
    find = partial(_find, connection, term)
    in_captions = _paths(
        connection,
        "SELECT rel_path, score FROM found JOIN captions ON captions.id = found.rowid",
        find("caption_words", "text" if term.kind == "text" else None),
    )
    in_pictures = _paths(
        connection,
        "SELECT located.rel_path, score FROM found JOIN texts ON texts.id = found.rowid "
        "JOIN located ON located.content = texts.content",
        find("text_words"),
    )
    if term.kind == "text":
        return Written(term, in_captions, in_pictures, {}, {})
    told = "FROM found JOIN told ON told.id = found.rowid"
    in_told = _paths(
        connection,
        f"SELECT rel_path, score {told} WHERE rel_path IS NOT NULL UNION ALL "
        f"SELECT located.rel_path, score {told} JOIN located ON located.content = told.content",
        find("told_words"),
    )
    return Written(term, in_captions, in_pictures, in_told, _in_tags(connection, term, name))


def _find(connection: Connection, term: Term, table: str, column: str | None = None) -> Part:
    """A query for (rowid, score) of the rows of an index that have a term.

    The index has no signs: what must stand literally is looked for in the texts of what it finds.
    """
    if term.kind == "word":
        phrases = (form_phrases if term.negated else word_phrases)(term.value)
    else:
        phrases = exact_phrase(term.value)
    found = Part(f"SELECT rowid, CAST(0 AS double precision) AS score FROM {table}")  # noqa: S608
    if phrases:
        found = connection.find_words(table, phrases, column, scored=not term.negated)
    if (literal := literally(term.value)) is None:
        return found
    text = column or _TEXTS.get(table, "text")
    return Part(
        f"WITH hits AS MATERIALIZED ({found.sql}) SELECT hits.rowid, score FROM hits "  # noqa: S608
        f"JOIN {table} ON {table}.rowid = hits.rowid WHERE {text} LIKE ? ESCAPE '\\'",
        (*found.values, like(literal)),
    )


def _paths(connection: Connection, where: str, found: Part) -> Scores:
    """The photos with the words that were found, and the scores of these."""
    sql = f"WITH found AS MATERIALIZED ({found.sql}) {where}"
    return dict(connection.execute(sql, found.values).fetchall())


def _in_tags(connection: Connection, term: Term, name: TagName | None) -> Scores:
    """The photos to which a model gave a tag with the word, as the tag is called now."""
    shown = {tag: name(tag) if name else tag for tag in given_tags(connection)}
    chosen = [tag for tag, now in shown.items() if now is not None and _says(now, term)]
    if not chosen:
        return {}
    rows = connection.execute(
        "SELECT located.rel_path FROM located WHERE located.content IN "  # noqa: S608
        f"({_CONTENTS_WITH})",
        (json.dumps(chosen),) * _CONTENTS_WITH.count("?"),
    )
    return {path: _TAG_SCORE for (path,) in rows}


def _says(tag: str, term: Term) -> bool:
    """Whether a tag or a photo's name has it, as the full-text index would say.

    A word in any form or as a beginning, a phrase as it stands.
    """
    if (literal := literally(term.value)) is not None:
        return literal.casefold() in tag.casefold()
    wanted, said = folded(term.value), folded(tag)
    if spaced(wanted) != wanted:  # written without spaces: inside a word, too
        return wanted in said
    if f" {wanted} " in f" {said} ":
        return True
    if term.kind != "word":
        return False
    begins = not term.negated and f" {wanted}" in f" {said}"
    return begins or not set(stems_of_word(term.value)).isdisjoint(stems_of_text(tag).split())
