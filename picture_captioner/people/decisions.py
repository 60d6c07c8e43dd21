"""What a human said about faces and persons, and what follows from it.

Decisions are data: people.jsonl keeps every one (`pipeline` and the commands write them through the
journal's append-only file). Here they are folded into what holds now. A face is named by its key,
"<content sha256>:<x>,<y>,<width>,<height>" in pixels of the upright photo, since boxes outlive a
database; a later detection is the same face if the boxes overlap by half. So what was said under
two boxes may be about one face: it is kept under the first, and the last word counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from picture_captioner.people.faces import Box

SAME_BOX = 0.5
"""Share of overlap from which two boxes of one photo are one face."""

KINDS = (
    "name",  # person, name: what a person is called; makes the person if need be
    "confirm",  # person, faces: these faces are that person's
    "member",  # person, faces: they were in the group when it got its name
    "not_person",  # person, face: this face is not that person's
    "not_face",  # face: no face at all, or nobody's
    "must_link",  # faces: all of one person; takes back that two of them are of different ones
    "cannot_link",  # faces: two of different persons; takes the second out of links with the first
    "apart",  # persons: two persons who are never one
    "merge",  # person, into: the one is the other
    "unmerge",  # person: the last merge of that person into another is as if it never was
    "hide",  # person, hidden: not to be shown
    "carried",  # content, into: other metadata were written into the photo, whose hash is new
)


class FaceKey(NamedTuple):
    """A face wherever it was found: the photo's content and the box."""

    content: str
    box: Box

    @classmethod
    def parse(cls, text: str) -> FaceKey:
        """Read the key as it stands in people.jsonl.

        Raises:
            ValueError: it is none.
        """
        content, _, numbers = text.rpartition(":")
        values = [float(number) for number in numbers.split(",")]
        if not content or len(values) != 4:
            raise ValueError(f"{text[:80]!r} is no face")
        return cls(content, Box(*values))

    def __str__(self) -> str:
        return f"{self.content}:" + ",".join(f"{value:.0f}" for value in self.box)


@dataclass
class PersonSaid:
    """What was said of one person."""

    name: str = ""
    hidden: bool = False
    confirmed: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)


