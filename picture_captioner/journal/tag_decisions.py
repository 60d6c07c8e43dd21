"""tags.jsonl, beside the journal: what a human decided about tags, whoever wrote them.

Every row holds, in their order; the journal stays as it is. A tag is known by its text without
case. Wherever tags are shown or looked for, they go through `TagDecisions`.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from picture_captioner.journal.record import Record, utc_now
from picture_captioner.journal.rows import RowFile

TAGS_FILE = "tags.jsonl"


class TagsFile(RowFile):
    """The one owner of tags.jsonl.

    Kinds of rows: `rename` (tag, to), `merge` (tags, into), `delete` (tags), `restore` (tags).
    """

    noun = "tags file"
    setting = "--captions-jsonl: it lies beside the journal"
    key = "kind"
    last_wins = False

    def decide(self, kind: str, **what: object) -> None:
        """Write a decision; it is on the disk when this returns."""
        self.put({"kind": kind, **what, "at": utc_now()})


@dataclass
class TagDecisions:
    """What every tag is called now; None for one that was deleted.

    `unreadable`: rows that lack what their kind needs.
    """

    called: dict[str, str | None] = field(default_factory=dict)
    unreadable: int = 0

    @classmethod
    def fold(cls, rows: Iterable[Mapping[str, Any]]) -> TagDecisions:
        """What follows from the rows, in their order; unknown kinds are passed over."""
        said = cls()
        for row in rows:
            try:
                said._take(row)
            except (KeyError, TypeError, ValueError):
                said.unreadable += 1  # somebody edited the file; the other rows hold
        return said

    @classmethod
    def beside(cls, journal: Path) -> TagDecisions:
        """What holds for the photos of this journal, for who only reads; no file: nothing.

        Raises:
            JournalError: the file cannot be read.
        """
        rows, _ = TagsFile.read(journal.with_name(TAGS_FILE))
        return cls.fold(rows)

    def _take(self, row: Mapping[str, Any]) -> None:
        match row["kind"]:
            case "rename":
                self._call([_text(row["tag"])], _text(row["to"]))
            case "merge":
                self._call([_text(tag) for tag in row["tags"]], _text(row["into"]))
            case "delete":
                self._call([_text(tag) for tag in row["tags"]], None)
            case "restore":
                for tag in row["tags"]:
                    self.called.pop(tag_key(_text(tag)), None)

    def _call(self, tags: Iterable[str], name: str | None) -> None:
        """From now on whatever is called one of `tags` is called `name`."""
        for key in map(tag_key, tags):
            for other, called in self.called.items():
                if called is not None and tag_key(called) == key:
                    self.called[other] = name
            self.called[key] = name
        if name is not None:
            self.called[tag_key(name)] = name

    def name(self, tag: str) -> str | None:
        """What a tag is called now; None if it was deleted."""
        return self.called.get(tag_key(tag), tag)

    def names(self, tags: Iterable[str]) -> list[str]:
        """What these tags are called now, each once."""
        found: dict[str, str] = {}
        for name in map(self.name, tags):
            if name is not None:
                found.setdefault(tag_key(name), name)
        return list(found.values())

    def applied(self, record: Record) -> Record:
        """The record with the tags as they are called now."""
        tags = record.extra.get("tags")
        if not self.called or not isinstance(tags, list):
            return record
        named = self.names(tag for tag in tags if isinstance(tag, str))
        return replace(record, extra={**record.extra, "tags": named})

    @property
    def digest(self) -> str:
        """Tells these decisions from others; empty if there are none."""
        text = json.dumps(sorted(self.called.items()))
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16] if self.called else ""


def tag_key(text: str) -> str:
    """By which a tag is known: without case and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _text(value: object) -> str:
    if not isinstance(value, str) or not tag_key(value):
        raise ValueError("no tag")
    return value
