"""`cluster_export.csv`: a row for every photo, for spreadsheets and scripts (docs/report.md)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from picture_captioner.foreign_text import FORMULA_SIGNS
from picture_captioner.journal.durable import replacing
from picture_captioner.report.model import (
    NOISE,
    Indices,
    Level,
    Likeness,
    Person,
    Report,
    ReportPhoto,
)
from picture_captioner.report.text import visible

FILE_NAME = "cluster_export.csv"

COLUMNS = (
    "path",
    "status",
    "label",
    "label_source",
    "cluster",
    "probability",
    "outlier_score",
    "centroid_distance",
    "map_x",
    "map_y",
    "chunk",
    "duplicate_group",
    "duplicate_kind",
    "keeper",
    "taken_at",
    "last_error",
    "faces",
    "people",
    "place",
    "tags",
    "text",
)

_SEPARATORS = frozenset(";|\t\r\n")
"""Where a cell begins, for a reader of another separator too.

Where numbers have a decimal comma, spreadsheets split at semicolons when they open the file, and
do not see quotes that then stand within a cell: so it is not only the beginning that counts.
"""

_BETWEEN = re.compile(r"[\s\"'\u200c\u200d;|]+")
"""Separators, what a spreadsheet trims, and quotes that it takes off. A run is read once: a pattern
that looked for a separator would read the rest of the run again from each one in it."""

_LEADING = re.compile(r"^(?='*[\t\r\n])")
"""Some spreadsheets drop these from the beginning, and look at what follows."""

_KEPT = "\n\r\t"


def write_csv(report: Report, out_dir: Path, *, excel: bool = False) -> Path:
    """Write the export; UTF-8, comma, CRLF, quotes where needed (RFC 4180).

    With `excel`, a byte order mark stands first: without it Excel takes UTF-8 for the old code page
    of the system.

    Raises:
        OSError: it cannot be written; an older one is as it was.
    """
    path = out_dir / FILE_NAME
    with replacing(path) as stream:
        text = io.TextIOWrapper(
            stream, encoding="utf-8-sig" if excel else "utf-8", newline="", write_through=True
        )
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(report))
        text.detach()
    return path


def _rows(report: Report) -> Iterator[list[str]]:
    chunk = _memberships({c.id: c.members for c in report.chunks if c.level is Level.EVENT})
    group = _memberships({g.id: g.members for g in report.duplicates})
    kinds = {g.id: str(g.likeness) for g in report.duplicates}
    copies = report.exact_copies()
    keepers = {g.keeper for g in report.duplicates}
    found, people = report.clustering, report.people
    on_photo = people.on_photos() if people else {}
    for i, photo in enumerate(report.photos):
        number = group.get(i)
        yield [
            cell(photo.rel_path),
            str(photo.status or ""),
            cell(report.label_of(i)),
            str(report.label_source_of(i)),
            _cluster(report, i),
            _number(found.probability[i]),
            _number(found.outlier_score[i]),
            _number(found.distance[i]),
            _number(found.position[i, 0]),
            _number(found.position[i, 1]),
            str(chunk.get(i, "")),
            str(number or ""),
            "" if number is None else str(Likeness.EXACT) if i in copies else kinds[number],
            "" if number is None else "yes" if i in keepers else "no",
            _taken_at(photo),
            cell(photo.last_error or ""),
            str(people.faces[i]) if people and people.faces[i] >= 0 else "",
            cell("; ".join(_called(on_photo.get(i, ()), photo.told_people))),
            cell(photo.place or ""),
            cell("; ".join(photo.tags)),
            cell(photo.text or ""),
        ]


def _called(persons: Sequence[Person], told: Sequence[str]) -> list[str]:
    """Who was found by the face, then those whom another program alone names."""
    names = [person.called for person in persons]
    known = {name.casefold() for name in names}
    return [*names, *(name for name in told if name.casefold() not in known)]


def _memberships(groups: Mapping[int, Indices]) -> dict[int, int]:
    return {int(i): number for number, members in groups.items() for i in members}


def cell(text: str) -> str:
    r"""Text as a cell: never a formula, every character a reader can take, nothing lost.

    An apostrophe goes before what would begin a formula. Control characters but line breaks and
    tabs, bidi controls and bytes of a name that are not UTF-8 are written out as `\x1b`,
    `\u202e`, `\udce9`.
    """
    shown = visible(text, _KEPT)
    if shown[:1] in FORMULA_SIGNS and shown:
        return f"'{shown}"
    return _LEADING.sub("'", _BETWEEN.sub(_marked, shown))


def _marked(found: re.Match[str]) -> str:
    """The characters between two cells, with an apostrophe if a formula follows."""
    begins = found.start() == 0 or not _SEPARATORS.isdisjoint(found[0])
    formula = found.end() < len(found.string) and found.string[found.end()] in FORMULA_SIGNS
    return f"{found[0]}'" if begins and formula else found[0]


def _cluster(report: Report, i: int) -> str:
    """The id, `noise`, or nothing for a photo that has no vector."""
    if np.isnan(report.clustering.position[i, 0]):
        return ""
    number = int(report.clustering.cluster[i])
    return "noise" if number == NOISE else str(number)


def _number(value: np.float32) -> str:
    """Rounded to 4 digits; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.4f}"


def _taken_at(photo: ReportPhoto) -> str:
    """In ISO 8601; the day alone where the time is not known."""
    if photo.taken_at is None:
        return ""
    return (photo.taken_at.date() if photo.day_only else photo.taken_at).isoformat()