@dataclass
class Decisions:
    """All that holds now. Faces are keys as texts, the first of each face; persons are ids.

    `holder`: who each face was given to last. `unreadable`: rows that lack what their kind needs.
    `before_merge`: for each who became part of another, the faces of both at that time.
    `boxes`: the keys under which each face was spoken of, by content and first key.
    """

    persons: dict[str, PersonSaid] = field(default_factory=dict)
    not_faces: set[str] = field(default_factory=set)
    must_link: list[tuple[str, ...]] = field(default_factory=list)
    cannot_link: set[frozenset[str]] = field(default_factory=set)
    not_person: set[tuple[str, str]] = field(default_factory=set)
    apart: set[frozenset[str]] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    holder: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, dict[str, list[FaceKey]]] = field(default_factory=dict)
    before_merge: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    unreadable: int = 0
    _first: dict[str, str] = field(default_factory=dict)

    @classmethod
    def fold(cls, lines: Iterable[Mapping[str, Any]]) -> Decisions:
        """What follows from the lines of people.jsonl, in order; unknown kinds are passed over."""
        said = cls()
        for line in _without_taken_back(lines):
            if (kind := line.get("kind")) in KINDS:
                try:
                    getattr(said, f"_{kind}")(line)
                except (KeyError, TypeError, ValueError):
                    said.unreadable += 1  # somebody edited the file; the other rows hold
        return said

    def person(self, identity: str) -> str:
        """Who that person is now, after merges."""
        seen = set()
        while identity in self.merged and identity not in seen:
            seen.add(identity)
            identity = self.merged[identity]
        return identity

    def face(self, key: str) -> str:
        """The first key of that face, if it was spoken of; else this one."""
        spoken_of = self.boxes.get(_content(key))
        if key in self._first or not spoken_of:
            return self._first.get(key, key)
        shares = _shares(FaceKey.parse(key).box, spoken_of)
        share, first = max((share, first) for first, share in shares.items())
        return first if share >= SAME_BOX else key

    def _face(self, text: str) -> str:
        """The same for a face that is being spoken of; `ValueError` for what is no key."""
        if text not in self._first:
            spoken_of = FaceKey.parse(text)
            first = self._first[text] = self.face(text)
            self.boxes.setdefault(spoken_of.content, {}).setdefault(first, []).append(spoken_of)
        return self._first[text]

    def _faces(self, line: Mapping[str, Any]) -> list[str]:
        """Those of a row; a key that somebody spoiled costs itself, not the others."""
        found = []
        for key in map(str, line["faces"]):
            try:
                found.append(self._face(key))
            except ValueError:
                self._first[key] = key
                self.unreadable += 1
        return found

    def _said_of(self, line: Mapping[str, Any]) -> PersonSaid:
        return self.persons.setdefault(self.person(str(line["person"])), PersonSaid())

    def _name(self, line: Mapping[str, Any]) -> None:
        self._said_of(line).name = str(line["name"])

    def _hide(self, line: Mapping[str, Any]) -> None:
        self._said_of(line).hidden = bool(line.get("hidden", True))

    def _confirm(self, line: Mapping[str, Any]) -> None:
        identity, said = self.person(str(line["person"])), self._said_of(line)
        for face in self._faces(line):
            self._release(face)
            self.holder[face] = identity
            said.confirmed.add(face)
            self.not_person.discard((face, identity))
            self.not_faces.discard(face)

    def _member(self, line: Mapping[str, Any]) -> None:
        identity, said = self.person(str(line["person"])), self._said_of(line)
        for face in self._faces(line):
            held = self.persons.get(self.person(self.holder.get(face, "")))
            if held is None or face not in held.confirmed:  # the last word counts
                self._release(face)
                self.holder[face] = identity
                said.members.add(face)

    def _release(self, face: str) -> None:
        held = self.persons.get(self.person(self.holder.pop(face, "")))
        if held is not None:
            held.confirmed.discard(face)
            held.members.discard(face)

    def _not_person(self, line: Mapping[str, Any]) -> None:
        face, identity = self._face(str(line["face"])), self.person(str(line["person"]))
        self._said_of(line)
        if self.person(self.holder.get(face, "")) == identity:
            self._release(face)
        self.not_person.add((face, identity))

    def _not_face(self, line: Mapping[str, Any]) -> None:
        face = self._face(str(line["face"]))
        self.not_faces.add(face)
        self._release(face)

    def _must_link(self, line: Mapping[str, Any]) -> None:
        if faces := self._faces(line):
            self.must_link.append(tuple(faces))
            self.cannot_link = {pair for pair in self.cannot_link if not pair <= {*faces}}

    def _cannot_link(self, line: Mapping[str, Any]) -> None:
        faces = self._faces(line)
        self.cannot_link.add(frozenset(faces))
        if len({*faces}) == 2:
            groups = (_without(group, *faces) for group in self.must_link)
            self.must_link = [group for group in groups if len(group) > 1]

    def _carried(self, line: Mapping[str, Any]) -> None:
        """What was said of the faces of one content holds of another that is the same picture.

        It goes on holding of the first: a copy of the photo may have been left as it is.
        """
        old, new = str(line["content"]), str(line["into"])
        pairs = {
            face: self._face(f"{new}:{face.rpartition(':')[2]}")
            for face in [*self.boxes.get(old, ())]
        }

        def moved(group: Iterable[str]) -> list[str]:
            return [pairs.get(face, face) for face in group]

        self.must_link += [tuple(moved(g)) for g in self.must_link if pairs.keys() & set(g)]
        self.cannot_link |= {frozenset(moved(pair)) for pair in self.cannot_link}
        self.not_person |= {(pairs.get(face, face), person) for face, person in self.not_person}
        for face, same in pairs.items():
            if (person := self.holder.get(face)) is not None:
                said = self.persons.get(self.person(person), PersonSaid())
                give = self._confirm if face in said.confirmed else self._member
                give({"person": person, "faces": [same]})
            if face in self.not_faces:
                self._not_face({"face": same})

    def _apart(self, line: Mapping[str, Any]) -> None:
        self.apart.add(frozenset(self.person(str(p)) for p in line["persons"]))

    def _merge(self, line: Mapping[str, Any]) -> None:
        gone, heir = self.person(str(line["person"])), self.person(str(line["into"]))
        if gone == heir:
            return
        self.merged[gone] = heir
        said, old = (
            self.persons.setdefault(heir, PersonSaid()),
            self.persons.pop(gone, PersonSaid()),
        )
        self.before_merge[gone] = old.confirmed | old.members, said.confirmed | said.members
        said.name = said.name or old.name
        said.confirmed |= old.confirmed
        said.members |= old.members
        self.not_person = {(face, self.person(p)) for face, p in self.not_person}
        self.apart = {frozenset(map(self.person, pair)) for pair in self.apart}

    def _unmerge(self, line: Mapping[str, Any]) -> None:
        """The merge that it takes back was never read."""


