"""`people scan`, `cluster`, `list`, `show`, `review`, `associate`: what changes no decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from picture_captioner.cli.command_flags import ProcessFlags
from picture_captioner.cli.commands.known_people import deciding, group, known_people, tell_no_faces
from picture_captioner.cli.commands.photos import our_words
from picture_captioner.cli.commands.process import run_stages
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.terminal import say, show, show_json
from picture_captioner.errors import ExitCode, count
from picture_captioner.library.faces import Placed
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.overview import (
    Overview,
    PersonShown,
    bodies_shown,
)
from picture_captioner.pipeline.people.people_file import PeopleFile
from picture_captioner.pipeline.people.questions import Questions, questions, short
from picture_captioner.pipeline.people.regrouping import Grouped

NOBODY = "nobody"
"""Stands for the faces that are in no group."""


def scan_faces(flags: ProcessFlags, path: Path | None) -> int:
    """Find faces; errors as for `process`."""
    stages = ["faces", *(["bodies"] if flags.settings().bodies else [])]
    code = run_stages(replace(flags, stage=stages), path)
    if code == ExitCode.DONE and not flags.dry_run:
        with known_people(flags) as known:
            faces = list(known.faces())
            new = sum(face.status is None for face in faces)
        say(f"{count(len(faces), 'face')}, {new:,} of them in no group yet")
        if new:
            say(f"Next: {suggested(flags, 'people cluster')}")
        if flags.as_json:
            found = {"kind": "scan", "faces": len(faces), "in_no_group": new}
            show_json({"changed": [found], "contradictions": []})
    return code


def cluster_faces(flags: Flags, *, rebuild: bool) -> int:
    """Group faces into persons."""
    settings = flags.settings()
    if not settings.has_library:
        say(f"No faces yet: find them with '{suggested(flags, 'people scan')}'")
        grouped = None
    else:
        with deciding(settings) as (library, file):
            _take_over_names(library, file, settings.captions_jsonl)
            grouped = group(library, file.said(), rebuild=rebuild)
    if grouped is None:
        if flags.as_json:
            show_json(_counts(None))
        return ExitCode.DONE
    if grouped.anew:
        say(f"Clustered {count(len(grouped.shown), 'face')} anew, {grouped.anew}")
    else:
        say(f"{count(grouped.added, 'new face')} added to the groups")
    _tell_grouped(flags, grouped)
    if flags.as_json:
        show_json(_counts(grouped))
    return ExitCode.DONE


def _take_over_names(library: Library, file: PeopleFile, journal: Path) -> None:
    """Let people.jsonl know the faces that were named in other programs."""
    from picture_captioner.pipeline.people.names_elsewhere import names_elsewhere

    if rows := names_elsewhere(library, file.rows, our_words(journal)):
        file.decide(*rows)
        kinds = Counter(row["kind"] for row in rows)
        if kinds["confirm"]:
            say(f"{count(kinds['confirm'], 'face')} named in other programs: confirmed")
        if kinds["member"]:
            say(f"{count(kinds['member'], 'face')} taken from what 'caption.py write' wrote")


def _tell_grouped(flags: Flags, grouped: Grouped) -> None:
    people = grouped.people
    pending = grouped.pending
    say(
        f"{count(len(people.persons), 'person', 'people')}; {grouped.nobodys:,} of "
        f"{count(len(grouped.shown), 'face')} nobody's, {pending:,} to be reviewed"
    )
    for violation in people.violations:
        say(f"Contradiction: {violation}")
    if grouped.stale:
        again = suggested(flags, "people cluster", "--rebuild")
        say(f"Stale: {grouped.stale}. '{again}' clusters anew")
    if pending or people.suggestions or people.violations:
        say(f"Next: {suggested(flags, 'people review')}")


def _counts(grouped: Grouped | None) -> dict[str, object]:
    if grouped is None:
        return {"faces": 0, "persons": 0, "added": 0, "anew": "", "stale": "", "pending": 0}
    return {
        "faces": len(grouped.shown),
        "persons": len(grouped.people.persons),
        "added": grouped.added,
        "anew": grouped.anew,
        "stale": grouped.stale,
        "pending": grouped.pending,
        "violations": grouped.people.violations,
    }


def print_people(flags: Flags, *, hidden: bool) -> int:
    """List persons."""
    with known_people(flags) as known:
        view = known.view
        shown = [p for p in view.persons if hidden or not p.hidden]
        left_out = len(view.persons) - len(shown)
        new = sum(face.status is None for face in known.faces())
        if flags.as_json:
            rows = [
                {
                    "id": person.identity,
                    "name": person.name,
                    "faces": [row for face in person.faces for row in _rows(view, face)],
                }
                for person in shown
            ]
            free = [row for face in view.unassigned for row in _rows(view, face)]
            show_json({"persons": rows, "unassigned": free})
        else:
            for person in shown:
                photos = count(len(view.paths_of(person.faces)))
                faces = count(len(person.faces), "face")
                example = view.paths_of(person.faces and [max(person.faces, key=_typical)])[:1]
                marks = ["hidden"] if person.hidden else []
                show(person.identity, person.name or "-", faces, photos, *(example or "-"), *marks)
        if not any(person.faces for person in view.persons) and not view.unassigned:
            tell_no_faces(known.library)
    if new:
        say(f"{count(new, 'face')} in no group yet: '{suggested(flags, 'people cluster')}'")
    elif view.unassigned:
        say(
            f"{count(len(view.unassigned), 'face')} nobody's: "
            f"'{suggested(flags, 'people show', 'nobody')}' lists them, "
            f"'{suggested(flags, 'people name', 'FACE', 'NAME')}' makes one somebody"
        )
    if left_out:
        say(f"{left_out:,} hidden: --all shows them")
    return ExitCode.DONE


def _typical(face: Placed) -> float:
    """How much a face looks like the person that it is."""
    return face.cosine or 0.0


def _rows(view: Overview, face: Placed) -> list[dict[str, Any]]:
    """The face as JSON, once for each file that has this content."""
    box = [round(value) for value in face.box]
    score = round(face.score, 4)
    return [
        {"rel_path": path, "box": box, "score": score}
        for path in view.paths.get(face.content_sha256, ())
    ]


def print_person(flags: Flags, person: str) -> int:
    """Print somebody's faces."""
    with known_people(flags) as known:
        nobody = PersonShown(NOBODY, faces=known.view.unassigned)
        found = nobody if person == NOBODY else known.person(person)
        guesses = attributes_of(known.library, found)
        body_of, alone = bodies_shown(known.library, known.view)
        rows = [
            {**row, "face": short(face), "status": face.status, "cosine": face.cosine, **body}
            for face in found.faces
            for body in [body_of.get((face.content_sha256, face.number), {})]
            for row in _rows(known.view, face)
        ]
        alone = alone if person == NOBODY else []
    if flags.as_json:
        about: dict[str, object] = {"id": found.identity, "name": found.name}
        about |= {"hidden": found.hidden, **guesses, "faces": rows}
        show_json(about | ({"bodies": alone} if alone else {}))
        return ExitCode.DONE
    say(f"{found.called}: {count(len(found.faces), 'face')}" + (", hidden" if found.hidden else ""))
    for name, guess in guesses.items():
        say(f"  {name.replace('_', ' ')}: {_in_words(guess)}")
    for row in rows:
        box = ",".join(map(str, row["box"]))
        near = "" if row["cosine"] is None else f"{row['cosine']:.2f}"
        show(str(row["face"]), str(row["status"] or "new"), near, box, str(row["rel_path"]))
    for row in alone:
        show("-", "body", "", ",".join(map(str, row["box"])), str(row["rel_path"]))
    return ExitCode.DONE


