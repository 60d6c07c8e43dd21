"""From words that a person types to phrases that a full-text index is asked for.

FTS5 has a query language of its own, in which an apostrophe or a hyphen is a syntax error; so has
PostgreSQL. Each home quotes every phrase, so nothing in it is syntax.
"""

from __future__ import annotations

import re
import unicodedata

from picture_captioner.library.home import Phrase
from picture_captioner.library.schema import to_text
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


def word_phrases(word: str) -> list[Phrase]:
    """Finds words that begin with it, and other forms of it."""
    begins = Phrase(spaced(word), begins=not _SPACELESS.search(word))
    return [begins, *map(Phrase, stems_of_word(word))]


def form_phrases(word: str) -> list[Phrase]:
    """Finds the word and its other forms, not what only begins with it."""
    return [*exact_phrase(word), *map(Phrase, stems_of_word(word))]


def exact_phrase(phrase: str) -> list[Phrase]:
    """Finds the words as they stand, one after the other."""
    return [Phrase(spaced(phrase).replace("\u0294", " "))]


def has_word(text: str) -> bool:
    """Whether FTS5's unicode61 finds a token in it: a letter, a digit, or private use."""
    return any(unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "Co" for c in text)
