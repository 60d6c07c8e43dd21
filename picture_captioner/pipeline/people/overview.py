"""Persons with their photos, as commands, search and the report show them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from picture_captioner.library.faces import Placed
from picture_captioner.library.store import Library
from picture_captioner.people.bodies import bodies_of
from picture_captioner.people.decisions import Decisions, FaceKey
from picture_captioner.people.faces import Box
from picture_captioner.people.persons import Status

SHORT = 12
"""Hexadecimal digits of a photo's hash that stand for it in a face's short name."""


@dataclass
class PersonShown:
    """Somebody, and the faces that are theirs now."""

    identity: str
    name: str = ""
    hidden: bool = False
    verified: bool = False
    faces: list[Placed] = field(default_factory=list)

    @property
    def called(self) -> str:
        """The name, else the id."""
        return self.name or self.identity


@dataclass(frozen=True)
class Overview:
    """Everybody, those with most faces first; faces of nobody; the paths of each content.

    `no_faces`: what was said to be none; it is in no list.
    """

    persons: list[PersonShown]
    unassigned: list[Placed]
    paths: dict[str, list[str]]
    no_faces: list[Placed] = field(default_factory=list)

    def find(self, text: str) -> list[PersonShown]:
        """Who has that id, or else that name, in any case."""
        exact = [p for p in self.persons if p.identity == text]
        name = folded_name(text)
        return exact or [p for p in self.persons if folded_name(p.name) == name]

    def paths_of(self, faces: Iterable[Placed]) -> list[str]:
        """The photos with these faces, each once."""
        contents = dict.fromkeys(face.content_sha256 for face in faces)
        return sorted(path for content in contents for path in self.paths.get(content, ()))


def folded_name(name: str) -> str:
    """The same for one name in any case, its accents typed as they may be (a Mac's are apart)."""
    return unicodedata.normalize("NFC", name).casefold()


def overview(library: Library, said: Decisions) -> Overview:
    """Whose each face is, as it was found out last, after all that was said since."""
    persons = {
        identity: PersonShown(identity, one.name, one.hidden, bool(one.name or one.confirmed))
        for identity, one in said.persons.items()
    }
    unassigned, no_faces, paths = [], [], library.faces.files()
    for face in library.faces.placed():
        if face.content_sha256 not in paths:
            continue  # the photo was edited, or another took its place: nobody can be shown it
        if face.status == Status.NOT_A_FACE:
            no_faces.append(face)
        elif face.person is None:
            unassigned.append(face)
        else:
            identity = said.person(face.person)
            persons.setdefault(identity, PersonShown(identity)).faces.append(face)
    shown = [p for p in persons.values() if p.faces or p.name]
    shown.sort(key=lambda p: (not p.name, -len(p.faces), p.identity))
    return Overview(shown, unassigned, paths, no_faces)


def named_faces(view: Overview) -> dict[str, list[tuple[str, Placed]]]:
    """For each path the faces of everybody who has a name and is not hidden."""
    found: dict[str, list[tuple[str, Placed]]] = {}
    for person in view.persons:
        for face in person.faces if person.name and not person.hidden else ():
            for path in view.paths.get(face.content_sha256, ()):
                found.setdefault(path, []).append((person.name, face))
    return found


def bodies_shown(
    library: Library, view: Overview
) -> tuple[dict[tuple[str, int], dict[str, list[int]]], list[dict[str, Any]]]:
    """The body of each face, by content and number, and the bodies that show no face, as JSON."""
    found = library.faces.bodies()
    there: dict[str, list[Placed]] = {content: [] for content in found}
    for face in (*(face for person in view.persons for face in person.faces), *view.unassigned):
        if face.content_sha256 in there:
            there[face.content_sha256].append(face)
    of_face: dict[tuple[str, int], dict[str, list[int]]] = {}
    alone: list[dict[str, Any]] = []
    for content, bodies in found.items():
        here = there[content]
        boxes = [[round(value) for value in body.box] for body in bodies]
        pairs = bodies_of([Box(*face.box) for face in here], [Box(*body.box) for body in bodies])
        for face_at, body_at in pairs.items():
            of_face[content, here[face_at].number] = {"body": boxes[body_at]}
        alone += [
            {"rel_path": path, "box": boxes[at], "score": round(body.score, 4)}
            for at, body in enumerate(bodies)
            if at not in set(pairs.values())
            for path in view.paths.get(content, ())
        ]
    return of_face, alone


def key_of(face: Placed) -> str:
    """The face's key in people.jsonl."""
    return str(FaceKey(face.content_sha256, Box(*face.box)))
