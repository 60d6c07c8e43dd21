"""What a human should decide about people: `people review` and the report's review pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from picture_captioner.library.faces import Placed
from picture_captioner.people.persons import Suggestion
from picture_captioner.pipeline.people.overview import SHORT, Overview, PersonShown
from picture_captioner.pipeline.people.regrouping import Grouped

MEGA_SHARE, MEGA_FACES = 0.3, 100
"""An unnamed person with so large a share of all faces is likely to be several."""


def short(face: Placed) -> str:
    """The face's name on the command line."""
    return f"{face.content_sha256[:SHORT]}#{face.number}"


@dataclass(frozen=True)
class Unsure:
    """A face that may be somebody's: whose, how near, and why it was not decided."""

    face: Placed
    person: str
    cosine: float
    why: str


@dataclass(frozen=True)
class Questions:
    """All of them; `called` is how each person is called."""

    faces: Sequence[Unsure]
    pairs: Sequence[Suggestion]
    large: Sequence[PersonShown]
    violations: Sequence[str]
    called: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.faces or self.pairs or self.large or self.violations)


def questions(grouped: Grouped, view: Overview) -> Questions:
    """What is open after faces were grouped; who is hidden is not asked about."""
    people, table = grouped.people, grouped.table
    hidden = {identity for identity, person in people.persons.items() if person.hidden}
    placed = {
        (face.content_sha256, face.number): face
        for faces in (*(person.faces for person in view.persons), view.unassigned)
        for face in faces
    }
    unsure = [
        Unsure(placed[key], doubt.person, doubt.cosine, doubt.why)
        for doubt in people.doubts
        if (key := (table.contents[doubt.face], int(table.numbers[doubt.face]))) in placed
        and doubt.person not in hidden
    ]
    return Questions(
        sorted(unsure, key=lambda one: -one.cosine),
        [pair for pair in people.suggestions if hidden.isdisjoint((pair.one, pair.other))],
        _suspicious(view),
        people.violations,
        {identity: person.name or identity for identity, person in people.persons.items()},
    )


def _suspicious(view: Overview) -> list[PersonShown]:
    total = sum(len(person.faces) for person in view.persons) + len(view.unassigned)
    least = max(MEGA_FACES, MEGA_SHARE * total)
    return [p for p in view.persons if not p.name and not p.hidden and len(p.faces) >= least]
