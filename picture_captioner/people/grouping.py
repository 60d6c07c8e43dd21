"""From clusters and decisions to persons.

A human's word comes first, then clusters, then single faces that are near enough to somebody. Two
faces of one photo are two people unless a human says otherwise.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Protocol

import numpy as np

from picture_captioner.people.clustering import MIN_CLUSTER_SIZE, Labels
from picture_captioner.people.decisions import Decisions, closed, rekeyed, taken_back_by
from picture_captioner.people.faces import Vectors
from picture_captioner.people.joining import SAME_GROUP, SUGGEST, join_persons, near_pairs
from picture_captioner.people.neighbours import near
from picture_captioner.people.persons import (
    Doubt,
    People,
    Person,
    Status,
    Suggestion,
    describe,
    exemplars,
)

ASSIGN = 0.45
"""Cosine of a single face and a cluster's centroid: of 870 new faces 681 right and 5 wrong."""
REVIEW = 0.33
MARGIN = 0.08
"""By how much the nearest person must be nearer than the second."""


class Keys(Protocol):
    """The key of each face, as people.jsonl has it; few of many are asked for."""

    def __getitem__(self, face: int, /) -> str: ...


def find_people(
    keys: Keys,
    photos: Sequence[str],
    vectors: Vectors,
    labels: Labels,
    said: Decisions,
    previous: Sequence[str | None] | None = None,
    *,
    weak: Collection[int] = frozenset(),
    same_group: float = SAME_GROUP,
) -> People:
    """Who is who.

    Args:
        keys: of the faces, as in people.jsonl.
        photos: the content hash of the photo that each face is in.
        vectors: unit vectors, shape (n, dim).
        labels: the cluster of each face, negative for none.
        said: what a human decided.
        previous: the person of each face in the last run, so that ids stay.
        weak: faces that only a human may give to somebody: too small.
        same_group: the cosine above which two groups of faces are one person.
    """
    finder = _Finder(keys, photos, vectors, labels, said, previous or [None] * len(photos))
    return finder.run(weak, same_group)


