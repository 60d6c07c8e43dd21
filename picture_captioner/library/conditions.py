"""The filters of a selection as conditions of one SQL statement, values always apart from it.

The statement is over `located` (a path and its content), with `photos`, `capture_times` and
`captions` beside it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection
from typing import TypeAlias

from picture_captioner.errors import UsageError
from picture_captioner.library.home import Connection, Part
from picture_captioner.library.schema import to_key
from picture_captioner.library.selection import ALTERNATIVES, WORDS, Selection, Term
from picture_captioner.library.words import literally

PersonContents: TypeAlias = Callable[[str], Collection[str]]
TagName: TypeAlias = Callable[[str], str | None]

_TAKEN = "capture_times.taken_at"
_TOLD = (
    "located.content IN (SELECT content FROM told JOIN told_facts ON told.id = told WHERE {0}) "
    "OR located.rel_path IN (SELECT rel_path FROM told JOIN told_facts ON told.id = told WHERE {0})"
)
"""Of a photo, or of its file, somebody told a fact."""
_TOLD_SO = _TOLD.format("kind = ? AND value IN (SELECT value FROM json_each(?))")
_TAGGED = [
    f"EXISTS (SELECT 1 FROM {table} WHERE {table}.{key} = located.{key} "  # noqa: S608
    "AND tag IN (SELECT value FROM json_each(?)))"
    for table, key in (
        ("caption_tags", "rel_path"),
        ("photo_tags", "content"),
        ("face_tags", "content"),
    )
]
"""Looked up for the rows that other filters leave: a list of all that are tagged takes longer."""
_HAS = {
    "caption": "captions.caption IS NOT NULL",
    "title": "captions.title IS NOT NULL",
    "text": "located.content IN (SELECT content FROM texts WHERE lines != '[]') "
    "OR captions.id IN (SELECT rowid FROM caption_words WHERE text != '')",
    "face": "located.content IN (SELECT content FROM faces)",
    "person": "located.content IN (SELECT content FROM face_assignments WHERE person IS NOT NULL) "  # noqa: S608
    "OR " + _TOLD.format("kind = 'person'"),
    "time": f"{_TAKEN} IS NOT NULL",
    "place": "photos.latitude IS NOT NULL "
    "OR located.rel_path IN (SELECT rel_path FROM beside WHERE latitude IS NOT NULL)",
    "vector": "located.content IN (SELECT key FROM vectors)",
}
"""All but `tag`: a tag that somebody deleted is none."""


def where(
    connection: Connection,
    selection: Selection,
    persons: PersonContents | None,
    tag_name: TagName | None,
) -> Part | None:
    """The condition of a selection's filters; None if it has none.

    Raises:
        UsageError: somebody or something is asked for that is not known here.
    """
    every: list[Part] = []
    any_of: dict[str, list[Part]] = {}
    for term in selection.terms:
        if term.kind in WORDS or term.kind == "similar":
            continue
        condition = _condition(connection, term, persons, tag_name)
        if term.negated:
            every.append(Part(f"({condition.sql}) IS NOT TRUE", condition.values))
        elif term.kind in ALTERNATIVES:
            any_of.setdefault(term.kind, []).append(condition)
        else:
            every.append(condition)
    every += [_joined(" OR ", conditions) for conditions in any_of.values()]
    return _joined(" AND ", every) if every else None


def _joined(word: str, conditions: Collection[Part]) -> Part:
    sql = word.join(f"({condition.sql})" for condition in conditions)
    return Part(f"({sql})", tuple(v for condition in conditions for v in condition.values))


def _condition(
    connection: Connection,
    term: Term,
    persons: PersonContents | None,
    tag_name: TagName | None,
) -> Part:
    value = term.value
    if term.kind == "date":
        return _period(value)
    if term.kind == "camera":
        literally = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return Part("photos.camera LIKE ? ESCAPE '\\'", (f"%{literally}%",))
    if (term.kind, value) == ("status", "suspect"):
        return Part("captions.suspect AND captions.caption IS NOT NULL")
    if term.kind == "status":
        return (
            Part("captions.status IS NULL OR captions.withdrawn")
            if value == "pending"
            else Part("captions.status = ? AND NOT captions.withdrawn", (value,))
        )
    if term.kind == "place":
        return _place(connection, value)
    if term.kind == "tag":
        return _tagged(connection, lambda now: is_called(now, value), tag_name)
    if (term.kind, value) == ("has", "tag"):
        return _tagged(connection, lambda _: True, tag_name)
    if term.kind == "person":
        return _person(connection, value, persons)
    return Part(_HAS[value])


def _period(value: str) -> Part:
    """Times are local and in ISO 8601: they are compared as text, by as much as the day says."""
    first, last = value.split("..")
    parts = [(">=", first)] * bool(first) + [("<=", last)] * bool(last)
    sql = " AND ".join(f"substr({_TAKEN}, 1, 10) {sign} ?" for sign, _ in parts)
    return Part(sql, tuple(day for _, day in parts))


def _place(connection: Connection, value: str) -> Part:
    """Words of the city, its country, its quarter or its region, from the beginning of one on."""
    wanted = f" {folded(value)}"
    names = connection.execute(
        "SELECT name FROM places WHERE name IS NOT NULL UNION "
        "SELECT detail FROM places WHERE detail IS NOT NULL UNION "
        "SELECT value FROM told_facts WHERE kind = 'place'"
    )
    fitting = json.dumps([name for (name,) in names if wanted in f" {folded(name)}"])
    return Part(
        "located.content IN (SELECT content FROM places "  # noqa: S608
        "WHERE name IN (SELECT value FROM json_each(?)) "
        "OR detail IN (SELECT value FROM json_each(?))) OR " + _TOLD_SO,
        (fitting, fitting, "place", fitting, "place", fitting),
    )


def _tagged(connection: Connection, fits: Callable[[str], bool], name: TagName | None) -> Part:
    """By whoever gave them, the tags that fit as they are called now."""
    stored = connection.execute(
        "SELECT tag FROM caption_tags UNION SELECT value FROM told_facts WHERE kind = 'keyword'"
    )
    names = [*(tag for (tag,) in stored), *given_tags(connection)]
    shown = {tag: name(tag) if name else tag for tag in names}
    chosen = json.dumps([tag for tag, now in shown.items() if now is not None and fits(now)])
    return Part(
        " OR ".join([*_TAGGED, _TOLD_SO]),
        (*(chosen,) * len(_TAGGED), "keyword", chosen, "keyword", chosen),
    )


def is_called(tag: str, wanted: str) -> bool:
    """Whether a tag, or a level of one such as `Animal > Dog`, has this name."""
    literal = (literally(wanted) or "").casefold()
    levels = (tag, *tag.split(">"))
    return any(folded(wanted) == folded(level) and literal in level.casefold() for level in levels)


def _person(connection: Connection, value: str, persons: PersonContents | None) -> Part:
    """By the faces found here, and by the names that other programs gave."""
    names = connection.execute("SELECT DISTINCT value FROM told_facts WHERE kind = 'person'")
    told = [name for (name,) in names if folded(name) == folded(value)]
    if persons is None and not told:
        raise UsageError(f"person:{value[:60]} cannot be answered: nobody has been named here")
    found: Collection[str] = ()
    try:
        found = persons(value) if persons is not None else ()
    except UsageError:
        if not told:
            raise
    contents = json.dumps([to_key(content).hex() for content in found])
    named = json.dumps(told)
    return Part(
        "lower(hex(located.content)) IN (SELECT value FROM json_each(?)) OR " + _TOLD_SO,  # noqa: S608
        (contents, "person", named, "person", named),
    )


def folded(text: str) -> str:
    """Lower case without accents, words apart by single spaces: how names are compared.

    Where there is no word (an emoji), the signs.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    words = "".join(c if c.isalnum() else " " for c in letters).split()
    return " ".join(words) or plain.strip()


def given_tags(connection: Connection) -> list[str]:
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
