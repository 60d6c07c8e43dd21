"""Which captions `write` writes, and whether they are of the files that lie there now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from picture_captioner.cli.command_flags import WriteFlags
from picture_captioner.cli.commands.files import index_of
from picture_captioner.cli.commands.rules import since
from picture_captioner.cli.terminal import say
from picture_captioner.errors import Status
from picture_captioner.image_loader.images import structure_of
from picture_captioner.journal.reading import read_captions
from picture_captioner.journal.record import Record, time_of
from picture_captioner.journal.rows import TagDecisions
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.writeback.sidecars import files_of


def records_to_write(
    journal: Path,
    flags: WriteFlags,
    written: set[str],
    others: Collection[str],
    among: set[str] | None,
) -> Iterator[Record]:
    """The records whose captions are to be written, then the other photos.

    Args:
        others: photos of which people or tags are known.
        written: files that are left out, since they were written before.
        among: the photos that words selected; None: all.
    """
    index = index_of(journal)
    younger = since(flags.since)
    named = PathFilter(flags.include or (), flags.exclude or ()).takes_file

    def takes(path: str) -> bool:
        chosen = named(path) and (among is None or path in among)
        return chosen and written.isdisjoint(files_of(path))

    seen, taken = set(), 0
    tags = TagDecisions.beside(journal)
    for record in map(tags.applied, read_captions(journal, index)):
        seen.add(record.rel_path)
        young = younger is None or ((made := time_of(record)) is not None and made >= younger)
        if young and takes(record.rel_path):
            taken += 1
            yield record
    for path in sorted(set(others) - seen) if younger is None else ():
        if takes(path):
            taken += 1
            yield Record(rel_path=path, caption=None, status=Status.SUCCESS)
    if not seen and not others:
        what = (
            "what this journal has are placeholders or failures" if index.entries else "it has none"
        )
        say(f"No captions to write: {what} ({journal})")
    elif not taken:
        say("Nothing to write: no photo that has something to write is selected by these flags")


@dataclass
class StillOf:
    """Finds the caption of what lies under a name now: photos are replaced, and numbered anew."""

    journal: Path
    library: Library

    def caption(self, record: Record, size: int, facts: PhotoFacts | None) -> Record | None:
        """The photo's own caption, or that of another name with these bytes; None: nobody's.

        A photo that only got other metadata since (a rating, keywords) keeps its own.
        """
        if facts is None:
            return record if record.size in (None, size) else None
        was = record.content_sha256
        if was in (None, facts.content_sha256):
            return record
        if (other := self._by_content.get(facts.content_sha256)) is not None:
            return replace(other, rel_path=record.rel_path)
        seen = [self.library.thumbnail(content) for content in (was, facts.content_sha256)]
        then, now = (structure_of(thumbnail) if thumbnail else None for thumbnail in seen)
        return record if then and now and then.resembles(now) else None

    @cached_property
    def _by_content(self) -> dict[str | None, Record]:
        tags = TagDecisions.beside(self.journal)
        return {r.content_sha256: tags.applied(r) for r in read_captions(self.journal)}
