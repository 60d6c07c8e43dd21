"""What a caption names that nobody told the model and that cannot be read in the photo.

Models name people, places, dates and brands that they cannot know: of four frames of one bridge two
had two wrong names. A name is told apart by its capital letter inside a sentence; where nouns have
one too (German), or a title has it everywhere, by lists. What stands between quotation marks is
taken for read, unless the photo was read (`caption.py read`) and it is not there. Scripts without
capitals are looked through for years alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from picture_captioner.pipeline.recording.known_names import (
    BRANDS,
    COMMON,
    GIVEN_NAMES,
    MONTHS,
    PLACES,
    WEEKDAYS,
)

_WORD = re.compile(r"[^\W\d_][\w'’.&-]*[^\W_]|[^\W\d_]")  # noqa: RUF001
_SENTENCE = re.compile(r"(?<=[.!?:;\n])[\"”’)]*\s+")  # noqa: RUF001
_QUOTED = re.compile(
    r"[\"“„«‹「『]([^\"”“»›」』]{1,200})[\"”“»›」』]|(?<!\w)['‘]([^'’]{2,80})['’](?!\w)"  # noqa: RUF001
)
_SAID = re.compile(
    r"\b(?:reads?|reading|says?|saying|labell?ed|marked|spell(?:s|ing)|titled|"
    r"with the (?:words?|text|name|letters|logo|inscription))\s+((?:[A-Z0-9][\w'’&-]*\s?)+)"  # noqa: RUF001
)
_YEAR = re.compile(r"(?<![\d.,:/-])(1[89]\d\d|20\d\d)(?![\d:%]|s\b|['’]s\b|[.,]\d)")  # noqa: RUF001
_ISO_DAY = re.compile(r"\b(1[89]\d\d|20\d\d)[-/.](\d\d?)[-/.](\d\d?)\b")
_DAY_WORD = r"(?:\d{1,2}(?:st|nd|rd|th|\.)?)"
_MONTH = re.compile(
    rf"\b(?:{_DAY_WORD}\s+(?:of\s+|de\s+)?)?"
    rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
    rf"(?:\s+{_DAY_WORD}\b)?(?:,?\s+(?:de\s+)?(?:1[89]\d\d|20\d\d))?",
    re.IGNORECASE,
)
_LINKS = {"of", "the", "de", "la", "del", "di", "da", "du", "des", "von", "van", "der", "and", "&"}
_OWNER = re.compile(r"['’]s?$")  # noqa: RUF001
_BEFORE_YEARS = {
    "in", "of", "from", "since", "circa", "around", "year", "spring", "summer", "autumn", "fall",
    "winter", "dated", "jahr", "seit", "von", "en", "de", "nel", "em", "sommer",
}  # fmt: skip
_GERMAN = frozenset(
    [
        "der",
        "die",
        "das",
        "und",
        "ein",
        "eine",
        "einen",
        "einem",
        "einer",
        "mit",
        "auf",
        "im",
        "vor",
        "den",
        "dem",
        "des",
        "durch",
        "ist",
        "sind",
        "zum",
        "zur",
        "am",
        "bei",
        "auf",
        "unter",
        "neben",
        "über",
        "aus",
        "einem",
    ]
)
_GERMAN_ALONE = _GERMAN - {"die", "des", "am", "den"}
"""Those that no other language has."""
_IN_TITLES = _LINKS | {"a", "an", "in", "on", "at", "with", "to", "for", "by", "from", "im", "am"}
"""What stays small in a title; where nothing else does, capitals say nothing."""


def invented(text: str, told: Iterable[str] = (), read: Iterable[str] | None = None) -> list[str]:
    """The names, places, dates and brands in a text that are neither told nor legible.

    Args:
        told: the facts and tags that the model was given.
        read: the lines that were read in the photo; None if nobody read it.
    """
    known = _tokens(told) | _tokens(read or ())
    dates = {part for text in told for part in _parts_of_date(text)}
    text = unicodedata.normalize("NFC", text)
    if read is None:
        plain = _SAID.sub(" … ", _QUOTED.sub(" … ", text))
    else:
        plain = _QUOTED.sub(lambda found: f" {found[1] or found[2]} ", text)
    found = [name for name in _names(plain) if not _is_known(name, known)]
    found += [date for date in _dates(plain) if not _is_told(date, dates, known)]
    return list(dict.fromkeys(found))


def names_in(text: str) -> list[str]:
    """All names in a text, told or not."""
    return list(dict.fromkeys(_names(unicodedata.normalize("NFC", text))))


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", _OWNER.sub("", text).casefold())
    return "".join(c for c in plain if c.isalnum())


def _tokens(texts: Iterable[str]) -> set[str]:
    return {_fold(word) for text in texts for word in re.split(r"[^\w'’]+|_", text) if _fold(word)}  # noqa: RUF001


def _is_known(name: str, known: set[str]) -> bool:
    parts = [_fold(word) for word in re.split(r"[\s\-]+", name) if word.casefold() not in _LINKS]
    return all(part in known or not part for part in parts) or _fold(name) in known


def _names(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    lower = {word for word in words if word.islower()}
    capitals = sum(word[0].isupper() for word in words)
    lists_only = capitals > 0 and lower <= _IN_TITLES
    lists_only |= len(_GERMAN & lower) >= 2 or (bool(lower & _GERMAN_ALONE) and capitals > 2)
    for sentence in _SENTENCE.split(text):
        yield from _names_of_sentence(sentence, lists_only=lists_only)


def _names_of_sentence(sentence: str, *, lists_only: bool) -> Iterator[str]:
    found = list(_WORD.finditer(sentence))
    words = [match[0] for match in found]
    like = [not word.islower() and _is_name_like(word) for word in words]
    end = 0
    for start in range(len(words)):
        if start < end or not like[start]:
            continue
        end = start + 1
        while (
            end < len(words)
            and (like[end] or words[end] in _LINKS)
            and not sentence[found[end - 1].end() : found[end].start()].strip()
        ):
            end += 1
        yield from _judged(words[start:end], first=start == 0, lists_only=lists_only)


def _is_name_like(word: str) -> bool:
    if word[0].isupper():  # nearly all that are not small
        return True
    return any(c.isupper() for c in word[1:]) and any(c.islower() for c in word)


def _judged(run: list[str], *, first: bool, lists_only: bool) -> Iterator[str]:
    """The name in a run of capitalised words; what everybody writes so is none."""
    while run and (run[-1] in _LINKS):
        run.pop()
    if first and run and (run[0].casefold() in _BEGINNERS or _plain(run[0]) in COMMON):
        run = run[1:]
        first = False
        while run and run[0] in _LINKS:
            run = run[1:]
    if not run:
        return
    words = [_OWNER.sub("", word) for word in run]
    telling = [w for w in words if w not in _LINKS and _plain(w) not in COMMON]
    telling = [w for w in telling if _plain(w) not in MONTHS and _plain(w) not in WEEKDAYS]
    written = " ".join(run).casefold()
    if not telling or {written, " ".join(words).casefold()} & COMMON:
        return
    if lists_only or (first and len(telling) == 1 and len(words) == 1):
        yield from (
            w for w in telling if _plain(w) in _LISTED and not (first and _plain(w) in _TWO)
        )
        return
    if all(len(w) == 1 for w in telling):
        return
    yield " ".join(words)


def _plain(word: str) -> str:
    return _OWNER.sub("", word).casefold().rstrip(".")


_LISTED = GIVEN_NAMES | PLACES | BRANDS
_TWO = {"apple", "shell", "target", "gap", "orange", "rose", "lily", "daisy", "june", "may", "april",  # noqa: E501
        "august", "will", "grace", "hope", "joy", "mark", "bill", "jack", "art", "olive", "iris",
        "turkey", "china", "jersey", "nice", "bath", "reading", "mobile", "ivy", "ruby", "amber",
        "violet", "heather", "holly", "penny", "sandy", "rusty", "faith", "dawn", "summer", "max",
        "frank", "guy", "rob", "pat", "sue", "dove", "puma", "jaguar", "ford", "tide"}  # fmt: skip
"""Words that begin sentences, too."""
_BEGINNERS = {
    "a", "an", "the", "two", "three", "four", "five", "six", "several", "many", "some", "this",
    "that", "these", "those", "there", "in", "on", "at", "with", "his", "her", "their", "its", "it",
    "he", "she", "they", "one", "another", "each", "both", "while", "behind", "beside", "above",
    "below", "under", "near", "from", "un", "une", "le", "les", "el", "los", "las", "una", "il",
    "gli", "een", "het", "en", "ett", "um", "uma", "os", "as", "de", "la", "no", "young", "old",
    "i", "we", "you", "and", "but", "to", "of", "by", "people", "children", "close-up", "view",
}  # fmt: skip


def _dates(text: str) -> Iterator[str]:
    """Years, months and days that a text states; `1950s` is a style."""
    found: list[str] = []

    def take(month: re.Match[str]) -> str:
        has_number = any(c.isdigit() for c in month[0])
        before = month.string[: month.start()].rstrip().rpartition(" ")[2].casefold()
        if has_number or (month["month"][0].isupper() and before in {"in", "of", "during", "im"}):
            found.append(" ".join(month[0].split()).rstrip(".,"))
        return " " if has_number else month[0]

    yield from (day[0] for day in _ISO_DAY.finditer(text))
    rest = _ISO_DAY.sub(" ", text)
    # Each place in a text is compared with 73 names: not where none of its words is one of them.
    if not MONTHS.keys().isdisjoint(re.findall(r"\w+", rest.casefold())):
        rest = _MONTH.sub(take, rest)
    yield from found
    yield from (year[0] for year in _YEAR.finditer(rest) if _is_year(rest, year))
    for word in _WORD.findall(rest):
        if word[0].isupper() and _plain(word) in WEEKDAYS:
            yield word


def _is_year(text: str, found: re.Match[str]) -> bool:
    """Whether a number is a year by what stands around it: `2000 people` are none."""
    before, after = text[: found.start()].rstrip(), text[found.end() :].lstrip()
    word = re.split(r"\W+", before)[-1].casefold() if before else ""
    return word in _BEFORE_YEARS or before[-1:] in {",", "("} or not after[:1].isalnum()


def _parts_of_date(text: str) -> Iterator[str]:
    """Its year, month and day, each for itself."""
    if found := _ISO_DAY.search(text):
        yield from (found[1], f"m{int(found[2])}", f"d{int(found[3])}")
    rest = _ISO_DAY.sub(" ", text)
    for number in re.findall(r"\d+", rest):
        yield number if len(number) == 4 else f"d{int(number)}"
    for word in _WORD.findall(rest):
        if _plain(word) in MONTHS:
            yield f"m{MONTHS[_plain(word)]}"
        elif _plain(word) in WEEKDAYS:
            yield f"w{WEEKDAYS[_plain(word)]}"


def _is_told(date: str, told: set[str], known: set[str]) -> bool:
    return all(part in told or part.lstrip("dmw") in known for part in _parts_of_date(date))
