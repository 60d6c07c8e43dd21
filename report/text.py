"""Names and captions as text that no reader obeys: they come from outside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

_JOINERS = frozenset("\u200c\u200d")
"""They hold emoji and Persian words together, and are harmless."""

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control and format characters (escape codes, bidi), lone surrogates, line separators."""

_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_BEGINNING = re.compile(r"^(?:[-+#=]|\d+(?=[.)](?:\s|$)))")
"""What begins a list, heading or rule where a line begins."""

_AUTOLINK = re.compile(r"(?<=[a-z]):(?=//)|(?<=\bwww)\.|@", re.IGNORECASE)
"""What GitHub makes a link of without being asked."""

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
    entities = "".join(_ENTITIES.get(c, c) for c in one_line(text))
    escaped = _MARKUP.sub(r"\\\1", entities)
    unlinked = _AUTOLINK.sub(lambda match: f"&#{ord(match.group())};", escaped)
    return _BEGINNING.sub(_as_entity, unlinked)


def _as_entity(match: re.Match[str]) -> str:
    first, rest = match.group()[0], match.group()[1:]
    return f"&#{ord(first)};{rest}"


def counted(number: int, noun: str) -> str:
    """`1 group`, `1,240 groups`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(text: str, characters: int) -> str:
    """At most so many characters; an ellipsis says that there was more."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "\u2026"
