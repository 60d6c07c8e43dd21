"""Words as a full-text index is asked for them: their stems, and the phrases that find them.

FTS5 has a query language of its own, in which an apostrophe or a hyphen is a syntax error; so has
PostgreSQL. Each home quotes every phrase, so nothing in it is syntax.

`dogs` finds `dog`, `Hunde` finds `Hund`. The language of a text is told by its script, else by its
commonest words; which one a search is in nobody knows, so a word of it is reduced by the rules of
all. A stem carries its language (`en:dog`), so that Italian rules, by which `care` is `car`, find
nothing in English captions.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Protocol

from picture_captioner.library.home import Phrase
from picture_captioner.library.schema import to_text

_COMMON = {
    "english": "the a and with of in is on are at an to two his her their",
    "german": "der die das und ein eine einem einer mit auf im ist vor zwei sind den dem",
    "french": "le les des un une et avec sur dans est au du deux qui sont aux",
    "spanish": "el los las una un con en y está del al dos sobre se por unos",
    "italian": "il lo gli una con di su e che della nel due è sono sulla dei",
    "portuguese": "os uma um com em o e na no ao dois da do está sobre duas",
    "dutch": "het een van en op met de zijn twee voor aan naast is bij",
    "swedish": "en ett och på med är i som två vid den av",
    "danish": "en et og på med er i der to ved den af",
    "norwegian": "en et og på med er i som to ved den av",
    "finnish": "ja on kaksi joka ovat rannalla kanssa sekä edessä hän",
    "polish": "i na z w się jest dwie dwa do przed oraz nad",
    "hungarian": "a az egy és van két egymás mellett előtt is",
    "romanian": "un o și pe cu în este doi două care la din",
    "turkish": "bir ve ile üzerinde iki bu için olan önünde de",
}
"""The words by which a language is told; of equally many, the one that stands first."""

_SCRIPTS = {
    "russian": re.compile("[\u0400-\u04ff]"),
    "greek": re.compile("[\u0370-\u03ff]"),
    "arabic": re.compile("[\u0600-\u06ff]"),
    "hindi": re.compile("[\u0900-\u097f]"),
    "tamil": re.compile("[\u0b80-\u0bff]"),
}
_PLURALS = (
    "child/children man/men woman/women person/people foot/feet tooth/teeth goose/geese "
    "mouse/mice ox/oxen leaf/leaves knife/knives wolf/wolves calf/calves loaf/loaves "
    "shelf/shelves half/halves scarf/scarves wife/wives life/lives thief/thieves"
)
_IRREGULAR = {pair.partition("/")[2]: pair.partition("/")[0] for pair in _PLURALS.split()}
"""English plurals that no rule leads back to their word."""

_MARK = "\u0294"
"""A letter (the glottal stop) that begins no word of a caption."""

_CODES = {name: name[:2] + name[-1] for name in (*_COMMON, *_SCRIPTS)}
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0bbe-\u0bcd])*")
_LONGEST = 40
"""Letters; what is longer is no word, and the rules take time."""


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 - as the package names it


def stems_of_text(text: str) -> str:
    """The stems of a text's words, for the index."""
    words = words_of(text)
    language = language_of(words)
    return " ".join(dict.fromkeys(_stem(language, word) for word in words))


def stems_of_word(word: str) -> list[str]:
    """What a word that is searched for may be in the index; none for what is not one word."""
    found = words_of(word)
    if len(found) != 1 or found[0] != _plain(word):
        return []
    script = _script_of(found[0])
    languages = (script,) if script else tuple(_COMMON)
    return [_stem(language, found[0]) for language in languages]


def language_of(words: list[str]) -> str:
    """The language of these words; English if nothing tells."""
    if (script := _script_of("".join(words[:20]))) is not None:
        return script
    known = {name: sum(word in common for word in words) for name, common in _common().items()}
    return max(known, key=lambda name: known[name])


@functools.cache
def _common() -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in _COMMON.items()}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", to_text(text)).casefold()


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case; numbers are none."""
    return [word for word in _WORD.findall(_plain(text)) if len(word) <= _LONGEST]


def _script_of(text: str) -> str | None:
    if text.isascii():
        return None
    return next((name for name, letters in _SCRIPTS.items() if letters.search(text)), None)


def stem_of(language: str, word: str) -> tuple[str, str]:
    """A word's stem in a language, and the word without accents."""
    letters = unicodedata.normalize("NFKD", word)
    return _stem(language, word), "".join(c for c in letters if not unicodedata.combining(c))


@functools.lru_cache(maxsize=200_000)
def _stem(language: str, word: str) -> str:
    """The stem without accents, after its language: a token of the index."""
    if language == "english":
        word = _IRREGULAR.get(word, word)
    letters = unicodedata.normalize("NFKD", _stemmer(language).stemWord(word))
    return _MARK + _CODES[language] + "".join(c for c in letters if not unicodedata.combining(c))


