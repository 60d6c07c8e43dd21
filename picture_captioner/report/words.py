"""Captions into words, in any script, and which of them say nothing of a photo.

Those are function words of many languages, and captioners' phrases. The lists are stopwords-iso's,
of 58 languages. A list holds for the captions of its own language alone: `cat` is a function word
in Romanian, `car` in French, `sea` in Spanish.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

MIN_LETTERS = 2

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana, Han
    "\U00020000-\U000323af"  # rarer Han
)
"""Scripts written without spaces: their words are replaced by pairs of neighbouring characters,
which search engines do as well (Lucene's CJKAnalyzer)."""


def words(text: str) -> Iterator[str]:
    r"""The words of a caption, in lower case, without numbers.

    Accents stay (`café`), composed (NFKC). Marks belong to their letter, as in Devanagari, which
    a `\w+` would tear apart.
    """
    for match in _pattern().finditer(unicodedata.normalize("NFKC", text).casefold()):
        found = match.group()
        if match.lastgroup == "spaceless":
            yield from (found[i : i + 2] for i in range(max(1, len(found) - 1)))
        elif len(found) >= MIN_LETTERS:
            yield found


@functools.cache
def _pattern() -> re.Pattern[str]:
    marks = _ranges([c for c in range(0x10000) if unicodedata.category(chr(c))[0] == "M"])
    # A letter or mark that is not of a spaceless script.
    letter = rf"(?![{_SPACELESS}])[^\W\d_]"
    word = rf"{letter}(?:{letter}|[{marks}])*(?:['\u2019-]{letter}(?:{letter}|[{marks}])*)*"
    return re.compile(rf"(?P<spaceless>[{_SPACELESS}]+)|(?P<word>{word})")


def _ranges(codes: list[int]) -> str:
    """The inside of a character class for sorted code points."""
    spans: list[list[int]] = []
    for code in codes:
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in spans)


_ENGLISH = """
a about above across after again against all along also among an and another any appears are around
as at back be because been before behind being below beneath beside between both but by can could
down each either engaged few for from front had has have he her here herself him himself his how i
if in inside into is it its itself just less like many may me more most much my near next no nor
not of off on one only onto or other our out outside over own per possibly rather same seem seems
several she should single so some someone something such than that the their them there these they
this those through to together too toward towards two three under until up upon us very was we well
were what when where which while who whose will with within without would you your
"""
_CAPTIONS = """
image images photo photos photograph photographs picture pictures pictured shot view scene
background foreground caption close-up closeup depict depicted depicts depicting feature features
featuring show showing shows shown seen set visible setting surrounded appear bild foto aufnahme
zeigt imagen muestra immagine mostra imagem photographie montre
crisp edges landscape-format mostly portrait-format touches
"""
"""The last line: what `template` says of one picture as of another, beside its colours."""

PHRASES = frozenset(_CAPTIONS.split())

OWN_LISTS = {"en": frozenset(_ENGLISH.split())}
"""In place of the package's, which has 1,298 English words: `home`, `room`, `face`, `young`."""


ENOUGH_VOTES = 3
"""Function words that tell a caption's language: `cat` and `dog` are some in one or another."""


def telling_words(captions: Sequence[str]) -> list[list[str]]:
    """Of each caption its words in order, each once, but those that say nothing of the photo."""
    found = [list(dict.fromkeys(words(caption))) for caption in captions]
    votes = [_votes(bag) for bag in found]
    spoken: Counter[str] = Counter()
    for vote in votes:
        spoken.update(vote)
    stops = [PHRASES | _stop_words(_language(vote, spoken)) for vote in votes]
    return [
        [word for word in bag if word not in stop] for bag, stop in zip(found, stops, strict=True)
    ]


def _votes(bag: Sequence[str]) -> Counter[str]:
    """How many of a caption's words are function words of each language."""
    languages = _languages()
    return Counter(language for word in bag for language in languages.get(word, ()))


def _language(votes: Counter[str], spoken: Counter[str]) -> str:
    """What a caption is written in; where its words do not say, as most of the captions are."""

    def rank(name: str) -> tuple[int, int, str]:
        return votes[name] if votes[name] >= ENOUGH_VOTES else 0, spoken[name], name

    return max(spoken, key=rank, default="en")


@functools.cache
def _languages() -> dict[str, tuple[str, ...]]:
    """For each function word the languages that have it."""
    import stopwordsiso

    found: dict[str, tuple[str, ...]] = {}
    for language in sorted(stopwordsiso.langs()):
        for word in stopwordsiso.stopwords(language):
            found[word] = (*found.get(word, ()), language)
    return found


@functools.cache
def _stop_words(language: str) -> frozenset[str]:
    import stopwordsiso

    return OWN_LISTS.get(language) or frozenset(stopwordsiso.stopwords(language))