def _in_words(guess: Mapping[str, float]) -> str:
    share = f"male {guess['male']:.0%}" if "male" in guess else f"{guess['low']} to {guess['high']}"
    return f"{share}, guessed from {count(int(guess['photos']), 'photo')}"


def attributes_of(library: Library, person: PersonShown) -> dict[str, Any]:
    """What was guessed of a person's age and gender, if it was asked for (`--attributes`)."""
    known = library.faces.attributes()
    found = [known[k] for f in person.faces if (k := (f.content_sha256, f.number)) in known]
    if not found:
        return {}
    from picture_captioner.people.attributes import summary

    dates = library.faces.years({f.content_sha256 for f in person.faces})
    years = [dates.get(f.content_sha256) for f in person.faces
             if (f.content_sha256, f.number) in known]  # fmt: skip
    return summary(found, years)


def print_review(flags: Flags) -> int:
    """List what a human should decide."""
    with known_people(flags) as known:
        grouped = group(known.library, known.said, dry_run=True)
        if grouped is None:
            if flags.as_json:
                show_json({"faces": [], "persons": [], "suspicious": [], "violations": []})
            return ExitCode.DONE
        view, asked = known.view, questions(grouped, known.view)
        new = sum(face.status is None for face in known.faces())
    if flags.as_json:
        show_json(_review_as_json(view, asked))
        return ExitCode.DONE
    for violation in asked.violations:
        show("contradiction", violation)
    for crowd in asked.large:
        split = suggested(flags, "people split", crowd.identity)
        show("large", crowd.identity, count(len(crowd.faces), "face"), split)
    for one, other, cosine in asked.pairs:
        merge = suggested(flags, "people merge", one, other)
        show("one person?", asked.called[one], asked.called[other], f"{cosine:.2f}", merge)
    for doubt in asked.faces:
        paths = view.paths.get(doubt.face.content_sha256, ["?"])
        name = asked.called.get(doubt.person, doubt.person)
        near, face = f"{doubt.cosine:.2f}", short(doubt.face)
        confirm = suggested(flags, "people confirm", doubt.person, face)
        show("whose?", face, paths[0], name, near, doubt.why, confirm)
    if not asked:
        say("Nothing to decide")
    if new:
        say(f"{count(new, 'face')} in no group yet: '{suggested(flags, 'people cluster')}'")
    return ExitCode.DONE


