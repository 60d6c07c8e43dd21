"""What photos somebody asks for, and the one grammar for it.

    dogs beach              both words, in any form, or as the beginning of one
    "exact words"           as they stand; also in other quotation marks
    person:Anna place:"New York" tag:snow text:invoice camera:pixel
    has:text status:error_model similar:2024/dog.jpg
    2019-06..2019-09        taken then; also 2019-06, 2019.., ..2019, date:2019, from:2019, to:2020
    -dog -tag:screenshot    without these

The flags of `search` make the same terms. All must hold; of `camera`, `place` and `status`, of
which a photo has one each, any.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from picture_captioner.errors import UsageError, did_you_mean
from picture_captioner.library.schema import to_text
from picture_captioner.library.words import FUNCTION_WORDS, can_be_found

WORDS = frozenset({"word", "phrase", "text"})
"""The kinds of terms that are looked for in what is written."""

HAS = ("caption", "face", "person", "place", "tag", "text", "time", "title", "vector")
STATUSES = ("success", "error_corrupt", "error_api", "error_model", "pending", "suspect")
KINDS = (
    "person", "place", "tag", "text", "camera", "has", "status", "similar", "date", "from", "to",
)  # fmt: skip
"""What may stand before a colon. Anything else there (`http:`) belongs to a word."""

ALTERNATIVES = frozenset({"camera", "place", "status"})
MAX_TERMS = 200
"""More make FTS5 slow and are no search that a person types."""

_MINUS = "\u2212-"
"""The hyphen, and the minus sign that stands for it where a hyphen would begin a flag."""

_DATE = r"\d{4}(?:-\d{1,2}(?:-\d{1,2})?)?"
_PERIOD = re.compile(rf"(?:({_DATE})?\.\.({_DATE})?|(\d{{4}}-\d{{1,2}}(?:-\d{{1,2}})?))", re.ASCII)
_WHOLE_DATE = re.compile(_DATE, re.ASCII)
_QUOTES = "\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02"
"""Quotation marks as a keyboard or a word processor types them, or a caption is copied with. Within
`"` they are part of a name: person:"Robert \u201cBob\u201d Smith"."""

_ANY_QUOTE = f'"{_QUOTES}'
_PIECE = re.compile(
    rf"(?P<minus>[{_MINUS}](?=[^\s{_MINUS}]))?"
    rf"(?:(?P<kind>(?ai:{'|'.join(KINDS)})):(?:\"(?P<quoted>[^\"]*)\"?"
    rf"|[{_QUOTES}](?P<between>[^{_ANY_QUOTE}]*)[{_ANY_QUOTE}]?|(?P<value>\S*))"
    rf"|\"(?P<phrase>[^\"]*)\"?|[{_QUOTES}](?P<words>[^{_ANY_QUOTE}]*)[{_ANY_QUOTE}]?"
    rf"|(?P<word>[^\s{_ANY_QUOTE}]+))",
)


class Term(NamedTuple):
    """One condition; of kind `word`, `phrase`, or one of `KINDS`."""

    kind: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        value = self.value
        if self.kind == "phrase" or re.search(rf"^[{_QUOTES}]|\s", value):
            value = '"' + value.replace('"', " ") + '"'
        return value if self.kind in {"word", "phrase"} else f"{self.kind}:{value}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The photos for which all terms hold."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selection:
        """What is typed, as terms; pieces of signs alone are passed over.

        Raises:
            UsageError: a value that cannot be, with what could be.
        """
        found: list[Term] = []
        for piece in _PIECE.finditer(text):
            negated = piece["minus"] is not None
            if piece["kind"] is not None:
                value = piece["quoted"] or piece["between"] or piece["value"] or ""
                found.append(checked(piece["kind"].lower(), value, negated=negated))
            elif piece["word"] is None:
                phrase = to_text(piece["phrase"] or piece["words"] or "")
                found += _if_word(Term("phrase", phrase, negated))
            elif _PERIOD.fullmatch(piece["word"]) and piece["word"] != "..":
                found.append(checked("date", piece["word"], negated=negated))
            else:
                found += _if_word(Term("word", to_text(piece["word"]), negated))
        return cls._of(found)

    def __and__(self, other: Selection) -> Selection:
        """The photos that both select."""
        return Selection._of((*self.terms, *other.terms))

    def without(self, other: Selection) -> Selection:
        """These photos but for those of which any term of the other one holds."""
        return self & Selection(tuple(replaced_sign(term) for term in other.terms))

    @classmethod
    def _of(cls, terms: Iterable[Term]) -> Selection:
        distinct = tuple(dict.fromkeys(terms))
        if len(distinct) > MAX_TERMS:
            raise UsageError(
                f"{len(distinct)} words and conditions are too many for one search; "
                f"{MAX_TERMS} are the most"
            )
        return cls(distinct)

    @property
    def looked_for(self) -> tuple[Term, ...]:
        """The terms that are looked for in what is written; function words only if alone."""
        words = tuple(t for t in self.terms if t.kind in WORDS and not t.negated)
        telling = [t for t in words if t.kind != "word" or t.value.lower() not in FUNCTION_WORDS]
        return tuple(telling) or words

    @property
    def asks_for_facts(self) -> bool:
        """Whether it asks when, where or with which camera a photo was taken."""
        asking = {"date", "place", "camera"}
        known = {("has", "time"), ("has", "place")}
        return any(term.kind in asking or term[:2] in known for term in self.terms)

    def of_kind(self, kind: str) -> tuple[Term, ...]:
        """The terms of this kind, the negated ones included."""
        return tuple(term for term in self.terms if term.kind == kind)

    def __str__(self) -> str:
        return " ".join(f"{'-' if term.negated else ''}{term}" for term in self.terms)


def replaced_sign(term: Term) -> Term:
    """The term with the opposite sign."""
    return term._replace(negated=not term.negated)


def _if_word(term: Term) -> list[Term]:
    return [term] if can_be_found(term.value) else []


def checked(kind: str, value: str, *, negated: bool = False) -> Term:
    """A term whose value can be.

    Raises:
        UsageError: it cannot, with what could be.
    """
    value = value.strip() if kind == "similar" else to_text(value.strip())
    if not value:
        raise UsageError(f"{kind}: needs a value right after the colon, such as {_EXAMPLES[kind]}")
    if kind in {"date", "from", "to"}:
        return _period(kind, value, negated=negated)
    listed = {"has": HAS, "status": STATUSES}.get(kind)
    if listed is not None and value not in listed:
        near = did_you_mean(value, list(listed))
        raise UsageError(f"{kind}:{value[:60]} is none{near}; it may be: {', '.join(listed)}")
    if listed is None and not can_be_found(value):
        raise UsageError(f"{kind}:{value[:60]} names nothing; such as {_EXAMPLES[kind]}")
    if kind == "similar" and negated:
        raise UsageError("similar: cannot be negated: every photo is a little like every other")
    return Term(kind, value, negated)


_EXAMPLES = {
    "person": "person:Anna",
    "place": 'place:"New York"',
    "tag": "tag:snow",
    "text": "text:invoice",
    "camera": "camera:pixel",
    "has": "has:text",
    "status": "status:error_model",
    "similar": "similar:2024/dog.jpg",
    "date": "date:2019-06..2019-09",
    "from": "from:2019-06",
    "to": "to:2019-09-30",
}


def _period(kind: str, value: str, *, negated: bool) -> Term:
    """A term of kind `date`, its value being `first..last` with whole days or nothing."""
    first, dots, last = value.partition("..")
    if not dots:
        last = first
    if kind == "from":
        last = ""
    elif kind == "to":
        first = ""
    ends = [_day(text, kind, value, last=place == 1) for place, text in enumerate((first, last))]
    if not any(ends) or (kind != "date" and dots):
        raise _no_date(kind, value)
    if all(ends) and ends[0] > ends[1]:
        raise UsageError(f"{value[:60]} ends before it begins")
    return Term("date", "..".join(ends), negated)


def _day(text: str, kind: str, value: str, *, last: bool) -> str:
    if not text:
        return ""
    if not _WHOLE_DATE.fullmatch(text):
        raise _no_date(kind, value)
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    try:
        month = month or (12 if last else 1)
        day = day or (calendar.monthrange(year, month)[1] if last else 1)
        return date(year, month, day).isoformat()
    except ValueError:
        raise _no_date(kind, value) from None


def _no_date(kind: str, value: str) -> UsageError:
    return UsageError(
        f"{kind}: {value[:60]!r} is no date; write 2019, 2019-06, 2019-06-30"
        + (" or 2019-06..2019-09" if kind == "date" else "")
    )
