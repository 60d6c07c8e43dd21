"""What is told to the model of a photo: tags (`--hints`), and facts kind by kind (`--context`).

Facts come from library.db. Coordinates are no kind: of a place the name alone is told. Tags are
what some tagger gave the photos: a file of JSON lines, each with a list of `tags` and a key, the
photo's `rel_path` as in the journal, or its `content_sha256`, which still fits after the photo was
renamed. A photo that both find gets the tags of both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, TypeAlias

import msgspec

from picture_captioner.backends.base import REJECTED, TOLD, Told
from picture_captioner.errors import UsageError
from picture_captioner.library.facts import PhotoFacts, Place, somebody_named
from picture_captioner.metadata.told import Kind
from picture_captioner.pipeline.selecting.path_filter import one_spelling

FactsOf = Callable[[str, str], PhotoFacts | None]
PlaceNames = Callable[[Sequence[tuple[float, float]]], Sequence[Place | None]]

MOST_OF_A_KIND = 20
MAX_CHARACTERS = 200

_NUMBERS = re.compile(r"[-+]?\d{1,3}[.,]\d{3,}")
"""A coordinate, wherever somebody wrote it."""


class Context:
    """What may be told of each photo.

    Args:
        kinds: of `TOLD`.
        facts_of: what is known of a path and a content.
        people: the names of those whom the faces of a content show.
        place_names: places by coordinates; None where nobody can say.
        ours: for a path the words in lower case that this program wrote into the photo; they are
            no facts.
    """

    def __init__(
        self,
        kinds: Collection[str],
        facts_of: FactsOf,
        people: Mapping[str, Sequence[str]],
        place_names: PlaceNames | None,
        ours: Callable[[str], Collection[str]],
    ) -> None:
        self.kinds = tuple(kind for kind in TOLD if kind in kinds)
        self._facts_of = facts_of
        self._people = people
        self._place_names = place_names
        self._ours = ours
        self._towns: dict[tuple[float, float], Place | None] = {}

    def told(self, rel_path: str, content_sha256: str | None) -> tuple[Told, ...]:
        """The facts, in the order of the kinds; what holds numbers like coordinates is left out."""
        facts = self._facts_of(rel_path, content_sha256) if content_sha256 else None
        found: list[Told] = []
        for kind in self.kinds:
            values = (_clean(v, MAX_CHARACTERS) for v in self._values(kind, rel_path, facts))
            kept = [v for v in dict.fromkeys(values) if v and not _NUMBERS.search(v)]
            found += [Told(kind, value) for value in kept[:MOST_OF_A_KIND]]
        return tuple(found)

    def _values(self, kind: str, rel_path: str, facts: PhotoFacts | None) -> list[str]:
        if kind == "folder":
            names = [p for p in PurePosixPath(rel_path).parts[:-1] if somebody_named(p)]
            return [" / ".join(names[-2:])]
        if facts is None:
            return []
        if kind == "date":
            taken = facts.taken_at
            return [f"{taken.day} {taken:%B %Y}"] if taken else []
        if kind == "place":
            return self._places(facts)
        said = {"people": Kind.PERSON, "album": Kind.ALBUM, "keywords": Kind.KEYWORD}[kind]
        seen = self._people.get(facts.content_sha256, ()) if kind == "people" else ()
        told = [one.value for one in facts.told if one.kind is said and not one.guessed]
        ours = self._ours(rel_path) if told else ()
        return [*seen, *(value for value in told if value.casefold() not in ours)]

    def _places(self, facts: PhotoFacts) -> list[str]:
        """What somebody wrote down, else the town nearby."""
        if said := [one.value for one in facts.told if one.kind is Kind.PLACE]:
            return said
        if facts.latitude is None or facts.longitude is None or self._place_names is None:
            return []
        where = (round(facts.latitude, 3), round(facts.longitude, 3))
        if where not in self._towns:
            (self._towns[where],) = self._place_names([where])
        town = self._towns[where]
        return [town.name] if town else []


MAX_TAGS = 50
MAX_TAG_CHARACTERS = 100
"""A tagger's list is some words; more of them would cost more than the photo."""

Tags: TypeAlias = tuple[str, ...]


class Hints:
    """Tags by path and by content, and facts; empty unless the user asked for them."""

    def __init__(
        self,
        by_path: Mapping[str, Tags] | None = None,
        by_content: Mapping[str, Tags] | None = None,
        context: Context | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._by_path = by_path or {}
        self._by_content = by_content or {}
        self.context = context
        self.reasons = reasons or {}

    def __bool__(self) -> bool:
        return bool(self._by_path or self._by_content or self.context)

    def with_reasons(self, reasons: Mapping[str, str]) -> Hints:
        """The same, with why earlier captions were rejected, by path.

        That is told once and no part of the question: else the new caption would be stale at once.
        """
        return Hints(self._by_path, self._by_content, self.context, reasons)

    def reason(self, rel_path: str) -> Tags:
        """Why a photo's last caption was rejected, if somebody said so."""
        found = self.reasons.get(rel_path)
        return (Told(REJECTED, _clean(found, MAX_TAG_CHARACTERS)),) if found else ()

    def with_context(self, context: Context | None) -> Hints:
        """The same tags, with these facts or none."""
        return Hints(self._by_path, self._by_content, context)

    def tags(self, rel_path: str, content_sha256: str | None) -> Tags:
        """What may be said about a photo in the prompt: tags, then facts."""
        if not self:
            return ()
        by_content = self._by_content.get(content_sha256, ()) if content_sha256 else ()
        tags = _merged(self._by_path.get(one_spelling(rel_path), ()), by_content)
        return (*tags, *(self.context.told(rel_path, content_sha256) if self.context else ()))


class _Line(msgspec.Struct):
    """A line of the file; what else a tagger wrote into it is passed over."""

    tags: list[str]
    rel_path: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    content_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None


def read_hints(path: Path) -> Hints:
    """Read a file of hints; several lines about the same photo add up.

    Raises:
        UsageError: the file cannot be read, or a line is no hint; the message names the line.
    """
    by_path: dict[str, Tags] = {}
    by_content: dict[str, Tags] = {}
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    _add(_parsed(path, number, line), by_path, by_content)
    except OSError as error:
        raise UsageError(f"--hints {path}: {error.strerror}") from error
    return Hints(by_path, by_content)


def _parsed(path: Path, number: int, data: bytes) -> _Line:
    try:
        # Not msgspec's own decoder, which refuses the lone surrogates in names that are not UTF-8.
        line = msgspec.convert(json.loads(data), _Line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--hints {path}, line {number}: {error}") from None
    if line.rel_path is None and line.content_sha256 is None:
        raise UsageError(f"--hints {path}, line {number}: it has no rel_path and no content_sha256")
    return line


def _add(line: _Line, by_path: dict[str, Tags], by_content: dict[str, Tags]) -> None:
    tags = tuple(_clean(tag, MAX_TAG_CHARACTERS) for tag in line.tags)
    if line.rel_path is not None:
        rel_path = one_spelling(line.rel_path)
        by_path[rel_path] = _merged(by_path.get(rel_path, ()), tags)
    elif line.content_sha256 is not None:
        key = line.content_sha256.lower()
        by_content[key] = _merged(by_content.get(key, ()), tags)


def _clean(text: str, most: int) -> str:
    """One line of printable characters: a lone surrogate could not be sent."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:most].rstrip()


def _merged(first: Tags, second: Tags) -> Tags:
    return tuple(tag for tag in dict.fromkeys(first + second) if tag)[:MAX_TAGS]
