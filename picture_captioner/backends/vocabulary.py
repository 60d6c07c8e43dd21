"""The words that tags may be: a file of terms, and what becomes of a model's tags by it.

A line is a term, a term below others (`Animal > Dog`), or other words for one (`bike = bicycle`,
of which the last is the term). A tag is a term if it is one in another case, in the plural or by
another word; a model may name a term by its last level alone where only one ends with it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from picture_captioner.errors import UsageError
from picture_captioner.foreign_text import read_regular

Mode: TypeAlias = Literal["strict", "prefer", "free"]

MAX_TERMS = 20_000
MAX_TOLD = 2_000
"""Terms that are put into a question: about 6,000 tokens for each photo."""

MAX_TERM = 100
"""Characters of a term with all its levels; a longer one is a sentence on one line."""

_LEVEL = " > "
_LEVELS = re.compile(r"\s*>\s*")
_APART = re.compile(r"[\s_\-\u2010-\u2015]+")
_IRREGULAR = {
    "children": "child", "men": "man", "women": "woman", "people": "person", "feet": "foot",
    "teeth": "tooth", "geese": "goose", "mice": "mouse", "leaves": "leaf", "knives": "knife",
    "wolves": "wolf", "calves": "calf", "loaves": "loaf", "shelves": "shelf", "wives": "wife",
}  # fmt: skip
_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""))


class EnumLimit(NamedTuple):
    """How many values, and characters in all of them, a provider's schema takes in an enum."""

    values: int
    characters: int


class Sorted(NamedTuple):
    """Tags as they are to be written, and those that are not in the vocabulary."""

    tags: list[str]
    outside: list[str]


@dataclass(frozen=True)
class Vocabulary:
    """The terms of a file, by its lines.

    Raises, when it is made:
        ValueError: a line makes no sense beside the others; the message names it.
    """

    lines: tuple[str, ...]
    mode: Mode = "strict"
    terms: tuple[str, ...] = field(init=False, compare=False)
    """Every term, with all of its levels; one above others is a term, too."""
    _names: dict[str, str | None] = field(init=False, compare=False, repr=False)
    """The term behind each folded name; None behind one that two terms end with."""

    def __post_init__(self) -> None:
        """Read the lines: first the terms, then the other words for them."""
        rows = [[_levels(part) for part in line.split("=")] for line in self.lines]
        known: dict[str, str] = {}
        for line, row in zip(self.lines, rows, strict=True):
            if not all(row) or any(len(_LEVEL.join(part)) > MAX_TERM for part in row):
                raise ValueError(f"{line[:80]!r} is no term and no other word for one")
            if len(row) == 1:
                _add_levels(known, row[0])
        endings: dict[str, set[str]] = {}
        for term in known.values():
            endings.setdefault(folded(_levels(term)[-1]), set()).add(term)
        names: dict[str, str | None] = {
            ending: min(terms) if len(terms) == 1 else None for ending, terms in endings.items()
        }
        for line, row in zip(self.lines, rows, strict=True):
            if len(row) > 1:
                _add_words(known, names, line, row)
        names |= known
        object.__setattr__(self, "terms", tuple(known.values()))
        object.__setattr__(self, "_names", names)

    @classmethod
    def of(cls, lines: Iterable[str], mode: Mode = "strict") -> Vocabulary:
        """The vocabulary of these lines; made once for all requests of a run."""
        return _made(tuple(lines), mode)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """What a model is to call each term: its last level, where no other ends with it."""
        last = [_levels(term)[-1] for term in self.terms]
        return tuple(
            end if self._names.get(folded(end)) == term else term
            for term, end in zip(self.terms, last, strict=True)
        )

    @cached_property
    def digest(self) -> str:
        """Tells it from other vocabularies; a part of the prompt's hash."""
        text = "\n".join((self.mode, *self.lines))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def told(self) -> bool:
        """Whether a model is given the list: not if tags are free, or the list is too long."""
        return self.mode != "free" and len(self.terms) <= MAX_TOLD

    def fits(self, limit: EnumLimit | None) -> bool:
        """Whether a schema with this limit can hold a model to the terms."""
        if limit is None or self.mode != "strict" or len(self.named) > limit.values:
            return False
        # OpenAI has refused values with these in them.
        plain = not any('"' in term or "\\" in term for term in self.named)
        return plain and sum(map(len, self.named)) <= limit.characters

    def term(self, tag: str) -> str | None:
        """The term that a tag means, None if none."""
        return next((found for key in _forms(folded(tag)) if (found := self._names.get(key))), None)

    def sort(self, tags: Iterable[str]) -> Sorted:
        """A model's tags by the mode: terms alone, terms first, or as they come but for terms."""
        terms: list[str] = []
        outside: list[str] = []
        as_they_come: list[str] = []
        for tag in filter(None, tags):
            term = self.term(tag)
            (outside if term is None else terms).append(term or tag.lower())
            as_they_come.append(term or tag.lower())
        wanted = {"strict": terms, "prefer": [*terms, *outside], "free": as_they_come}
        return Sorted(list(dict.fromkeys(wanted[self.mode])), list(dict.fromkeys(outside)))


