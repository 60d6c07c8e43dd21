"""Names and captions as text that no reader obeys: they come from outside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

_JOINERS = frozenset("\u200c\u200d")
"""They hold emoji and Persian words together, and are harmless."""

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control and format characters (escape codes, bidi), lone surrogates, line separators."""

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$^=:@/])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def visible(text: str, allowed: Container[str] = "") -> str:
    r"""The text with what would be obeyed written out (`\x1b`, `\u202e`, `\udce9`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in allowed else _visible(c) for c in text)


def _visible(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _OBEYED:
        return character
    return character.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """The text in one line, spaces for line breaks, everything else visible."""
    return visible(" ".join(text.split()))


def markdown(text: str) -> str:
    """The text as Markdown shows it: no link, image, emphasis, list, table, HTML or line break."""
    escaped = _MARKUP.sub(r"\\\1", one_line(text))
    return "".join(_ENTITIES.get(c, c) for c in escaped)


def shortened(text: str, characters: int) -> str:
    """At most so many characters; an ellipsis says that there was more."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "\u2026"
