"""Names that faces have in other programs (MWG regions), as decisions of a human: theirs was one.

A row says where it is from. It is written once: what is decided here later holds, also of who is
called otherwise here: more photos with the other program's name are of the same person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from picture_captioner.library.faces import Placed
from picture_captioner.library.store import Library
from picture_captioner.metadata.told import NamedFace
from picture_captioner.people.decisions import Decisions
from picture_captioner.people.faces import Box
from picture_captioner.pipeline.people.overview import folded_name, key_of

Row = dict[str, object]


def names_elsewhere(
    library: Library, said: Iterable[Mapping[str, Any]], ours: Callable[[str], Collection[str]]
) -> list[Row]:
    """The rows for people.jsonl that are not in it yet.

    Names of `ours`, by a photo's path, that `write` put there may be guesses: the faces become that
    person's as they were, and nobody confirms them.

    A face found here is the named one if each holds the middle of the other, and no other named
    face is as near: programs draw boxes of many sizes.
    """
    if not (found := library.others.named_faces()):
        return []  # all faces need not be read: that takes 0.8 s for 200,000
    lines = list(said)
    decisions = Decisions.fold(lines)
    known: set[tuple[str, object]] = set()
    persons: dict[str, str] = {}
    for line in lines:
        if line.get("kind") in {"confirm", "member"} and line.get("origin"):
            there = line.get("name_there")
            known |= {(decisions.face(str(face)), there) for face in line.get("faces") or ()}
            persons[folded_name(str(there))] = decisions.person(str(line.get("person")))
    persons |= {folded_name(one.name): identity for identity, one in decisions.persons.items()}
    rows: list[Row] = []
    by_photo: dict[str, list[Placed]] = {}
    for face in library.faces.placed():
        if face.content_sha256 in found:
            by_photo.setdefault(face.content_sha256, []).append(face)
    for content, named in found.items():
        for face, theirs in _pairs(by_photo.get(content, []), named):
            key = decisions.face(key_of(face))
            identity = persons.get(folded_name(theirs.name))
            decided = key in decisions.holder or key in decisions.not_faces
            if decided or (key, theirs.name) in known or (key, identity) in decisions.not_person:
                continue
            if identity is None:
                identity = decisions.person(_identity(theirs.name))
                persons[folded_name(theirs.name)] = identity
                if identity not in decisions.persons:  # else somebody named her otherwise since
                    rows.append({"kind": "name", "person": identity, "name": theirs.name})
            name = " ".join(theirs.name.split()).casefold()
            is_ours = any(name in ours(rel_path) for rel_path in library.paths_of(content))
            kind = "member" if is_ours else "confirm"
            row: Row = {"kind": kind, "person": identity, "faces": [key]}
            rows.append(row | {"origin": theirs.source, "name_there": theirs.name})
    return rows


def _pairs(faces: Iterable[Placed], named: Iterable[NamedFace]) -> list[tuple[Placed, NamedFace]]:
    near = [
        (Box(*face.box).overlap(_box(one)), face, one)
        for face in faces
        for one in named
        if _holds(Box(*face.box), _box(one)) and _holds(_box(one), Box(*face.box))
    ]
    near.sort(key=lambda pair: (-pair[0], pair[1].number, pair[2].name))
    taken: set[int] = set()
    used: set[NamedFace] = set()
    found = []
    for _, face, one in near:
        if face.number not in taken and one not in used:
            taken.add(face.number)
            used.add(one)
            found.append((face, one))
    return found


def _box(face: NamedFace) -> Box:
    return Box(face.x - face.width / 2, face.y - face.height / 2, face.width, face.height)


def _holds(box: Box, other: Box) -> bool:
    """Whether the middle of the other is in it."""
    x, y = other.x + other.width / 2, other.y + other.height / 2
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def _identity(name: str) -> str:
    """The same on every machine, so that two people files agree."""
    return "p" + hashlib.sha256(folded_name(name).encode()).hexdigest()[:8]