def _without_taken_back(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines without merges that a later line takes back."""
    kept: list[Mapping[str, Any]] = []
    for line in lines:
        if line.get("kind") == "unmerge" and isinstance(person := line.get("person"), str):
            merges = (
                at for at, one in enumerate(kept)
                if one.get("kind") == "merge" and one.get("person") == person
            )  # fmt: skip
            last = max(merges, default=None)
            if last is not None:
                del kept[last]
        kept.append(line)
    return kept


def without_faces(row: Mapping[str, Any], contents: Collection[str]) -> dict[str, Any] | None:
    """A row of people.jsonl without the faces in photos with these hashes; None if none is left."""

    def stays(face: object) -> bool:
        return _content(str(face)) not in contents

    if row.get("kind") == "carried" and not {row.get("content"), row.get("into")}.isdisjoint(
        contents
    ):
        return None
    kept = dict(row)
    if isinstance(faces := row.get("faces"), list):
        kept["faces"] = [face for face in faces if stays(face)]
        needed = 2 if row.get("kind") in {"must_link", "cannot_link"} else 1
        if len(kept["faces"]) < min(needed, len(faces)):
            return None
    return kept if stays(row.get("face", "")) else None


def rekeyed(said: Decisions, faces: Iterable[str]) -> dict[str, str]:
    """For each face that decisions name: the key of the same face among those found now."""
    found: dict[str, tuple[float, str]] = {}
    for key in faces:
        if spoken_of := said.boxes.get(_content(key)):
            for first, share in _shares(FaceKey.parse(key).box, spoken_of).items():
                if share >= max(SAME_BOX, found.get(first, (0.0, ""))[0]):
                    found[first] = share, key
    return {first: key for first, (_, key) in found.items()}


def _without(group: tuple[str, ...], one: str, other: str) -> tuple[str, ...]:
    """The faces of one person without `other`, if that is said not to be the same as `one`."""
    return tuple(face for face in group if face != other) if one in group else group


def closed(links: Iterable[Sequence[str]]) -> list[list[str]]:
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


def _shares(box: Box, spoken_of: Mapping[str, Iterable[FaceKey]]) -> dict[str, float]:
    """How much of each face that was spoken of a box covers."""
    return {first: max(box.overlap(key.box) for key in keys) for first, keys in spoken_of.items()}


def _content(key: str) -> str:
    return key.rpartition(":")[0]


def taken_back_by(keys: Sequence[str]) -> str:
    """How a link is taken back; of more faces than two a human knows which are not one person's."""
    if len(keys) == 2:
        return f"'caption.py people different {' '.join(keys)}'"
    return "'caption.py people different ONE OTHER' of two of these"