def _review_as_json(view: Overview, asked: Questions) -> dict[str, object]:
    return {
        "faces": [
            {"face": short(d.face), "person": d.person, "cosine": d.cosine, "why": d.why, **row}
            for d in asked.faces
            for row in _rows(view, d.face)[:1]
        ],
        "persons": [{"ids": [s.one, s.other], "cosine": s.cosine} for s in asked.pairs],
        "suspicious": [{"id": p.identity, "faces": len(p.faces)} for p in asked.large],
        "violations": list(asked.violations),
    }


def associate(flags: Flags, threshold: float | None, *, dry_run: bool) -> int:
    """Join groups of faces that look alike, and say who became part of whom."""
    settings = flags.settings()
    alone = not dry_run and settings.has_library
    with deciding(settings) if alone else nullcontext(), known_people(flags) as known:
        before = {
            (f.content_sha256, f.number): p.identity for p in known.view.persons for f in p.faces
        }
        grouped = group(known.library, known.said, same_group=threshold, dry_run=dry_run)
    joined: dict[str, str] = {}
    if grouped is not None:
        gone = set(before.values()) - set(grouped.people.persons)
        table = grouped.table
        for i, person in enumerate(grouped.people.of_face):
            old = before.get((table.contents[i], int(table.numbers[i])))
            if old in gone and person is not None:
                joined[str(old)] = person
    if flags.as_json:
        show_json({"joined": joined, "dry_run": dry_run})
    else:
        for old, new in sorted(joined.items()):
            show(old, new)
    would = " would be" if dry_run else ""
    say(f"{count(len(joined), 'group')}{would} joined to others")
    return ExitCode.DONE
