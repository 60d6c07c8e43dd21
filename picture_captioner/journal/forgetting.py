"""Taking photos out of the journal and the files beside it: the only rewrite that loses something.

Everywhere else what was recorded stays. Here somebody asked that nothing be left, so lines go
whole, by a new file that takes the old one's place; what they had cost goes with them and is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from picture_captioner.errors import JournalError
from picture_captioner.journal.durable import ReplacedError, replacing
from picture_captioner.journal.json_lines import read_fields, to_json_line
from picture_captioner.journal.lines import Damage, Line, open_for_reading, read_lines
from picture_captioner.journal.reading import parse_line
from picture_captioner.journal.record import Entry, is_count
from picture_captioner.journal.writing import Journal

SIDE_FILES = (".broken", ".inflight")
"""Beside the journal, with lines of their own about photos."""


@dataclass
class Traces:
    """By what photos are known: their paths, the hashes of their bytes, and their captions.

    `kept_hashes` and `kept_captions` are those that photos which stay have too.
    """

    paths: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    captions: set[str] = field(default_factory=set)
    kept_hashes: set[str] = field(default_factory=set)
    kept_captions: set[str] = field(default_factory=set)
    lines: int = 0
    cost_usd: float = 0.0
    requests: int = 0

    @property
    def own_hashes(self) -> set[str]:
        """The hashes that no photo which stays has."""
        return self.hashes - self.kept_hashes

    @property
    def own_captions(self) -> set[str]:
        """The captions that no photo which stays has."""
        return self.captions - self.kept_captions

    def needles(self) -> list[bytes]:
        """What a line may have to go for: as text, and as JSON writes it."""
        words = self.paths | self.own_hashes | self.own_captions
        spelled = {json.dumps(word)[1:-1].encode("ascii") for word in words}
        return sorted(spelled | {word.encode("utf-8", "surrogatepass") for word in words})

    def are_in(self, value: object, words: Collection[str], name: str = "") -> bool:
        """Whether a value of a log's line, or a value or name within it, is about these photos.

        A path in a sentence has no letter, digit or hyphen before it (`ab.jpg` is not `b.jpg`),
        and one that stands alone is compared whole. `words` are hashes and captions.
        """
        if isinstance(value, dict):
            path = value.get("rel_path")
            if isinstance(path, str) and path in self.paths:
                return True
            pairs = value.items()
            return any(self.are_in(k, words) or self.are_in(v, words, k) for k, v in pairs)
        if isinstance(value, list):
            return any(self.are_in(one, words) for one in value)
        if not isinstance(value, str) or name == "rel_path":
            return False
        if any(word in value for word in words):
            return True
        return any(re.search(rf"(?<![\w-]){re.escape(p)}", value) for p in self.paths if p in value)


def find_traces(journal: Journal, forgets: Callable[[str], bool]) -> Traces:
    """What the journal knows of the photos whose path is to be forgotten."""
    traces = Traces()
    for entry, fields in _records(journal.path):
        if forgets(entry.rel_path):
            _count(traces, entry, fields)
    for entry, fields in _records(journal.path):
        if entry.rel_path not in traces.paths:
            traces.kept_hashes |= traces.hashes.intersection(_texts(fields, *_HASHES))
            traces.kept_captions |= traces.captions.intersection(_texts(fields, *_SAID))
    return traces


_SAID = ("caption", "title")
_HASHES = ("content_sha256", "carried_from")


def _records(path: Path) -> Iterator[tuple[Entry, dict[str, object]]]:
    with open_for_reading(path) as stream:
        for line in read_lines(stream):
            entry = parse_line(line)
            if isinstance(entry, Entry):
                yield entry, read_fields(line.data)


def _count(traces: Traces, entry: Entry, fields: dict[str, object]) -> None:
    traces.lines += 1
    traces.paths.add(entry.rel_path)
    traces.hashes.update(_texts(fields, *_HASHES))
    traces.captions.update(_texts(fields, *_SAID))
    traces.cost_usd += entry.cost_usd or 0.0
    if is_count(requests := fields.get("requests")):
        traces.requests += requests


def _texts(fields: dict[str, object], *names: str) -> Iterator[str]:
    for name in names:
        if isinstance(value := fields.get(name), str) and value:
            yield value


def forget_lines(journal: Journal, traces: Traces) -> None:
    """Rewrite the journal, and the files beside it, without these photos; atomically, file by file.

    Raises:
        JournalError: one cannot be rewritten; it is as it was, and the same command goes on there.
    """
    needles = traces.needles()
    path = journal.path
    try:
        for suffix in SIDE_FILES:
            forget_in_log(path.with_name(path.name + suffix), traces, only_json=True)
        with open_for_reading(path) as source, replacing(path) as target:
            target.writelines(_kept_lines(source, traces, needles))
    except ReplacedError as error:
        raise JournalError(
            f"{path} is replaced, but its directory could not be synced: {error.strerror}; mend "
            "the disk and run the same command again"
        ) from error
    except OSError as error:
        raise JournalError(
            f"cannot rewrite {error.filename or path}: {error.strerror or error}; it is as it was. "
            "Mend the disk and run the same command again"
        ) from error


def _kept_lines(source: BinaryIO, traces: Traces, needles: list[bytes]) -> Iterator[bytes]:
    for line in read_lines(source):
        entry = parse_line(line)
        if isinstance(entry, Entry):
            if entry.rel_path not in traces.paths:
                yield _without_leader(line, entry, traces)
        elif not (isinstance(entry, Damage) and _names(line.data, needles)):
            yield line.data + b"\n"


def _without_leader(line: Line, entry: Entry, traces: Traces) -> bytes:
    """The line of a photo that stays; a caption that it was given does not say from where."""
    if entry.copied_from not in traces.paths:
        return line.data + b"\n"
    fields = read_fields(line.data)
    del fields["copied_from"]
    fields.pop("copied_because", None)
    return to_json_line(fields)


def forget_in_log(path: Path, traces: Traces, *, only_json: bool = False) -> int:
    """Rewrite a file of lines without those that name a photo; how many went. No file is no line.

    Args:
        path: the file.
        traces: by what the photos are known. A line that is no JSON goes if it holds any of it.
        only_json: whether what is no JSON goes too: a torn line may be half of a name.

    Raises:
        OSError: it cannot be rewritten, and is as it was.
    """
    dropped, needles, words = 0, traces.needles(), traces.own_hashes | traces.own_captions
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return 0

    def is_about(said: dict[str, object] | None) -> bool:
        try:
            return said is None or traces.are_in(said, words)
        except RecursionError:  # nested deeper than anything of ours
            return True

    with source, replacing(path) as target:
        for line in source:
            said = _said(line)
            if (said is None and only_json) or (_names(line, needles) and is_about(said)):
                dropped += 1
            else:
                target.write(line)
    return dropped


def _names(line: bytes, needles: Iterable[bytes]) -> bool:
    return any(needle in line for needle in needles)


def _said(line: bytes) -> dict[str, object] | None:
    try:
        return read_fields(line)
    except (ValueError, RecursionError):
        return None
