"""From clusters and decisions to persons.

A human's word comes first, then clusters, then single faces that are near enough to somebody. Two
faces of one photo are two people unless a human says otherwise.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from picture_captioner.people.clustering import Labels
from picture_captioner.people.decisions import Decisions, rekeyed
from picture_captioner.people.faces import Vectors
from picture_captioner.people.persons import Doubt, People, Person, Status, Suggestion

SAME_GROUP = 0.55
"""Cosine of two clusters' centroids above which they are one person: at .5 nothing was wrong, at
.45 two actors were one. Between SUGGEST and this a human is asked."""
SUGGEST = 0.40
ASSIGN = 0.45
"""Cosine of a single face and a person's centroid: of 870 new faces 681 right and 5 wrong."""
REVIEW = 0.33
MARGIN = 0.08
"""By how much the nearest person must be nearer than the second."""


def find_people(
    keys: Sequence[str],
    photos: Sequence[str],
    vectors: Vectors,
    labels: Labels,
    said: Decisions,
    previous: Mapping[str, str] | None = None,
) -> People:
    """Who is who.

    Args:
        keys: of the faces, as in people.jsonl.
        photos: the content hash of the photo that each face is in.
        vectors: unit vectors, shape (n, dim).
        labels: the cluster of each face, -1 for none.
        said: what a human decided.
        previous: the person of each face key in the last run, so that ids stay.
    """
    return _Finder(keys, photos, vectors, labels, said, previous or {}).run()


