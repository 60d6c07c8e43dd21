"""Sequences of decisions, kills, clusterings and other detectors: nothing that was said is lost.

What must hold is told by `Said`, which knows the faces as they were made and not by their boxes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import signal
from collections import defaultdict

import numpy as np
import pytest
import typer.main

from picture_captioner.cli.caption_app import execute
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.store import Library
from picture_captioner.people.faces import Box
from picture_captioner.people.persons import Status
from picture_captioner.pipeline.people.overview import overview
from picture_captioner.pipeline.people.people_file import read_decisions
from picture_captioner.pipeline.people.questions import short
from picture_captioner.pipeline.people.regrouping import group_faces
from picture_captioner.pipeline.stages.faces import _numbers
from tests.people.test_clustering import crowd

PEOPLE, FACES, STEPS = 5, 45, 16
WHO, VECTORS = crowd(PEOPLE, FACES, seed=8)
APART, SIZE = 40.0, 50.0
"""Pixels between faces of a photo, so that boxes overlap a little, and the side of a box."""


def photos_of(seed):
    """One to four faces in each photo, by their numbers; some show a person twice."""
    rng = random.Random(seed)
    left = rng.sample(range(FACES), FACES)
    photos = []
    while left:
        size = rng.choice([1, 2, 2, 3, 4])
        photos.append(left[:size])
        left = left[size:]
    return photos


def content_of(photo):
    return hashlib.sha256(b"photo %d" % photo).hexdigest()


class Said:
    """What was said, in terms of the faces that there are; the last word counts."""

    def __init__(self):
        self.heirs, self.names, self.hidden = {}, {}, {}
        self.holder, self.no_faces, self.refused = {}, set(), set()
        self.links, self.strangers = [], []

    def root(self, person):
        while person in self.heirs:
            person = self.heirs[person]
        return person

    def confirm(self, person, faces):
        for face in faces:
            self.holder[face] = person
            self.no_faces.discard(face)
            self.refused = {
                (f, p) for f, p in self.refused if f != face or self.root(p) != self.root(person)
            }

    def refuse(self, person, face):
        self.refused.add((face, person))
        if self.root(self.holder.get(face)) == self.root(person):
            del self.holder[face]

    def no_face(self, face):
        self.no_faces.add(face)
        self.holder.pop(face, None)

    def merge(self, gone, heir):
        gone, heir = self.root(gone), self.root(heir)
        self.heirs[gone] = heir
        name = self.names.get(heir) or self.names.get(gone)
        if name:
            self.names[heir] = name

    def together(self):
        """Groups of faces that are one person's by what follows from the links."""
        groups = []
        for link in self.links:
            joined = set(link)
            for group in [g for g in groups if g & joined]:
                joined |= group
                groups.remove(group)
            groups.append(joined)
        return groups


