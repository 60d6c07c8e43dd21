"""From words that a person types to expressions that SQLite's FTS5 accepts, whatever was typed.

FTS5 has a query language of its own, in which an apostrophe or a hyphen is a syntax error. Here
every word becomes a quoted string, so nothing in it is syntax.
"""

from __future__ import annotations

import re
import unicodedata

from picture_captioner.library.encoding import to_text
from picture_captioner.library.stems import stems_of_word

FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with")
)
"""Few captions about children on a beach have each of them; a search that has other words goes
without. They are searched for inside double quotes."""

_SPACELESS = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af])"
)
"""Thai, Lao, Burmese, Khmer, kana, Han: written without spaces."""


def spaced(text: str) -> str:
    """Text for the index: what is written without spaces, one sign to a word.

    A word in it is a phrase of signs then, however short: FTS5's trigrams find none of two.
    """
    return _SPACELESS.sub(r" \1 ", to_text(text)).replace("\0", " ")


def word_expression(word: str) -> str:
    """Finds words that begin with it, and other forms of it."""
    begins = f'"{spaced(word)}"' + ("" if _SPACELESS.search(word) else "*")
    return " OR ".join((begins, *(f'"{stem}"' for stem in stems_of_word(word))))


def form_expression(word: str) -> str:
    """Finds the word and its other forms, not what only begins with it."""
    return " OR ".join((phrase_expression(word), *(f'"{s}"' for s in stems_of_word(word))))


def phrase_expression(phrase: str) -> str:
    """Finds the words as they stand, one after the other."""
    return f'"{spaced(phrase)}"'.replace("\u0294", " ")


def has_word(text: str) -> bool:
    """Whether FTS5's unicode61 finds a token in it: a letter, a digit, or private use."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Co" for c in text)
