"""Which words in photos and sidecars are ours, by what the undo file keeps of every write.

Ours may be replaced by a later write, and nobody is told them as what other programs say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from picture_captioner.metadata.told import keyword_paths
from picture_captioner.metadata.xmp_packet import XmpPacket
from picture_captioner.writeback.sidecars import FOREIGN_LISTS, LISTS, keywords_in
from picture_captioner.writeback.undo import Write

_SEPARATORS = {name: separator for name, (_, separator) in (LISTS | FOREIGN_LISTS).items()}


def texts_before(writes: Iterable[Write]) -> dict[str, dict[str, str]]:
    """For each path the texts that our last write left in each property."""
    texts: dict[str, dict[str, str]] = {}
    for write in writes:
        mine = texts.setdefault(write.path, {})
        mine |= {name: new for name, (_, new) in write.added.texts.items()}
    return texts


def people_before(writes: Iterable[Write]) -> dict[str, set[str]]:
    """For each path the names that our writes put there."""
    names: dict[str, set[str]] = {}
    for write in writes:
        names.setdefault(write.path, set()).update(write.added.people)
    return names


def words_of_ours(rows: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """From all rows of the file: the words in each sidecar that are ours alone, in lower case.

    A merge puts keywords of somebody's own into further lists: these stay theirs. Of a keyword with
    levels the last one counts, which is what a reader is told.
    """
    found: dict[str, set[str]] = {}
    for row in {row["id"]: row for row in rows}.values():
        if row.get("undone"):
            continue
        with suppress(ValueError):  # `undo` says what is wrong with the line
            write = Write.of(row)
            mine = found.setdefault(write.path, set())
            theirs = _theirs(write) - mine
            mine.update(map(_folded, (new for _, new in write.added.texts.values())))
            mine.update(map(_folded, write.added.people))
            mine.update(_last_levels(write.added.items) - theirs)
    return found


def _theirs(write: Write) -> set[str]:
    """The keywords that were there before the write."""
    if write.inside is not None:
        return set(map(_folded, write.inside.keywords))
    if write.before is None:
        return set()
    return {_folded(path[-1]) for path in keywords_in(XmpPacket(write.before))}


def _last_levels(lists: Mapping[str, Sequence[str]]) -> set[str]:
    parted = [(values, _SEPARATORS.get(name, "")) for name, values in lists.items()]
    return {_folded(path[-1]) for path in keyword_paths(parted)}


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
