"""What the lines of one photo add up to: the one rule that every reader of a journal goes by.

The index, search, the report, `stats`, `compact` and `merge` all call `fold`. The rule in words and
a table of its cases, made by the rule's own test, are in docs/journal-format.md.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

from picture_captioner.errors import Status


class Line(Protocol):
    """What the rule looks at; an `Entry` and a `Record` have it."""

    @property
    def status(self) -> Status:
        """What became of the photo."""

    @property
    def placeholder(self) -> bool:
        """Whether a backend wrote it that does not really caption."""

    @property
    def dry_run(self) -> bool:
        """Whether a dry run wrote it."""

    @property
    def edited(self) -> bool:
        """Whether a human wrote the caption."""

    @property
    def withdrawn(self) -> bool:
        """Whether it takes back the caption before it."""

    @property
    def content_sha256(self) -> str | None:
        """Of the file's bytes, if known."""


L = TypeVar("L", bound=Line)


class Fold(NamedTuple, Generic[L]):
    """What is known of a photo.

    `last` is its last real line. `caption` is the line whose caption holds. While nobody but a
    placeholder spoke of it, both are about its placeholders. Without any line, both are None.
    """

    last: L | None = None
    caption: L | None = None

    @property
    def attempt(self) -> L | None:
        """The last attempt; None if there was none, or its caption was withdrawn since."""
        return None if self.last is None or self.last.withdrawn else self.last

    @property
    def status(self) -> Status | None:
        """`success` if there is a caption, else what became of the last attempt."""
        if self.caption is not None:
            return Status.SUCCESS
        return None if self.attempt is None else self.attempt.status

    @property
    def redo_failed(self) -> bool:
        """Whether a later attempt than the one that gave the caption failed."""
        return self.caption is not None and self.last is not None and not _succeeded(self.last)


def fold(before: Fold[L], line: L) -> Fold[L]:
    """Take in the next line of a photo."""
    if not counts(line) or (not is_real(line) and _spoken_for(before)):
        return before
    if line.withdrawn:
        return Fold(line, None)
    caption = before.caption
    if caption is not None and _ends(line, caption):
        caption = None
    if _succeeded(line) and (caption is None or line.edited or not caption.edited):
        caption = line
    return Fold(line, caption)


def alone(line: L) -> Fold[L]:
    """The fold of a photo whose only counting line is this one."""
    return Fold(line, line if _succeeded(line) else None)


def counts(line: Line) -> bool:
    """Whether it says anything: of a dry run's lines only verdicts on the file itself do."""
    return not line.dry_run or line.status is Status.ERROR_CORRUPT


def is_real(line: Line) -> bool:
    """Whether it is more than a placeholder; what a human decided about one is."""
    return not line.placeholder or line.edited or line.withdrawn


def _spoken_for(fold: Fold[L]) -> bool:
    """Whether a placeholder comes too late: a real line holds."""
    return fold.attempt is not None and is_real(fold.attempt)


def _ends(line: Line, caption: Line) -> bool:
    """Whether the caption holds no more: it was a placeholder's, or an older file's."""
    if is_real(line) and not is_real(caption):
        return True
    known = line.content_sha256 is not None and caption.content_sha256 is not None
    return known and line.content_sha256 != caption.content_sha256


def _succeeded(line: Line) -> bool:
    return line.status is Status.SUCCESS and not line.withdrawn
