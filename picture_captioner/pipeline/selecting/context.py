"""`--context`: facts about a photo that its owner lets the model know, kind by kind.

They come from library.db. Coordinates are no kind: of a place the name alone is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import PurePosixPath

from picture_captioner.backends.base import TOLD, Told
from picture_captioner.library import PhotoFacts
from picture_captioner.metadata import Kind

FactsOf = Callable[[str, str], PhotoFacts | None]
PlaceNames = Callable[[Sequence[tuple[float, float]]], Sequence[str | None]]

MOST_OF_A_KIND = 20
MAX_CHARACTERS = 200

_NO_NAME = re.compile(
    r"DCIM|Camera( Roll)?|\d{3}[A-Z_]{5}|\d{1,4}|Takeout|Google (Photos|Fotos)", re.I
)
"""Folders that a camera or a program made: their names say nothing of a photo."""

_NUMBERS = re.compile(r"[-+]?\d{1,3}[.,]\d{3,}")
"""A coordinate, wherever somebody wrote it."""


class Context:
    """What may be told of each photo.

    Args:
        kinds: of `TOLD`.
        facts_of: what is known of a path and a content.
        people: the names of those whom the faces of a content show.
        place_names: towns by coordinates; None where nobody can say.
        ours: for a path the words in lower case that this program wrote into the photo; they are
            no facts.
    """

    def __init__(
        self,
        kinds: Collection[str],
        facts_of: FactsOf,
        people: Mapping[str, Sequence[str]],
        place_names: PlaceNames | None,
        ours: Callable[[str], Collection[str]] = lambda _: (),
    ) -> None:
        self.kinds = tuple(kind for kind in TOLD if kind in kinds)
        self._facts_of = facts_of
        self._people = people
        self._place_names = place_names
        self._ours = ours
        self._towns: dict[tuple[float, float], str | None] = {}

    def told(self, rel_path: str, content_sha256: str | None) -> tuple[Told, ...]:
        """The facts, in the order of the kinds; what holds numbers like coordinates is left out."""
        facts = self._facts_of(rel_path, content_sha256) if content_sha256 else None
        found: list[Told] = []
        for kind in self.kinds:
            values = map(_clean, self._values(kind, rel_path, facts))
            kept = [v for v in dict.fromkeys(values) if v and not _NUMBERS.search(v)]
            found += [Told(kind, value) for value in kept[:MOST_OF_A_KIND]]
        return tuple(found)

    def _values(self, kind: str, rel_path: str, facts: PhotoFacts | None) -> list[str]:
        if kind == "folder":
            names = [p for p in PurePosixPath(rel_path).parts[:-1] if not _NO_NAME.fullmatch(p)]
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
        return [self._towns[where] or ""]


def _clean(value: str) -> str:
    """One line of printable characters, without lone surrogates, which cannot be sent."""
    printable = "".join(c if c.isprintable() else " " for c in value)
    return " ".join(printable.split())[:MAX_CHARACTERS].rstrip()
