"""Files of what was decided or promised: people, tags, jobs, undo.

A file is a subclass that says what it is called and which field every row has. Either the last row
with a value of that field holds, or, without `last_wins`, all rows do, in their order. Fields that
this version does not know are kept; a row is taken back by a later one that says so in its own way.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Self

from picture_captioner.errors import JournalError
from picture_captioner.journal.append_only import AppendOnlyFile
from picture_captioner.journal.durable import append_durably, replacing
from picture_captioner.journal.json_lines import read_fields, to_json_line
from picture_captioner.journal.lines import (
    MAX_LINE_BYTES,
    Damage,
    Line,
    open_for_reading,
    read_lines,
)
from picture_captioner.journal.record import Record, utc_now


class Row(NamedTuple):
    """A line: the text of its key, and every field as JSON has it."""

    key: str
    fields: dict[str, Any]


class RowFile(AppendOnlyFile[Row]):
    """Rows, open for writing by this process alone. Thread-safe.

    `rows` has all of them in the order of the file; `damage` has the lines that are none.
    """

    key: ClassVar[str]
    last_wins: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        """Open or create the file; errors as for any append-only file."""
        self.rows: list[dict[str, Any]] = []
        self.damage: list[Damage] = []
        self.first_bytes = to_json_line({self.key: ""})[:-3]
        super().__init__(path)

    @classmethod
    def read(cls, path: Path) -> tuple[list[dict[str, Any]], list[Damage]]:
        """The rows of a file and the lines that are none, for who only reads: no lock, no repair.

        No file is no row, and a last line without its end is not there yet.

        Raises:
            JournalError: it cannot be read.
        """
        rows: list[dict[str, Any]] = []
        damage: list[Damage] = []
        if not path.exists():
            return rows, damage
        try:
            with open_for_reading(path) as stream:
                for line in read_lines(stream):
                    found = cls._row(line) if line.terminated else None
                    if isinstance(found, Damage):
                        damage.append(found)
                    elif found is not None:
                        rows.append(found.fields)
        except OSError as error:
            raise JournalError(f"cannot read {path}: {error.strerror}") from error
        return rows, damage

    def last(self) -> dict[str, dict[str, Any]]:
        """The last row of each key, in the order in which keys first came."""
        return {row[self.key]: row for row in self.rows}

    def put(self, *rows: Mapping[str, Any]) -> None:
        """Write rows; they are on the disk when this returns.

        Raises:
            ValueError: a row without its key, or that JSON cannot say; nothing is written.
            JournalError: they may not be on the disk; no later `put` will succeed.
        """
        self._append([self._line(row) for row in rows])

    def warnings(self) -> list[str]:
        """Sentences about lines that could not be read."""
        return [f"{self.path.name}: {damage}" for damage in self.damage]

    @classmethod
    def compact(cls, path: Path) -> int:
        """Keep the rows that hold, atomically; damaged lines go to `.broken`.

        Returns:
            How many lines were dropped.

        Raises:
            OSError, JournalError, JournalLockedError: the old file is as it was.
        """
        with closing(cls(path)) as file:
            kept, damaged, lines = file._sorted_out()
            if damaged:
                append_durably(file.path.with_name(f"{file.path.name}.broken"), damaged)
            with replacing(file.path) as target:
                target.writelines(kept.values())
            return lines - len(kept)

    @classmethod
    def rewrite(
        cls, path: Path, change: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
    ) -> int:
        """Write every row anew as `change` returns it, atomically; how many are not as they were.

        A row for which it returns None goes, and so do damaged lines and the torn ones beside the
        file: nobody can say what they hold.

        Raises:
            JournalError, JournalLockedError: the old file is as it was.
        """
        with closing(cls(path)) as file:
            rows = [change(row) for row in file.rows]
            lines = [file._line(row)[0] for row in rows if row is not None]
            try:
                with replacing(file.path) as target:
                    target.writelines(lines)
                file.path.with_name(f"{file.path.name}.broken").unlink(missing_ok=True)
            except OSError as error:
                raise JournalError(
                    f"cannot rewrite {file.path}: {error.strerror}; it is as it was"
                ) from error
            return sum(new != old for new, old in zip(rows, file.rows, strict=True))

    def _sorted_out(self) -> tuple[dict[str | int, bytes], list[bytes], int]:
        kept: dict[str | int, bytes] = {}
        damaged, lines = [], 0
        for line, found in self._read():
            lines += found is not None
            if isinstance(found, Row):
                kept[found.key if self.last_wins else line.number] = line.data + b"\n"
            elif found is not None:
                damaged.append(line.data + b"\n")
        return kept, damaged, lines

    def _read(self) -> Iterator[tuple[Line, Row | Damage | None]]:
        with open_for_reading(self.path) as stream:
            for line in read_lines(stream):
                yield line, self._parsed(line)

    def _line(self, row: Mapping[str, Any]) -> tuple[bytes, Row]:
        key = row.get(self.key)
        if not isinstance(key, str) or not key:
            raise ValueError(f"a row of {self.noun} needs a text as its {self.key}")
        data = to_json_line({self.key: key, **row})
        if len(data) > MAX_LINE_BYTES:
            raise ValueError(f"a row of {len(data)} bytes is over {MAX_LINE_BYTES >> 20} MiB")
        return data, Row(key, read_fields(data))

    def _parsed(self, line: Line) -> Row | Damage | None:
        return self._row(line)

    @classmethod
    def _row(cls, line: Line) -> Row | Damage | None:
        if line.length > MAX_LINE_BYTES:
            return Damage(line.number, line.offset, f"longer than {MAX_LINE_BYTES >> 20} MiB")
        if not line.data.strip():
            return None
        try:
            fields = read_fields(line.data)
        except (ValueError, RecursionError) as error:
            return Damage(line.number, line.offset, str(error).split("\n")[0][:200])
        key = fields.get(cls.key)
        if not isinstance(key, str) or not key:
            return Damage(line.number, line.offset, f"it has no {cls.key}")
        return Row(key, fields)

    def _take_in(self, stream: BinaryIO) -> None:
        for line in read_lines(stream):
            found = self._parsed(line)
            if isinstance(found, Damage):
                self.damage.append(found)
            elif found is not None:
                self.rows.append(found.fields)

    def _apply(self, item: Row, offset: int) -> None:  # noqa: ARG002 - rows are all in memory
        self.rows.append(item.fields)

    def __enter__(self) -> Self:
        return self


TAGS_FILE = "tags.jsonl"


class TagsFile(RowFile):
    """The one owner of tags.jsonl, beside the journal: what a human decided about tags.

    Every row holds, in their order; the journal stays as it is. A tag is known by its text without
    case. Wherever tags are shown or looked for, they go through `TagDecisions`.

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

    `unreadable`: rows that lack what their kind needs; `until_deleted`: what the deleted tags were
    called when they were.
    """

    called: dict[str, str | None] = field(default_factory=dict)
    unreadable: int = 0
    until_deleted: dict[str, str] = field(default_factory=dict)

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
                    back = self.deleted_as(_text(tag))
                    self.called.pop(tag_key(tag), None)
                    if back:
                        self.called |= dict.fromkeys(
                            [*back, tag_key(tag)], self.until_deleted[back[0]]
                        )

    def deleted_as(self, name: str) -> list[str]:
        """The tags (their keys) that a rename or merge had called so when they were deleted."""
        key = tag_key(name)
        return [
            tag
            for tag, until in self.until_deleted.items()
            if tag != key and tag_key(until) == key and self.called.get(tag, tag) is None
        ]

    def called_so(self, name: str) -> list[str]:
        """The other tags (their keys) that a rename or merge calls so."""
        key = tag_key(name)
        return [t for t, now in self.called.items() if t != key and now and tag_key(now) == key]

    def _call(self, tags: Iterable[str], name: str | None) -> None:
        """From now on whatever is called one of `tags` is called `name`."""
        for tag in tags:
            for other in self.called_so(tag):
                if name is None:
                    self.until_deleted[other] = self.called[other] or tag
                self.called[other] = name
            self.called[tag_key(tag)] = name
            self.until_deleted.pop(tag_key(tag), None)
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
