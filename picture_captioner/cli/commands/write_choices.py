"""What `write` is asked to write, and of which photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from picture_captioner.cli.command_flags import WriteFlags
from picture_captioner.cli.terminal import say
from picture_captioner.errors import Status, UsageError
from picture_captioner.journal import Record, TagDecisions, parse_time, read_captions, read_index
from picture_captioner.library import Placed
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.writeback.sidecars import Conflict, Reader, files_of
from picture_captioner.writeback.words import FIELDS

Named = Mapping[str, Sequence[tuple[str, Placed]]]
"""For each path the faces of who has a name."""
PLACES = ("sidecar", "embedded", "both")


@dataclass(frozen=True)
class Choices:
    """What the flags say is written, and how; `conflict` None: the person is asked."""

    fields: tuple[str, ...]
    conflict: Conflict | None
    reader: Reader | None
    inside: bool
    beside: bool
    keep_times: bool

    @classmethod
    def of(cls, flags: WriteFlags) -> Choices:
        """Read the flags.

        Raises:
            UsageError: a word that is not known.
        """
        fields = tuple(word.strip() for word in flags.fields.split(",") if word.strip())
        for word in fields:
            _known("--fields", word, FIELDS)
        _known("--conflict", flags.conflict, [*Conflict, "ask"])
        _known("--to", flags.to, PLACES)
        if flags.reader is not None:
            _known("--for", flags.reader, list(Reader))
        return cls(
            fields,
            None if flags.conflict == "ask" else Conflict(flags.conflict),
            None if flags.reader is None else Reader(flags.reader),
            inside=flags.to != "sidecar",
            beside=flags.to != "embedded",
            keep_times=flags.keep_times,
        )


def _known(flag: str, word: str, valid: Sequence[str]) -> None:
    if word not in valid:
        raise UsageError(f"{flag} {word}: expected {', '.join(valid)}")


def records_to_write(
    journal: Path, flags: WriteFlags, written: set[str], people: Named, among: set[str] | None
) -> Iterator[Record]:
    """The records whose captions are to be written, then photos of which only people are known.

    Args:
        written: files that are left out, since they were written before.
        among: the photos that words selected; None: all.
    """
    index = read_index(journal)
    for warning in index.warnings(journal.name):
        say(warning)
    since = _time(flags.since)
    named = PathFilter(flags.include or (), flags.exclude or ()).takes_file

    def takes(path: str) -> bool:
        chosen = named(path) and (among is None or path in among)
        return chosen and written.isdisjoint(files_of(path))

    seen, taken = set(), 0
    tags = TagDecisions.beside(journal)
    for record in map(tags.applied, read_captions(journal, index)):
        seen.add(record.rel_path)
        young = since is None or (record.created_at and parse_time(record.created_at) >= since)
        if young and takes(record.rel_path):
            taken += 1
            yield record
    for path in sorted(people.keys() - seen) if since is None else ():
        if takes(path):
            taken += 1
            yield Record(rel_path=path, caption=None, status=Status.SUCCESS)
    if not seen and not people:
        what = (
            "what this journal has are placeholders or failures" if index.entries else "it has none"
        )
        say(f"No captions to write: {what} ({journal})")
    elif not taken:
        say("Nothing to write: no photo that has something to write is selected by these flags")


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        raise UsageError(f"--since {text}: expected a time such as 2026-11-21T22:00:00Z") from None