class _Finder:
    def __init__(
        self,
        keys: Keys,
        photos: Sequence[str],
        vectors: Vectors,
        labels: Labels,
        said: Decisions,
        previous: Sequence[str | None],
    ) -> None:
        self.keys, self.photos, self.vectors = keys, photos, vectors
        self.labels, self.said, self.previous = labels, said, previous
        place = {keys[i]: i for i, photo in enumerate(photos) if photo in said.boxes}
        self.now = {name: place[key] for name, key in rekeyed(said, place).items()}
        self.of_face: list[str | None] = [None] * len(photos)
        self.status = [Status.UNASSIGNED] * len(photos)
        self.persons: dict[str, Person] = {}
        self.moved: dict[str, list[int]] = {}  # who got or lost which faces since `_describe`
        self.unsettled: dict[str, None] = {}  # and since `_settle_conflicts`, in order
        self.doubts: list[Doubt] = []
        self.violations: list[str] = []
        self.refused = {(self.now[f], p) for f, p in said.not_person if f in self.now}
        self.apart_faces = {
            frozenset(self.now[f] for f in pair)
            for pair in said.cannot_link
            if all(f in self.now for f in pair)
        }
        self.kept_from: dict[int, set[int]] = defaultdict(set)
        for pair in self.apart_faces:
            for face in pair:
                self.kept_from[face] |= pair - {face}

    def run(self, weak: Collection[int], same_group: float) -> People:
        for name in self.said.not_faces:
            if name in self.now:
                self.status[self.now[name]] = Status.NOT_A_FACE
        self._take_what_was_said()
        self._follow_must_links()
        self._take_clusters()
        self._settle_conflicts()
        moved = join_persons(
            self.persons,
            self.photos,
            self.said,
            self.refused,
            self.apart_faces,
            {*self.previous},
            same_group,
        )
        for gone, heir in moved.items():
            faces = self.persons.pop(gone).faces
            self.moved.setdefault(heir, []).extend(faces)
            for face in faces:
                self.of_face[face] = heir
        self._assign_single_faces(weak)
        self._settle_conflicts()
        self._check()
        return People(
            self.persons,
            self.of_face,
            self.status,
            sorted(self.doubts),
            self._suggestions(same_group),
            self.violations,
        )

    # --- a human's word ---

    def _take_what_was_said(self) -> None:
        for identity, said in self.said.persons.items():
            person = Person(identity, said.name, said.hidden, bool(said.name or said.confirmed))
            self.persons[identity] = person
            for name in sorted(said.confirmed):
                if name in self.now:
                    self._give(self.now[name], identity, Status.CONFIRMED)
        for identity, said in self.said.persons.items():
            for face in (self.now[name] for name in sorted(said.members) if name in self.now):
                if self.status[face] is Status.UNASSIGNED:
                    self._give(face, identity, Status.AUTO)

    def _follow_must_links(self) -> None:
        """Faces that are one person's follow whoever of them is known; transitively."""
        for group in closed(self.said.must_link):
            faces = [self.now[name] for name in group if name in self.now]
            faces = [face for face in faces if self.status[face] is not Status.NOT_A_FACE]
            firm = {self.of_face[f] for f in faces if self.status[f] is Status.CONFIRMED}
            known = {p for p in firm or map(self.of_face.__getitem__, faces) if p is not None}
            if len(known) > 1:
                named = " and ".join(sorted(self._called(p) for p in known))
                keys = " and ".join(self.keys[face] for face in faces)
                self.violations.append(
                    f"{keys} must be one person's and belong to {named}; "
                    f"{taken_back_by([self.keys[face] for face in faces])} takes it back"
                )
                continue
            if any(frozenset(pair) in self.apart_faces for pair in combinations(faces, 2)):
                self.violations.append(
                    f"{self.keys[faces[0]]} must and must not be the same person as another face"
                )
            if faces:
                identity = next(iter(known), None) or self._person_again(faces)
                for face in faces:
                    self._give(face, identity, Status.CONFIRMED)

    def _check(self) -> None:
        """Say what contradicts itself; a human's last word was followed."""
        for face, identity in sorted(self.refused):
            if self.of_face[face] == identity:
                self.violations.append(
                    f"{self.keys[face]} is confirmed as {self._called(identity)} and was said not "
                    f"to be that person; 'caption.py people confirm {identity} {self.keys[face]}' "
                    f"takes the latter back{self._or_the_link(face)}"
                )
        for pair in self.apart_faces:
            holders = {self.of_face[face] for face in pair}
            if len(pair) == 2 and len(holders) == 1 and None not in holders:
                one, other = sorted(self.keys[face] for face in pair)
                self.violations.append(f"{one} and {other} are confirmed as one person and as two")

    # --- clusters ---

    def _take_clusters(self) -> None:
        self._describe()
        anchored: dict[int, set[str]] = defaultdict(set)
        for identity, person in self.persons.items():
            for label in self.labels[person.faces].tolist():
                anchored[label].add(identity)
        for label, faces in self._open_clusters():
            rest = self._without_known(faces, sorted(anchored.get(label, ())))
            if len(rest) >= (MIN_CLUSTER_SIZE if label in anchored else 1):
                self._give_free(rest, self._person_again(rest))

    def _open_clusters(self) -> Iterator[tuple[int, list[int]]]:
        """Each cluster, and those of its faces of which nothing is known yet."""
        free = Status.UNASSIGNED  # an enumeration's attribute takes 0.1 µs, 200,000 times
        spoken_of = [f for f, status in enumerate(self.status) if status is not free]
        labels = self.labels.copy()
        labels[spoken_of] = -1
        inside = np.flatnonzero(labels >= 0)
        inside = inside[np.argsort(labels[inside], kind="stable")]
        bounds = np.flatnonzero(np.diff(labels[inside], prepend=-1, append=-1))
        for start, end in pairwise(bounds.tolist()):
            yield int(labels[inside[start]]), inside[start:end].tolist()

    def _without_known(self, faces: Sequence[int], anchors: Sequence[str]) -> list[int]:
        """Give the faces of a cluster to the known persons in it; those that look like none stay.

        A cluster in which one face of somebody strayed does not get that person's name.
        """
        if not anchors:
            return list(faces)
        rest = []
        centroids = np.stack([self.persons[p].centroid for p in anchors])
        for face, row in zip(faces, (self.vectors[faces] @ centroids.T).tolist(), strict=True):
            like = dict(zip(anchors, row, strict=True))
            ranked = sorted((p for p in like if self._may_be(face, p)), key=lambda p: (-like[p], p))
            if not ranked or like[ranked[0]] < REVIEW:
                rest.append(face)
            elif len(ranked) > 1 and like[ranked[0]] - like[ranked[1]] < MARGIN:
                self._doubt(face, ranked[0], like[ranked[0]], "between two persons")
            else:
                self._give(face, ranked[0], Status.AUTO)
        return rest

    # --- conflicts ---

    def _settle_conflicts(self) -> None:
        """No person twice in a photo, no two faces together that a human keeps apart."""
        self._describe()
        changed, self.unsettled = self.unsettled, {}
        for person in [self.persons[p] for p in changed if p in self.persons]:
            if len({*map(self.photos.__getitem__, person.faces)}) == len(person.faces):
                continue
            groups: dict[str, list[int]] = defaultdict(list)
            for face in person.faces:
                groups[self.photos[face]].append(face)
            for faces in groups.values():
                self._keep_best(person, faces, "another face of the same photo is nearer")
        for pair in sorted(self.apart_faces, key=sorted):
            holders = {self.of_face[face] for face in pair}
            if len(pair) == 2 and len(holders) == 1 and (holder := holders.pop()) is not None:
                self._keep_best(
                    self.persons[holder], sorted(pair), "it is not the same person as another face"
                )
        self._describe()

    def _keep_best(self, person: Person, faces: list[int], why: str) -> None:
        """Let the confirmed stay, or else the nearest; the others are asked about."""
        firm = [f for f in faces if self.status[f] is Status.CONFIRMED]
        if len(faces) < 2 or len(firm) == len(faces):
            return
        ranked = sorted(faces, key=lambda f: (-float(self.vectors[f] @ person.centroid), f))
        for face in faces:
            if face not in (firm or ranked[:1]):
                cosine = float(self.vectors[face] @ person.centroid)
                self._doubt(face, person.identity, cosine, why)

    # --- single faces ---

    def _assign_single_faces(self, weak: Collection[int]) -> None:
        """Each to the person with the nearest cluster: somebody's childhood is one of its own."""
        self._describe()
        owners, centroids = exemplars(self.persons, self.vectors, self.labels)
        free = Status.UNASSIGNED
        waiting = [f for f, s in enumerate(self.status) if s is free and f not in weak]
        found = near(self.vectors[waiting], centroids, REVIEW)
        likes: dict[int, list[tuple[float, int]]] = defaultdict(list)
        few = {
            p.identity
            for p in self.persons.values()
            if len(p.faces) < MIN_CLUSTER_SIZE and not p.verified
        }
        for row, owner, cosine in zip(*(part.tolist() for part in found), strict=True):
            # Of strangers who were met twice there are many: what they may be is no question.
            if cosine > ASSIGN or owners[owner] not in few:
                likes[waiting[row]].append((-cosine, owner))
        photos = {
            owner: {self.photos[face] for face in self.persons[owner].faces}
            for owner in {owners[other] for other in np.unique(found.others).tolist()}
        }
        for face, candidates in likes.items():
            ranked: dict[str, float] = {}
            for cosine, owner in sorted(candidates):
                if self._may_be(face, owners[owner]):
                    ranked.setdefault(owners[owner], -cosine)
            if ranked:
                self._choose(face, ranked, photos)

    def _choose(
        self, face: int, ranked: Mapping[str, float], photos: Mapping[str, Collection[str]]
    ) -> None:
        """The first of the persons that a face is like, or a question."""
        [(best, cosine), *others] = ranked.items()
        clear = cosine > ASSIGN and (not others or cosine - others[0][1] >= MARGIN)
        if clear and self.photos[face] not in photos[best]:
            self._give(face, best, Status.AUTO)
        else:
            why = "not near enough" if cosine <= ASSIGN else "between two persons"
            self._doubt(face, best, cosine, why)

    # --- helpers ---

    def _may_be(self, face: int, identity: str) -> bool:
        if (face, identity) in self.refused:
            return False
        return all(self.of_face[f] != identity for f in self.kept_from.get(face, ()))

    def _move(self, face: int, identity: str) -> None:
        self.moved.setdefault(identity, []).append(face)
        if (holder := self.of_face[face]) is not None and holder != identity:
            self.moved.setdefault(holder, []).append(face)

    def _give(self, face: int, identity: str, status: Status) -> None:
        self._move(face, identity)
        if status is not Status.CONFIRMED and (face, identity) in self.refused:
            return
        self.of_face[face], self.status[face] = identity, status

    def _give_free(self, faces: Iterable[int], identity: str) -> None:
        """The same for faces of nobody, of which there may be 200,000."""
        given = [f for f in faces if (f, identity) not in self.refused] if self.refused else faces
        self.moved.setdefault(identity, []).extend(given)
        of_face, status, auto = self.of_face, self.status, Status.AUTO
        for face in given:
            of_face[face], status[face] = identity, auto

    def _doubt(self, face: int, identity: str, cosine: float, why: str) -> None:
        self._move(face, identity)
        self.of_face[face], self.status[face] = None, Status.PENDING
        self.doubts.append(Doubt(face, identity, round(cosine, 4), why))

    def _person_again(self, faces: list[int]) -> str:
        """Who these faces were in the last run, or a person with an id from their first key."""
        if identity := self._previous_of(faces):
            self.persons[identity] = Person(identity)
            return identity
        text = min(self.keys[face] for face in faces)
        while True:
            text = hashlib.sha256(text.encode()).hexdigest()
            identity = f"p{text[:8]}"
            if identity not in self.persons and identity not in self.said.merged:
                self.persons[identity] = Person(identity)
                return identity

    def _previous_of(self, faces: Iterable[int]) -> str | None:
        """Whose these faces mostly were in the last run, unless that person is taken."""
        held = [*map(self.previous.__getitem__, faces)]
        who = {*held}
        # Mostly one, and counting 200,000 takes 0.1 s.
        ranked = who if len(who) == 1 else [p for p, _ in Counter(held).most_common()]
        for identity in ranked:
            free = identity not in self.persons and identity not in self.said.merged
            if identity is not None and free:
                return identity
        return None

    def _or_the_link(self, face: int) -> str:
        """How the link that made the face somebody's is taken back instead, if it is one."""
        for group in closed(self.said.must_link):
            faces = [self.keys[self.now[name]] for name in group if name in self.now]
            if (own := self.keys[face]) in faces:
                other = next((key for key in faces if key != own), own)
                return f", 'caption.py people different {other} {own}' the link"
        return ""

    def _called(self, identity: str) -> str:
        return self.persons[identity].name or identity

    def _describe(self) -> None:
        describe(self.persons, self.of_face, self.vectors, self.moved, self.said.persons)
        self.unsettled |= dict.fromkeys(self.moved)
        self.moved = {}

    def _suggestions(self, same_group: float) -> list[Suggestion]:
        """Pairs of persons that may be one, and were not joined."""
        owners, centroids = exemplars(self.persons, self.vectors, self.labels)
        found: dict[frozenset[str], Suggestion] = {}
        for one, other, cosine in near_pairs(centroids, min(SUGGEST, same_group)):
            pair = frozenset((owners[one], owners[other]))
            if len(pair) == 2 and pair not in self.said.apart and pair not in found:
                first, second = sorted(pair)
                photos, others = (
                    map(self.photos.__getitem__, self.persons[who].faces) for who in (first, second)
                )
                if {*photos}.isdisjoint(others):  # else they are two
                    found[pair] = Suggestion(first, second, round(cosine, 4))
        return list(found.values())