class _Finder:
    def __init__(
        self,
        keys: Sequence[str],
        photos: Sequence[str],
        vectors: Vectors,
        labels: Labels,
        said: Decisions,
        previous: Mapping[str, str],
    ) -> None:
        self.keys, self.photos, self.vectors = keys, photos, vectors
        self.labels, self.said, self.previous = labels, said, previous
        place = {key: index for index, key in enumerate(keys)}
        self.now = {name: place[key] for name, key in rekeyed(said, keys).items()}
        self.of_face: list[str | None] = [None] * len(keys)
        self.status = [Status.UNASSIGNED] * len(keys)
        self.persons: dict[str, Person] = {}
        self.doubts: list[Doubt] = []
        self.violations: list[str] = []
        self.refused = {(self.now[f], p) for f, p in said.not_person if f in self.now}
        self.apart_faces = {
            frozenset(self.now[f] for f in pair)
            for pair in said.cannot_link
            if all(f in self.now for f in pair)
        }

    def run(self) -> People:
        for name in self.said.not_faces:
            if name in self.now:
                self.status[self.now[name]] = Status.NOT_A_FACE
        self._take_what_was_said()
        self._follow_must_links()
        self._take_clusters()
        self._settle_conflicts()
        self._join_persons()
        self._assign_single_faces()
        self._settle_conflicts()
        self._describe()
        return People(
            self.persons,
            self.of_face,
            self.status,
            sorted(self.doubts),
            self._suggestions(),
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

    def _follow_must_links(self) -> None:
        """Faces that are one person's follow whoever of them is known; transitively."""
        for group in _closed(self.said.must_link):
            faces = [self.now[name] for name in group if name in self.now]
            known = {p for f in faces if (p := self.of_face[f]) is not None}
            if len(known) > 1:
                named = " and ".join(sorted(self._called(p) for p in known))
                self.violations.append(f"faces that must be one person's belong to {named}")
                continue
            if any(frozenset(pair) in self.apart_faces for pair in _pairs(faces)):
                self.violations.append(
                    f"{self.keys[faces[0]]} must and must not be the same person as another face"
                )
            identity = next(iter(known), None) or self._new_person(faces)
            for face in faces:
                if self.status[face] is not Status.NOT_A_FACE:
                    self._give(face, identity, Status.CONFIRMED)

    # --- clusters ---

    def _take_clusters(self) -> None:
        members: dict[int, list[int]] = defaultdict(list)
        for face, label in enumerate(self.labels.tolist()):
            if label >= 0 and self.status[face] is Status.UNASSIGNED:
                members[label].append(face)
        anchored = self._anchors()
        self._describe()
        for label, faces in sorted(members.items()):
            anchors = anchored.get(label) or Counter()
            if not anchors:
                identity = self._previous_of(faces) or self._new_person(faces)
                self.persons.setdefault(identity, Person(identity))
                for face in faces:
                    self._give(face, identity, Status.AUTO)
            else:
                for face in faces:
                    self._give_to_anchor(face, list(anchors))

    def _anchors(self) -> dict[int, Counter[str]]:
        """Whose faces are in each cluster, by what a human said."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        for identity, said in self.said.persons.items():
            for name in said.confirmed | said.members:
                face = self.now.get(name)
                if face is not None and self.labels[face] >= 0:
                    found[int(self.labels[face])][identity] += 1
        for face, holder in enumerate(self.of_face):
            if holder is not None and self.labels[face] >= 0:
                found[int(self.labels[face])][holder] += 1
        return found

    def _give_to_anchor(self, face: int, anchors: list[str]) -> None:
        """The face of a cluster that holds known persons: the nearest of them, if it is clear."""
        free = [p for p in anchors if self._may_be(face, p)]
        cosines = {p: self._near(face, p) for p in free}
        ranked = sorted(free, key=lambda p: (-cosines[p], p))
        own = [p for p in ranked if self.keys[face] in self._members_now(p)]
        if len(own) == 1:
            self._give(face, own[0], Status.AUTO)
        elif not ranked:
            return
        elif len(ranked) > 1 and cosines[ranked[0]] - cosines[ranked[1]] < MARGIN:
            self._doubt(face, ranked[0], cosines[ranked[0]], "between two persons")
        else:
            self._give(face, ranked[0], Status.AUTO)

    def _members_now(self, identity: str) -> set[str]:
        said = self.said.persons.get(identity)
        names = said.members if said else set()
        return {self.keys[self.now[name]] for name in names if name in self.now}

    def _near(self, face: int, identity: str) -> float:
        """The cosine to a person's centroid; without one yet, to the faces said to be theirs."""
        person = self.persons[identity]
        if person.centroid.size:
            return float(self.vectors[face] @ person.centroid)
        said = self.said.persons.get(identity)
        rows = [self.now[n] for n in (said.members if said else ()) if n in self.now]
        return float(self.vectors[face] @ _unit(self.vectors[rows].mean(axis=0))) if rows else -1.0

    # --- conflicts ---

    def _settle_conflicts(self) -> None:
        """No person twice in a photo, no two faces together that a human keeps apart."""
        self._describe()
        for person in self.persons.values():
            by_photo: dict[str, list[int]] = defaultdict(list)
            for face in person.faces:
                by_photo[self.photos[face]].append(face)
            for faces in by_photo.values():
                self._keep_best(person, faces, "another face of the same photo is nearer")
            for pair in self.apart_faces:
                together = [f for f in pair if self.of_face[f] == person.identity]
                if len(together) == 2:
                    self._keep_best(person, together, "it is not the same person as another face")
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

    # --- persons ---

    def _join_persons(self) -> None:
        """Complete linkage of centroids, the nearest pair first; two verified persons never."""
        groups = {p: [p] for p, person in self.persons.items() if person.faces}
        names = sorted(groups)
        if len(names) < 2:
            return
        centroids = np.stack([self.persons[p].centroid for p in names])
        for one, other, _ in _near_pairs(centroids, SAME_GROUP):
            first, second = (_holder(groups, names[i]) for i in (one, other))
            if first == second or not self._may_join(groups[first], groups[second]):
                continue
            heir, gone = self._elder(first, second)
            groups[heir] += groups.pop(gone)
        for heir, parts in groups.items():
            for gone in parts:
                if gone != heir:
                    self._move(gone, heir)

    def _may_join(self, one: list[str], other: list[str]) -> bool:
        firsts, seconds = ([self.persons[p] for p in group] for group in (one, other))
        if any(a.verified for a in firsts) and any(b.verified for b in seconds):
            return False
        if any(frozenset((a, b)) in self.said.apart for a in one for b in other):
            return False
        near = np.stack([a.centroid for a in firsts]) @ np.stack([b.centroid for b in seconds]).T
        if float(near.min()) <= SAME_GROUP:
            return False
        faces, others = ([f for p in group for f in p.faces] for group in (firsts, seconds))
        if {self.photos[f] for f in faces} & {self.photos[f] for f in others}:
            return False
        if any((f, p) in self.refused for f in faces for p in other):
            return False
        if any((f, p) in self.refused for f in others for p in one):
            return False
        mine, theirs = set(faces), set(others)
        return not any(pair & mine and pair & theirs for pair in self.apart_faces)

    def _elder(self, one: str, other: str) -> tuple[str, str]:
        """Who stays: the verified, else who has more faces, else the first by id."""
        ranked = sorted(
            (one, other),
            key=lambda p: (not self.persons[p].verified, -len(self.persons[p].faces), p),
        )
        return ranked[0], ranked[1]

    def _move(self, gone: str, heir: str) -> None:
        for face in self.persons.pop(gone).faces:
            self.of_face[face] = heir

    # --- single faces ---

    def _assign_single_faces(self) -> None:
        self._describe()
        people = sorted(p for p, person in self.persons.items() if person.centroid.size)
        waiting = [f for f, status in enumerate(self.status) if status is Status.UNASSIGNED]
        if not people or not waiting:
            return
        near = self.vectors[waiting] @ np.stack([self.persons[p].centroid for p in people]).T
        for face, row in zip(waiting, near, strict=True):
            ranked = [
                i for i in np.argsort(-row, kind="stable")[:8] if self._may_be(face, people[i])
            ]
            if not ranked or row[ranked[0]] < REVIEW:
                continue
            best, cosine = people[ranked[0]], float(row[ranked[0]])
            second = float(row[ranked[1]]) if len(ranked) > 1 else -1.0
            if cosine > ASSIGN and cosine - second >= MARGIN and not self._is_in_photo(face, best):
                self._give(face, best, Status.AUTO)
            else:
                why = "not near enough" if cosine <= ASSIGN else "between two persons"
                self._doubt(face, best, cosine, why)

    def _is_in_photo(self, face: int, identity: str) -> bool:
        return any(self.photos[f] == self.photos[face] for f in self.persons[identity].faces)

    def _may_be(self, face: int, identity: str) -> bool:
        if (face, identity) in self.refused:
            return False
        mine = {f for pair in self.apart_faces if face in pair for f in pair} - {face}
        return all(self.of_face[f] != identity for f in mine)

    # --- helpers ---

    def _give(self, face: int, identity: str, status: Status) -> None:
        if status is not Status.CONFIRMED and (face, identity) in self.refused:
            return
        self.of_face[face], self.status[face] = identity, status

    def _doubt(self, face: int, identity: str, cosine: float, why: str) -> None:
        self.of_face[face], self.status[face] = None, Status.PENDING
        self.doubts.append(Doubt(face, identity, round(cosine, 4), why))

    def _new_person(self, faces: list[int]) -> str:
        """An id that the same faces get again: from the first of their keys."""
        first = min(self.keys[face] for face in faces)
        identity = "p" + hashlib.sha256(first.encode()).hexdigest()[:8]
        self.persons.setdefault(identity, Person(identity))
        return identity

    def _previous_of(self, faces: Iterable[int]) -> str | None:
        """Whose these faces mostly were in the last run, unless that person is taken."""
        counts = Counter(
            self.previous[k] for k in (self.keys[f] for f in faces) if k in self.previous
        )
        for identity, _ in counts.most_common():
            person = self.persons.get(self.said.person(identity))
            if person is None and identity not in self.said.merged:
                return identity
        return None

    def _called(self, identity: str) -> str:
        return self.persons[identity].name or identity

    def _describe(self) -> None:
        """Faces, centroid and medoid of every person."""
        for person in self.persons.values():
            person.faces = []
        for face, identity in enumerate(self.of_face):
            if identity is not None:
                self.persons[identity].faces.append(face)
        for identity, person in list(self.persons.items()):
            if person.faces:
                mean = _unit(self.vectors[person.faces].mean(axis=0))
                person.centroid = mean
                person.medoid = person.faces[int(np.argmax(self.vectors[person.faces] @ mean))]
            elif identity not in self.said.persons:
                del self.persons[identity]
            else:
                person.centroid, person.medoid = np.zeros(0, np.float32), -1

    def _suggestions(self) -> list[Suggestion]:
        names = sorted(p for p, person in self.persons.items() if person.faces)
        if len(names) < 2:
            return []
        centroids = np.stack([self.persons[p].centroid for p in names])
        found = [
            Suggestion(names[one], names[other], round(cosine, 4))
            for one, other, cosine in _near_pairs(centroids, SUGGEST)
        ]
        return [s for s in found if frozenset((s.one, s.other)) not in self.said.apart]


def _unit(vector: Vectors) -> Vectors:
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _near_pairs(centroids: Vectors, least: float) -> list[tuple[int, int, float]]:
    """Pairs with a cosine above `least`, the nearest first."""
    near = np.triu(centroids @ centroids.T, 1)
    rows, columns = np.nonzero(near > least)
    order = np.lexsort((columns, rows, -near[rows, columns]))
    return [(int(rows[i]), int(columns[i]), float(near[rows[i], columns[i]])) for i in order]


def _holder(groups: Mapping[str, list[str]], person: str) -> str:
    return next(holder for holder, parts in groups.items() if person in parts)


def _closed(links: Iterable[Sequence[str]]) -> list[list[str]]:
    """Groups that follow from links by transitivity."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for first, *others in links:
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        groups[root(name)].append(name)
    return list(groups.values())


def _pairs(faces: Sequence[int]) -> Iterable[tuple[int, int]]:
    return ((a, b) for i, a in enumerate(faces) for b in faces[i + 1 :])