@functools.cache
def _stemmer(language: str) -> _Stemmer:
    import snowballstemmer

    stemmer: _Stemmer = snowballstemmer.stemmer(language)
    return stemmer


_UMLAUT = re.compile("[aou]e")


def with_umlauts(word: str) -> str:
    """`münchen` for `Muenchen`, as somebody types it whose keyboard has no ü; `blue` is `blü`."""
    return _UMLAUT.sub(lambda typed: {"a": "ä", "o": "ö", "u": "ü"}[typed[0][0]], word.lower())


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

_VARIATION = re.compile("[\ufe00-\ufe0f]")
"""Selectors that make an emoji coloured: some write them, some do not."""

_PLAIN_SIGNS = re.compile(
    r"(?<=w)[-'\u2019_/.,:;\u00b7\u2010-\u2014]+(?=w)"  # join words
    r"|[.,;:!?\u2026)\]}'\"\u2019\u201d\u00bb*]+(?=\s|$)"  # close something
    r"|(?<!\S)[(\[{'\"\u2018\u201c\u201e\u00ab\u00bf\u00a1*]+"  # open something
    r"|(?<!\S)[-\u2010-\u2014]+(?!\S)"  # a dash
)
"""Of a text in which each letter is a `w`. A star is the habit of other programs' searches."""

_LONGEST_LITERAL = 1_000
"""Letters of a pattern: SQLite refuses more than 50,000 bytes."""


def spaced(text: str) -> str:
    """Text for the index: what is written without spaces, one sign to a word.

    A word in it is a phrase of signs then, however short: FTS5's trigrams find none of two.
    """
    return _SPACELESS.sub(r" \1 ", to_text(text)).replace("\0", " ")


def word_phrases(word: str) -> list[Phrase]:
    """Finds words that begin with it, and other forms of it."""
    if (literal := literally(word)) is not None:
        word, last = _longest_piece(literal)
        return [_beginning(word, last)] if word else []
    return [_beginning(word), *map(Phrase, stems_of_word(word))]


def _beginning(word: str, last: bool = True) -> Phrase:
    return Phrase(spaced(word), begins=last and not _SPACELESS.search(word))


def form_phrases(word: str) -> list[Phrase]:
    """Finds the word and its other forms, not what only begins with it."""
    return [*exact_phrase(word), *map(Phrase, stems_of_word(word))]


def exact_phrase(phrase: str) -> list[Phrase]:
    """Finds the words as they stand, one after the other."""
    if (literal := literally(phrase)) is not None:
        phrase, _ = _longest_piece(literal)
    spellings = dict.fromkeys(
        (phrase, phrase.replace("ß", "ss"), phrase.casefold().replace("ss", "ß"))
    )  # the index folds case and accents, and leaves this one alone
    return [Phrase(spaced(text).replace("\u0294", " ")) for text in spellings if text]


def literally(text: str) -> str | None:
    """What must stand as it is typed (`C++`, `AT&T`, `.NET`, an emoji); None if no sign tells so.

    The signs of a sentence around a word do not, nor those that join words (`close-up`).
    """
    text = _VARIATION.sub("", text)
    shape = _without_plain_signs(text)
    if not shape.replace("w", "").strip():
        return None
    return text[len(shape) - len(shape.lstrip()) : len(shape.rstrip())]


def like(literal: str) -> str:
    """The pattern of SQL's LIKE for it; letters that SQLite would not fold may be any."""

    def part(character: str) -> str:
        if character.isspace() or (not character.isascii() and _in_words(character)):
            return "%"
        if character.isascii():
            return "\\" * (character in "\\%_") + character
        return f"{character}%"  # a variation selector may follow

    return f"%{''.join(map(part, spaced(literal[:_LONGEST_LITERAL])))}%"


def _without_plain_signs(text: str) -> str:
    """Each letter as `w`, signs that tell nothing as spaces, and the others."""
    shape = "".join("w" if _in_words(c) else " " if c.isspace() else c for c in text)
    return _PLAIN_SIGNS.sub(lambda signs: " " * len(signs[0]), shape)


def _longest_piece(literal: str) -> tuple[str, bool]:
    """The longest piece without signs that tell, as the index has none; whether it is the last."""
    pieces = list(re.finditer("[w ]+", _without_plain_signs(literal)))
    longest = max(pieces, key=lambda piece: len(piece[0].strip()), default=None)
    if longest is None:
        return "", False
    return literal[slice(*longest.span())].strip(), longest.end() == len(literal)


def _in_words(character: str) -> bool:
    """As FTS5's unicode61 is told: letters, digits, marks, private use."""
    category = unicodedata.category(character)
    return category[0] in "LNM" or category == "Co"


def can_be_found(text: str) -> bool:
    """Whether there is something to look for: a letter, a digit, an emoji or a sign like it."""
    # Cn: emoji that are younger than this Python.
    categories = (unicodedata.category(c) for c in text if not (c.isascii() and not c.isalnum()))
    return any(category[0] in "LNS" or category in {"Co", "Cn"} for category in categories)
