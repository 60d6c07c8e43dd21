"""From what a person types to a query that SQLite's FTS5 accepts, whatever was typed.

FTS5 has a query language of its own, in which an apostrophe or a hyphen is a syntax error. Here
every word becomes a quoted string, so nothing in it is syntax.
"""

from __future__ import annotations

import re
import unicodedata

from picture_captioner.library.encoding import to_text

_FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with")
)
"""Few captions about children on a beach have each of them; a search that has other words goes
without. They are searched for inside double quotes."""

_PIECE = re.compile(r'"([^"]*)"?|([^\s"]+)')
_IDEOGRAPH = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def spaced(text: str) -> str:
    """Text for the index: Chinese and Japanese, written without spaces, one sign to a word."""
    return _IDEOGRAPH.sub(r" \1 ", to_text(text)).replace("\0", " ")


def has_words(query: str) -> bool:
    """Whether there is anything in it that can be searched for."""
    return bool(_terms(query))


def match_expressions(query: str) -> list[str]:
    """FTS5 expressions, the strictest first; none if the query has no word in it.

    Words match the beginnings of words, phrases in double quotes as they are. First all must be
    there, then any.
    """
    terms = _terms(query)
    if not terms:
        return []
    every, some = " AND ".join(terms), " OR ".join(terms)
    return [every] if every == some else [every, some]


def _terms(query: str) -> list[str]:
    pieces = [(phrase, word) for phrase, word in _PIECE.findall(query)]
    phrases = [f'"{spaced(phrase)}"' for phrase, _ in pieces if _has_word(phrase)]
    words = [word for _, word in pieces if _has_word(word)]
    content = [word for word in words if word.lower() not in _FUNCTION_WORDS]
    chosen = content if content or phrases else words
    return list(dict.fromkeys(phrases + [f'"{spaced(word)}"*' for word in chosen]))


def _has_word(text: str) -> bool:
    """Whether FTS5's unicode61 finds a token in it: a letter, a digit, or private use."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Co" for c in text)
