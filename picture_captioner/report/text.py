"""Names and captions as text that no reader obeys: they come from outside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

_JOINERS = frozenset("\u200c\u200d")
"""They hold emoji and Persian words together, and are harmless."""

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control and format characters (escape codes, bidi), lone surrogates, line separators."""

_LIKE_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
"""A backslash of the text itself that would read as one of ours."""

_MARKUP = re.compile(r"([\\`*_\[\]|~$])")
_BEGINNING = re.compile(r"^(?:[-+#=:]|\d+(?=[.)](?:\s|$)))")
"""What begins a list, heading, rule or definition where a line begins."""

_AUTOLINK = re.compile(r"(?<=[a-z]):(?=//)|(?<=/)/|(?<=www)\.|@", re.IGNORECASE)
"""What GitHub and Visual Studio Code make a link of without being asked."""

_LOST_SPACE = re.compile(r"^\s|\s\Z|(?<=\s)\s")
"""Spaces that Markdown drops: at both ends, and after another one."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def visible(text: str, allowed: Container[str] = "") -> str:
    r"""The text with what would be obeyed written out (`\x1b`, `\u202e`, `\udce9`).

    A backslash that would read as the beginning of such an escape is written as `\x5c`, so that no
    two texts look alike and the text can be had back.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    marked = _LIKE_ESCAPED.sub(r"\\x5c", text)
    return "".join(c if c in allowed else _visible(c) for c in marked)


def _visible(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _OBEYED:
        return character
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"


def one_line(text: str) -> str:
    """The text in one line, spaces for line breaks, everything else visible."""
    return visible(" ".join(text.split()))


def markdown(text: str) -> str:
    """The text as Markdown shows it: no link, image, emphasis, list, table, HTML or line break."""
    return _escaped(one_line(text))


def markdown_name(name: str) -> str:
    r"""A path likewise, but every character counts: a line break is `\x0a`, no space is lost."""
    return _LOST_SPACE.sub(_as_entity, _escaped(visible(name)))


def _escaped(line: str) -> str:
    entities = "".join(_ENTITIES.get(c, c) for c in line)
    escaped = _MARKUP.sub(r"\\\1", entities)
    unlinked = _AUTOLINK.sub(_as_entity, escaped)
    return _BEGINNING.sub(_as_entity, unlinked)


def _as_entity(match: re.Match[str]) -> str:
    first, rest = match.group()[0], match.group()[1:]
    return f"&#{ord(first)};{rest}"


def shortened(text: str, characters: int) -> str:
    """At most so many characters; an ellipsis says that there was more."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "\u2026"