class Home:
    """A folder with a library, and somebody who decides."""

    def __init__(self, folder, seed, preloaded, capsys):
        self.folder, self.rng, self.preloaded = folder, random.Random(seed), preloaded
        self.capsys = capsys
        self.photos, self.said = photos_of(seed), Said()
        self.scan()
        self.people("cluster")

    def people(self, *arguments):
        assert execute(["people", *map(str, arguments)]) == 0, self.capsys.readouterr().err

    def scan(self):
        """Another detector: boxes move a little, some faces are not found."""
        rng = self.rng
        move, grow, missed = rng.uniform(-5, 5), rng.uniform(0.95, 1.05), rng.choice([0, 0.1, 0.3])
        self.there = set()
        with Library.open(self.folder / "library.db", pytest.fail) as library:
            for photo, faces in enumerate(self.photos):
                content = content_of(photo)
                library.facts.save_file(f"{photo:03d}.jpg", 1, photo, content)
                found = [
                    (face, Box(place * APART + move, 10.0, SIZE * grow, SIZE * grow))
                    for place, face in enumerate(faces)
                    if rng.random() >= missed
                ]
                before = {n: Box(*box) for n, box in library.faces.of_photo(content)}
                numbers = _numbers([box for _, box in found], before)
                nothing = np.zeros((5, 2), np.float32)
                rows = [
                    StoredFace(number, tuple(box), 0.9, SIZE, nothing, VECTORS[face])
                    for number, (face, box) in zip(numbers, found, strict=True)
                ]
                library.faces.save(content, "detector", "recogniser", rows)
                self.there |= {face for face, _ in found}

    def look(self):
        """Everybody's faces, the names that they have on the command line, contradictions."""
        with Library.open(self.folder / "library.db", pytest.fail) as library:
            said, _ = read_decisions(self.folder / "people.jsonl")
            self.view = overview(library, said)
            grouped = group_faces(library, said, dry_run=True)
            self.short = {
                self.face_at(f.content_sha256, f.box): short(f) for f in library.faces.placed()
            }
        self.violations = grouped.people.violations
        self.faces = {
            p.identity: {self.face_at(f.content_sha256, f.box): f.status for f in p.faces}
            for p in self.view.persons
        }

    def face_at(self, content, box):
        (photo,) = [n for n in range(len(self.photos)) if content_of(n) == content]
        return self.photos[photo][round(box[0] / APART)]

    # --- what somebody does ---

    def person(self):
        return self.rng.choice([p for p, faces in self.faces.items() if faces])

    def face(self):
        return self.rng.choice(sorted(self.short))

    def name(self):
        person, name = self.person(), f"N{self.rng.randrange(10**6)}"
        self.people("name", person, name)
        self.said.names[person] = name

    def confirm(self):
        person, face = self.person(), self.face()
        self.people("confirm", person, self.short[face])
        self.said.confirm(person, [face])

    def confirm_all(self):
        person = self.person()
        self.people("confirm", person)
        self.said.confirm(person, list(self.faces[person]))

    def refuse(self):
        person = self.person()
        face = self.rng.choice([*self.faces[person], self.face()])
        self.people("not-this-person", self.short[face], person)
        self.said.refuse(person, face)

    def no_face(self):
        face = self.face()
        if face in {f for faces in self.faces.values() for f in faces}:
            self.people("not-a-face", self.short[face])
            self.said.no_face(face)

    def merge(self):
        heir, gone = self.person(), self.person()
        if heir != gone:
            self.people("merge", "--force", heir, gone)
            self.said.merge(gone, heir)

    def split(self):
        person = self.person()
        faces = self.rng.sample(sorted(self.faces[person]), 1)
        self.people("split", person, *(self.short[face] for face in faces))
        self.look()
        (new,) = [p for p, theirs in self.faces.items() if faces[0] in theirs]
        self.said.confirm(new, faces)

    def same(self):
        faces = {self.face(), self.face()}
        if len(faces) == 2 and not faces & self.said.no_faces:
            self.people("same", *(self.short[face] for face in faces))
            self.said.links.append(faces)
            self.said.strangers = [pair for pair in self.said.strangers if pair != faces]

    def different(self):
        faces = {self.face(), self.face()}
        if len(faces) == 2 and not faces & self.said.no_faces:
            self.people("different", *(self.short[face] for face in faces))
            self.said.strangers.append(faces)
            self.said.links = [pair for pair in self.said.links if pair != faces]

    def hide(self):
        person, hidden = self.person(), self.rng.random() < 0.7
        self.people("hide", person, *([] if hidden else ["--undo"]))
        self.said.hidden[person] = hidden

    # --- what happens to the files ---

    def rescan(self):
        self.scan()
        self.people("cluster")

    def rebuild(self):
        self.people("cluster", "--rebuild")

    def associate(self):
        self.people("associate", "--threshold", self.rng.choice([0.4, 0.55, 0.7]))

    def maintain(self):
        step = self.rng.choice(["daily", "weekly", "merge-similar", "cleanup-empty"])
        assert execute(["maintain", step]) == 0

    def delete(self):
        for name in ("library.db", "library.db-wal", "library.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        self.scan()
        self.people("cluster")

    def kill_computing(self):
        """SIGKILL in the middle of what computes; the same command again mends it."""
        command = self.rng.choice(
            [["people", "cluster", "--rebuild"], ["people", "associate"], ["maintain", "weekly"]]
        )
        self.killed(command, self.rng.choice(WRITES))
        assert execute(command) == 0

    def kill_deciding(self):
        """SIGKILL while a decision is written: it holds if its line is in the file."""
        person, face = self.person(), self.face()
        point = self.rng.choice(["answered", "torn", "written", "synced"])
        journal = self.folder / "people.jsonl"
        journal.touch(mode=0o600)
        fault = ("die_at_group", str(journal), str(self.folder / "synced"), point, 1)
        if self.killed(["people", "confirm", person, self.short[face]], fault):
            self.people("cluster")
        if point in {"written", "synced"}:
            self.said.confirm(person, [face])

    def killed(self, command, fault):
        run = self.preloaded.start(*command, cwd=self.folder, faults=[fault])
        code = run.wait()
        assert code in {0, -signal.SIGKILL}, run.said
        return code != 0

    # --- what must hold ---

    def check(self):
        self.look()
        said, root = self.said, self.said.root
        shown = {p.identity: p for p in self.view.persons}
        of = {face: p for p, faces in self.faces.items() for face in faces}
        for person, name in said.names.items():
            if root(person) == person:
                assert shown[person].name == name
        for person, hidden in said.hidden.items():
            if root(person) == person and person in shown:
                assert shown[person].hidden is hidden
        for face, person in said.holder.items():
            if face in self.there:
                assert of.get(face) == root(person), "a confirmed face is somebody else's"
        for face in said.no_faces:
            assert face not in of, "what is no face is somebody's"
        for face, person in said.refused:
            if face in self.there and of.get(face) == root(person):
                assert self.is_told(face), "a refused face came back"
        for group in said.together():
            here = group & self.there - said.no_faces
            if len({of.get(face) for face in here}) > 1:
                assert any("must be" in v for v in self.violations), "linked faces were parted"
        for pair in said.strangers:
            if pair <= self.there and len({of.get(face) for face in pair}) == 1:
                alone = of.get(min(pair)) is None
                assert alone or all(map(self.is_told, pair)), "different faces were joined"
        self.nobody_is_twice()

    def is_told(self, face):
        return any(self.short[face] in violation for violation in self.violations)

    def nobody_is_twice(self):
        firm = set(self.said.holder) | {f for group in self.said.together() for f in group}
        photo_of = {face: n for n, faces in enumerate(self.photos) for face in faces}
        for faces in self.faces.values():
            photos = defaultdict(list)
            for face in faces:
                photos[photo_of[face]].append(face)
            for same in photos.values():
                assert len(same) == 1 or set(same) <= firm, "somebody is twice in a photo"
                assert len(same) == 1 or {faces[f] for f in same} == {Status.CONFIRMED}

    def step(self):
        kinds = [*["name", "confirm", "refuse", "same", "different"] * 2, "confirm_all", "no_face",
                 "merge", "split", "hide", "rescan", "rescan", "rebuild", "associate", "maintain",
                 "delete", "kill_computing", "kill_deciding"]  # fmt: skip
        kind = self.rng.choice(kinds)
        getattr(self, kind)()
        return kind


_RUNS = "picture_captioner.library.face_runs:FaceRuns"
WRITES = [
    ("at", place, "send_signal", int(signal.SIGKILL))
    for place in (
        f"{_RUNS}.save_run",
        f"{_RUNS}.save_labels",
        f"{_RUNS}.save_centroids",
        f"{_RUNS}.save_sizes",
        f"{_RUNS}.save_medoids",
        "picture_captioner.library.faces:Faces.save_persons",
    )
]


@pytest.mark.timeout(7200)
def test_no_sequence_loses_what_was_said(tmp_path, monkeypatch, capsys, preloaded, share, tried):
    sequences = share(8, 1000)
    # Half the time of a command is making the commands.
    monkeypatch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
    for seed in range(sequences):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        home = Home(folder, seed, preloaded, capsys)
        steps = []
        try:
            home.look()
            for _ in range(STEPS):
                steps.append(home.step())
                home.check()
        except Exception as error:
            error.add_note(f"seed {seed}: {' '.join(steps)}; {json.dumps(home.violations)}")
            raise
    tried("sequences of decisions, kills, clusterings and detectors", sequences)
