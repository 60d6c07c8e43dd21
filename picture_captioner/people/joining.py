"""Persons whose groups of faces are alike are one: complete linkage, the nearest pair first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from picture_captioner.people.decisions import Decisions
from picture_captioner.people.faces import Vectors
from picture_captioner.people.neighbours import ROWS, near
from picture_captioner.people.persons import Person

SAME_GROUP = 0.55
"""Cosine of two clusters' centroids above which they are one person: at .5 nothing was wrong, at
.45 two actors were one. Between SUGGEST and this a human is asked."""
SUGGEST = 0.40


def join_persons(
    persons: Mapping[str, Person],
    photos: Sequence[str],
    said: Decisions,
    refused: Collection[tuple[int, str]],
    apart_faces: Collection[frozenset[int]],
    before: Collection[str | None],
    same_group: float,
) -> dict[str, str]:
    """Who becomes part of whom: two of whom a human spoke never, nor two seen in one photo.

    Who was somebody `before` keeps the id: clusters that are one person again are not renamed.
    """
    names = sorted(p for p, person in persons.items() if person.faces)
    if len(names) < 2:
        return {}
    groups = {p: [p] for p in names}
    holder = {p: p for p in names}
    centroids = np.stack([persons[p].centroid for p in names])
    for one, other, _ in near_pairs(centroids, same_group):
        first, second = holder[names[one]], holder[names[other]]
        if first == second:
            continue
        sides = [[persons[p] for p in groups[side]] for side in (first, second)]
        if not _may_join(sides[0], sides[1], photos, said, refused, apart_faces, same_group):
            continue
        ranked = sorted((first, second), key=lambda p: _rank(persons, groups[p], said, before))
        heir, gone = ranked
        for part in groups[gone]:
            holder[part] = heir
        groups[heir] += groups.pop(gone)
    return {p: heir for p, heir in holder.items() if p != heir}


def _rank(
    persons: Mapping[str, Person],
    parts: Sequence[str],
    said: Decisions,
    before: Collection[str | None],
) -> tuple[bool, bool, bool, int, int, str]:
    """Who stays: of whom a human spoke, the verified, who was there, with most clusters, faces."""
    faces = sum(len(persons[p].faces) for p in parts)
    return (parts[0] not in said.persons, not persons[parts[0]].verified, parts[0] not in before,
            -len(parts), -faces, parts[0])  # fmt: skip


def _may_join(
    one: Sequence[Person],
    other: Sequence[Person],
    photos: Sequence[str],
    said: Decisions,
    refused: Collection[tuple[int, str]],
    apart_faces: Collection[frozenset[int]],
    same_group: float,
) -> bool:
    known = [any(p.identity in said.persons for p in side) for side in (one, other)]
    if all(known) or any(
        frozenset((a.identity, b.identity)) in said.apart for a in one for b in other
    ):
        return False
    cosines = np.stack([a.centroid for a in one]) @ np.stack([b.centroid for b in other]).T
    if float(cosines.min()) <= same_group:
        return False
    mine, theirs = ([f for person in side for f in person.faces] for side in (one, other))
    if not {photos[f] for f in mine}.isdisjoint(photos[f] for f in theirs):
        return False
    if refused and (
        any((f, p.identity) in refused for f in mine for p in other)
        or any((f, p.identity) in refused for f in theirs for p in one)
    ):
        return False
    first, second = set(mine), set(theirs)
    return not any(pair & first and pair & second for pair in apart_faces)


def near_pairs(centroids: Vectors, least: float) -> list[tuple[int, int, float]]:
    """Pairs with a cosine above `least`, the nearest first."""
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(centroids), ROWS):
        block = near(centroids[start : start + ROWS], centroids[start:], least)
        later = block.others > block.rows
        one, other, cosines = (part[later] for part in block)
        found += zip(
            (one + start).tolist(), (other + start).tolist(), cosines.tolist(), strict=True
        )
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))
