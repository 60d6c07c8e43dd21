"""Captions into words, in any script."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

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
