"""`--hints`: tags that some tagger gave the photos, told to the model as context.

A file of JSON lines, each with a list of `tags` and a key: the photo's `rel_path` as in the
journal, or its `content_sha256`, which still fits after the photo was renamed. A photo that both
find gets the tags of both.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from picture_captioner.backends.base import REJECTED, Told
from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.context import Context

MAX_TAGS = 50
MAX_TAG_CHARACTERS = 100
"""A tagger's list is some words; more of them would cost more than the photo."""

Tags: TypeAlias = tuple[str, ...]


class Hints:
    """Tags by path and by content, and facts; empty unless the user asked for them."""

    def __init__(
        self,
        by_path: Mapping[str, Tags] | None = None,
        by_content: Mapping[str, Tags] | None = None,
        context: Context | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._by_path = by_path or {}
        self._by_content = by_content or {}
        self.context = context
        self.reasons = reasons or {}

    def __bool__(self) -> bool:
        return bool(self._by_path or self._by_content or self.context)

    def with_reasons(self, reasons: Mapping[str, str]) -> Hints:
        """The same, with why earlier captions were rejected, by path.

        That is told once and no part of the question: else the new caption would be stale at once.
        """
        return Hints(self._by_path, self._by_content, self.context, reasons)

    def reason(self, rel_path: str) -> Tags:
        """Why a photo's last caption was rejected, if somebody said so."""
        found = self.reasons.get(rel_path)
        return (Told(REJECTED, _clean(found)),) if found else ()

    def with_context(self, context: Context | None) -> Hints:
        """The same tags, with these facts or none."""
        return Hints(self._by_path, self._by_content, context)

    def tags(self, rel_path: str, content_sha256: str | None) -> Tags:
        """What may be said about a photo in the prompt: tags, then facts."""
        if not self:
            return ()
        by_content = self._by_content.get(content_sha256, ()) if content_sha256 else ()
        tags = _merged(self._by_path.get(_nfc(rel_path), ()), by_content)
        return (*tags, *(self.context.told(rel_path, content_sha256) if self.context else ()))


def _nfc(path: str) -> str:
    """One spelling for a name: a Mac's disk says e and accent apart, a tagger on Linux together."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


class _Line(msgspec.Struct):
    """A line of the file; what else a tagger wrote into it is passed over."""

    tags: list[str]
    rel_path: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    content_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None


def read_hints(path: Path) -> Hints:
    """Read a file of hints; several lines about the same photo add up.

    Raises:
        UsageError: the file cannot be read, or a line is no hint; the message names the line.
    """
    by_path: dict[str, Tags] = {}
    by_content: dict[str, Tags] = {}
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    _add(_parsed(path, number, line), by_path, by_content)
    except OSError as error:
        raise UsageError(f"--hints {path}: {error.strerror}") from error
    return Hints(by_path, by_content)


def _parsed(path: Path, number: int, data: bytes) -> _Line:
    try:
        # Not msgspec's own decoder, which refuses the lone surrogates in names that are not UTF-8.
        line = msgspec.convert(json.loads(data), _Line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--hints {path}, line {number}: {error}") from None
    if line.rel_path is None and line.content_sha256 is None:
        raise UsageError(f"--hints {path}, line {number}: it has no rel_path and no content_sha256")
    return line


def _add(line: _Line, by_path: dict[str, Tags], by_content: dict[str, Tags]) -> None:
    tags = tuple(_clean(tag) for tag in line.tags)
    if line.rel_path is not None:
        rel_path = _nfc(line.rel_path)
        by_path[rel_path] = _merged(by_path.get(rel_path, ()), tags)
    elif line.content_sha256 is not None:
        key = line.content_sha256.lower()
        by_content[key] = _merged(by_content.get(key, ()), tags)


def _clean(tag: str) -> str:
    """One line of printable characters: a lone surrogate could not be sent."""
    printable = "".join(c if c.isprintable() else " " for c in tag)
    return " ".join(printable.split())[:MAX_TAG_CHARACTERS].rstrip()


def _merged(first: Tags, second: Tags) -> Tags:
    return tuple(tag for tag in dict.fromkeys(first + second) if tag)[:MAX_TAGS]
