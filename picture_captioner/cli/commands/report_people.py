"""Who is on the report's photos: from library.db and people.jsonl to what its writers show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from picture_captioner.cli.command_flags import ReportFlags
from picture_captioner.cli.commands.known_people import decisions_of
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.library.faces import Placed
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.crops import make_crops
from picture_captioner.pipeline.people.overview import Overview, PersonShown, folded_name, overview
from picture_captioner.pipeline.people.people_file import read_decisions
from picture_captioner.pipeline.people.questions import Questions, questions, short
from picture_captioner.pipeline.people.regrouping import group_faces
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.report.model import About, People, Person, Question, ReportPhoto

if TYPE_CHECKING:
    from picture_captioner.people.decisions import Decisions

MOST_QUESTIONS = 300
MOST_FACES = 2000
"""Faces that are cut out; a photo is opened for each that was not there before."""
LARGE_ENOUGH = 80
"""Pixels of a face's height from which it can be recognised by who looks at the page."""

Key = tuple[str, int]


def wanted_names(flags: ReportFlags) -> Callable[[str], bool]:
    """Whether a name that another program gave may be told: nobody's, or not of who is hidden."""
    said, _ = read_decisions(flags.settings().people_path)
    hidden = {folded_name(one.name) for one in said.persons.values() if one.name and one.hidden}
    return lambda name: not flags.no_people and folded_name(name) not in hidden


def people_of(
    library: Library,
    flags: Flags,
    photos_dir: Path | None,
    photos: Sequence[ReportPhoto],
    walked: Mapping[str, Photo],
) -> People | None:
    """Everybody who is on these photos and not hidden, and what is to be decided; None for nobody.

    Raises:
        LibraryError: library.db cannot be read or written.
        NoPhotosError: the photos directory went away.
    """
    said = decisions_of(flags.settings())
    view = overview(library, said)
    where = _Where.of(photos)
    shown = [p for p in view.persons if not p.hidden and where.have(p.faces)]
    if not shown:
        return None
    shown.sort(key=lambda p: (not p.name, -len(where.indices(p.faces)), p.identity))
    asked = _asked(library, said, view, where)
    typical = {p.identity: _typical(where.here(p.faces)) for p in shown}
    wanted = [*typical.values(), *(doubt.face for doubt in asked.faces[:MOST_QUESTIONS])]
    files = {
        photo.content_sha256: walked[photo.rel_path]
        for photo in photos
        if photo.content_sha256 and photo.rel_path in walked
    }
    crops = make_crops(library, photos_dir, files, list(dict.fromkeys(wanted))[:MOST_FACES])
    listed = _questions(flags, asked, where, crops)
    return People(
        persons=tuple(_person(p, where, crops.get(_key(typical[p.identity]))) for p in shown),
        questions=tuple(listed[:MOST_QUESTIONS]),
        faces=where.counts(view, library.faces.looked_at()),
        more=max(0, len(listed) - MOST_QUESTIONS),
    )


@dataclass(frozen=True)
class _Where:
    """The report's photos by their content."""

    photos: Sequence[ReportPhoto]
    places: Mapping[str, list[int]]

    @classmethod
    def of(cls, photos: Sequence[ReportPhoto]) -> _Where:
        places: dict[str, list[int]] = defaultdict(list)
        for i, photo in enumerate(photos):
            if photo.content_sha256:
                places[photo.content_sha256].append(i)
        return cls(photos, places)

    def have(self, faces: Iterable[Placed]) -> bool:
        return any(face.content_sha256 in self.places for face in faces)

    def here(self, faces: Iterable[Placed]) -> list[Placed]:
        """The faces that are on photos of this report: others are not shown."""
        return [face for face in faces if face.content_sha256 in self.places]

    def indices(self, faces: Iterable[Placed]) -> list[int]:
        """The photos with these faces, each once, in order of time."""
        found = {i for face in faces for i in self.places.get(face.content_sha256, ())}
        return sorted(found, key=lambda i: (_moment(self.photos[i]), i))

    def counts(self, view: Overview, looked_at: set[str]) -> NDArray[np.int32]:
        """How many faces each photo has, -1 where nobody looked."""
        everyone = [face for person in view.persons for face in person.faces]
        found = Counter(face.content_sha256 for face in (*everyone, *view.unassigned))
        return np.array(
            [
                found[content] if (content := photo.content_sha256 or "") in looked_at else -1
                for photo in self.photos
            ],
            np.int32,
        )


def _moment(photo: ReportPhoto) -> datetime:
    """For sorting: what the clock on the wall showed; the undated come last."""
    taken = photo.taken_at or datetime.max  # noqa: DTZ901 - of no zone, like the others here
    return taken.replace(tzinfo=UTC)


def _key(face: Placed) -> Key:
    return face.content_sha256, face.number


def _typical(faces: Sequence[Placed]) -> Placed:
    """The medoid of those on this report's photos: nearest to the middle, large enough to see."""
    large = [face for face in faces if face.box[3] >= LARGE_ENOUGH]
    return max(large or faces, key=lambda face: (face.cosine or 0.0, face.score, _key(face)))


def _person(person: PersonShown, where: _Where, crop: bytes | None) -> Person:
    members = np.array(where.indices(person.faces), np.int64)
    return Person(person.identity, person.name, members, len(where.here(person.faces)), crop)


def _asked(library: Library, said: Decisions, view: Overview, where: _Where) -> Questions:
    """What is open, as far as it is about photos of this report."""
    grouped = group_faces(library, said, dry_run=True)
    if grouped is None:
        return Questions([], [], [], [], {})
    asked = questions(grouped, view)
    present = {person.identity for person in view.persons if where.have(person.faces)}
    return Questions(
        [doubt for doubt in asked.faces if where.have([doubt.face])],
        [pair for pair in asked.pairs if present.issuperset((pair.one, pair.other))],
        [person for person in asked.large if person.identity in present],
        asked.violations,
        asked.called,
    )


def _questions(
    flags: Flags, asked: Questions, where: _Where, crops: Mapping[Key, bytes]
) -> list[Question]:
    found = [Question(about=About.CONTRADICTION, text=text) for text in asked.violations]
    found += [
        Question(
            about=About.CROWD,
            text="so many faces that they may be several people's",
            persons=(person.identity,),
            answers=(("Part by looks", suggested(flags, "people split", person.identity)),),
        )
        for person in asked.large
    ]
    found += [
        Question(
            about=About.PAIR,
            text="they look alike",
            persons=(pair.one, pair.other),
            cosine=round(pair.cosine, 2),
            answers=(
                ("One person", suggested(flags, "people merge", pair.one, pair.other)),
                ("Two people", suggested(flags, "people different", pair.one, pair.other)),
            ),
        )
        for pair in asked.pairs
    ]
    for doubt in asked.faces:
        face = short(doubt.face)
        other = suggested(flags, "people not-this-person", face, doubt.person)
        found.append(
            Question(
                about=About.FACE,
                text=doubt.why,
                persons=(doubt.person,),
                photo=where.places[doubt.face.content_sha256][0],
                crop=crops.get(_key(doubt.face)),
                cosine=round(doubt.cosine, 2),
                answers=(
                    ("Yes", suggested(flags, "people confirm", doubt.person, face)),
                    ("Somebody else", other),
                    ("No face", suggested(flags, "people not-a-face", face)),
                ),
            )
        )
    return found
