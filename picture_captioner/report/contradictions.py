"""Captions of one burst or event that contradict each other: two names for one bridge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from picture_captioner.pipeline.recording.invention import names_in
from picture_captioner.report.model import Level, Likeness, Report

MOST_LISTED = 20

_PLACES = """
  bridge tower lake castle church cathedral chapel abbey square beach park mountain mount peak
  river island street avenue museum palace temple mosque station hotel stadium airport harbor
  harbour bay canyon falls waterfall valley garden gardens brücke turm see schloss kirche pont
  tour lac château église puente torre lago
"""
_KINDS = frozenset(_PLACES.split())
"""What a place's name ends with, or begins with, where there may be one of it in a picture."""


def contradictions(report: Report) -> list[str]:
    """Sentences, the photos that look alike first."""
    found = []
    for group in report.duplicates:
        names = [(i, names_in(report.photos[i].caption or "")) for i in group.members.tolist()]
        said = [(i, set(n)) for i, n in names if n]
        if any(not _agree(one, other) for _, one in said for _, other in said):
            what = "captions of photos that look alike"
            if group.likeness is Likeness.EXACT:
                what = "captions of copies of one photo"
            found.append(_sentence(report, what, names))
    for chunk in report.chunks:
        if chunk.level is Level.EVENT:
            names = [(i, names_in(report.photos[i].caption or "")) for i in chunk.members.tolist()]
            for kind, shown in _by_kind(names):
                found.append(_sentence(report, f"captions of one event, each of a {kind}", shown))
    return found[:MOST_LISTED]


def _agree(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a name of the one may be a name of the other, said longer."""
    return any(a.endswith(b) or b.endswith(a) for a in one for b in other)


def _by_kind(
    names: Iterable[tuple[int, list[str]]],
) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """For each kind of place that has several names: these, with their photos."""
    kinds: dict[str, list[tuple[int, list[str]]]] = {}
    for index, said in names:
        for name in said:
            words = name.casefold().split()
            kind = next((w for w in (words[-1], words[0]) if w in _KINDS and len(words) > 1), None)
            if kind is not None:
                kinds.setdefault(kind, []).append((index, [name]))
    for kind, shown in kinds.items():
        if len({said[0].casefold() for _, said in shown}) > 1:
            yield kind, shown


def _sentence(report: Report, what: str, names: Iterable[tuple[int, list[str]]]) -> str:
    first: dict[str, str] = {}
    for index, said in names:
        for name in said:
            first.setdefault(name, report.photos[index].rel_path)
    listed = "; ".join(f"{name} ({path})" for name, path in list(first.items())[:4])
    return f"May contradict each other: {what}: {listed}"