@lru_cache(maxsize=8)
def _made(lines: tuple[str, ...], mode: Mode) -> Vocabulary:
    return Vocabulary(lines, mode)


def folded(text: str) -> str:
    """How names are compared: without case, hyphens and underscores being spaces."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _LEVEL.join(_APART.sub(" ", level).strip() for level in plain.split(">"))


def _levels(text: str) -> tuple[str, ...]:
    """The levels of a term; none if one is empty, or cannot be written on a line of a file."""
    levels = tuple(" ".join(level.split()) for level in _LEVELS.split(text.strip()))
    whole = all(level and level.isprintable() and folded(level) for level in levels)
    return levels if whole else ()


def _add_levels(known: dict[str, str], levels: tuple[str, ...]) -> str:
    """Take in a term and those above it, each by the spelling that came first."""
    path = ""
    for level in levels:
        path = f"{path}{_LEVEL}{level}" if path else level
        path = known.setdefault(folded(path), path)
    return path


def _add_words(
    known: dict[str, str], names: dict[str, str | None], line: str, row: list[tuple[str, ...]]
) -> None:
    *words, target = (_LEVEL.join(part) for part in row)
    key = folded(target)
    if key in names and names[key] is None and key not in known:
        raise ValueError(f"{line[:80]!r}: several terms end with {target}; write its levels")
    term = known.get(key) or names.get(key) or _add_levels(known, row[-1])
    names.setdefault(folded(row[-1][-1]), term)
    for word in words:
        if known.get(folded(word)) or names.get(folded(word), term) != term:
            raise ValueError(f"{line[:80]!r}: {word} is a term or another word for one already")
        names[folded(word)] = term


def _require_order(lines: Sequence[str]) -> None:
    """Refuse terms of which each stands above the other.

    Raises:
        ValueError: it names the lines.
    """
    said: dict[tuple[str, str], int] = {}
    order = TopologicalSorter[str]()
    for number, line in enumerate(lines, 1):
        levels = [folded(level) for level in _levels(line.split("=")[-1])]
        for above, below in pairwise(() if line.lstrip().startswith("#") else levels):
            if above != below:  # New York is in New York
                order.add(below, above)
                said.setdefault((above, below), number)
    try:
        order.prepare()
    except CycleError as error:
        round_ = error.args[1]
        places = sorted({said[pair] for pair in pairwise(round_)})
        named = " and ".join(map(str, places))
        raise ValueError(f"lines {named}: {' > '.join(round_)} goes round in a circle") from None


def _forms(name: str) -> Iterable[str]:
    """A name as it is, its singular, its plurals: whichever of them is in the vocabulary."""
    yield name
    rest, space, last = name.rpartition(" ")
    head = rest + space
    if last in _IRREGULAR:
        yield head + _IRREGULAR[last]
    yield from (f"{head}{many}" for many, one in _IRREGULAR.items() if one == last)
    for ending, instead in _ENDINGS:
        if last.endswith(ending) and len(last) > len(ending) + 1:
            yield head + last.removesuffix(ending) + instead
    yield from (f"{name}s", f"{name}es")
    if last.endswith("y"):
        yield head + last[:-1] + "ies"


def read_vocabulary(path: Path, mode: Mode = "strict") -> Vocabulary:
    """The vocabulary in a UTF-8 text file; empty lines and `#` comments are passed over.

    Raises:
        UsageError: it cannot be read, is not text, makes no sense, or holds no terms or too many.
    """
    try:
        lines = read_regular(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"--vocabulary {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--vocabulary {path}: not UTF-8 text") from error
    stripped = (line.strip() for line in lines)
    wanted = tuple(dict.fromkeys(t for t in stripped if t and not t.startswith("#")))
    if not wanted:
        raise UsageError(f"--vocabulary {path}: no terms in it; write one on each line")
    if len(wanted) > MAX_TERMS:
        raise UsageError(f"--vocabulary {path}: {len(wanted):,} terms; at most {MAX_TERMS:,}")
    try:
        _require_order(lines)
        return Vocabulary.of(wanted, mode)
    except ValueError as error:
        raise UsageError(f"--vocabulary {path}: {error}") from None
