"""The commands by which a human decides: each writes rows into people.jsonl and groups again.

A decision about a person also writes which faces the person has now: these anchor it when
library.db is gone or all faces are clustered anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from picture_captioner.cli.commands.known_people import Known, deciding, group
from picture_captioner.cli.flags import Flags, one_line, suggested
from picture_captioner.cli.terminal import said_when_done, say, show_json
from picture_captioner.errors import ConfigurationError, ExitCode, UsageError, count
from picture_captioner.library.faces import Placed
from picture_captioner.pipeline.people.overview import PersonShown, key_of, overview

Row = dict[str, object]
LONGEST_NAME = 200
SPLIT_FROM = 0.55
"""The cosine above which faces stay together where a person is split by looks alone."""


def tell_changes(flags: Flags, rows: Iterable[Row], contradictions: Iterable[str] = ()) -> None:
    """Print what was written or found as data, in the one shape of all `people` commands."""
    if flags.as_json:
        show_json({"changed": [*rows], "contradictions": [*contradictions]})


def decide(
    flags: Flags, rows_of: Callable[[Known], Sequence[Row]], *, dry_run: bool = False
) -> int:
    """Write what `rows_of` makes of what is known, then find out what follows from it.

    Raises:
        ConfigurationError: no face was found yet.
        UsageError: what `rows_of` raises; nothing is written.
        JournalLockedError: somebody else is deciding.
    """
    settings = flags.settings()
    if not settings.has_library:
        raise ConfigurationError(
            f"there is no {settings.library_home} yet: run 'caption.py people scan', then "
            "'caption.py people cluster'"
        )
    with deciding(settings, dry_run=dry_run) as (library, file):
        said = file.said()
        known = Known(settings, library, said, overview(library, said))
        with said_when_done():
            rows = rows_of(known)
            if rows and not dry_run:
                file.decide(*rows)
        if not rows or dry_run:
            tell_changes(flags, rows)
            return ExitCode.DONE
        grouped = group(library, file.said())
    violations = grouped.people.violations if grouped else []
    for violation in violations:
        say(f"Contradiction: {violation}")
    tell_changes(flags, rows, violations)
    return ExitCode.DONE


def anchor(person: PersonShown) -> list[Row]:
    """The row that says which faces a person has now."""
    if not person.faces:
        return []
    return [{"kind": "member", "person": person.identity, "faces": [*map(key_of, person.faces)]}]


def checked_name(name: str) -> str:
    """The name without what surrounds it."""
    return one_line("name", name, LONGEST_NAME)


def naming(person: PersonShown, name: str) -> list[Row]:
    """The rows that name a person."""
    return [{"kind": "name", "person": person.identity, "name": name}, *anchor(person)]


def name_person(flags: Flags, person: str, name: str) -> int:
    """Name somebody."""

    def rows(known: Known) -> list[Row]:
        if not name.strip():
            unname = suggested(flags, "people unname", person)
            raise UsageError(f"no name is given; to take off the one that is there: {unname}")
        cleaned = checked_name(name)
        if "#" in person and not known.view.find(person):
            return _named_face(flags, known, person, cleaned)
        found = known.person(person)
        for other in known.view.find(cleaned):
            if other.identity != found.identity:
                told = _may_be_one(known, flags, other, found)
                say(f"{other.identity} is called {other.name} too; {told}")
        say(f"{found.identity} is {cleaned} ({count(len(found.faces), 'face')})")
        return naming(found, cleaned)

    return decide(flags, rows)


def unname_person(flags: Flags, person: str) -> int:
    """Take somebody's name off."""

    def rows(known: Known) -> list[Row]:
        found = known.person(person)
        if not found.name:
            raise UsageError(f"{found.identity} has no name")
        say(f"{found.identity} is not called {found.name} any more")
        return naming(found, "")

    return decide(flags, rows)


def _may_be_one(known: Known, flags: Flags, one: PersonShown, other: PersonShown) -> str:
    """The command that makes them one, unless they stand side by side."""
    if beside := _side_by_side(known, one, other):
        return f"they are two: {beside}"
    return (
        f"if they are one person: {suggested(flags, 'people merge', one.identity, other.identity)}"
    )


def _side_by_side(known: Known, one: PersonShown, other: PersonShown) -> str:
    """On how many photos both are, and one of them; nothing if on none."""
    contents = {face.content_sha256 for face in other.faces}
    shared = [face for face in one.faces if face.content_sha256 in contents]
    if not shared:
        return ""
    photos = len({face.content_sha256 for face in shared})
    example = next(iter(known.view.paths_of(shared)), "")
    return f"both are on {count(photos, 'photo')}" + (f", such as {example}" if example else "")


def _named_face(flags: Flags, known: Known, text: str, name: str) -> list[Row]:
    """A face that is in no group becomes a person, or that of the name."""
    face = known.face(text)
    if face.person is not None:
        raise UsageError(
            f"{text} is one of {known.said.person(face.person)}'s. To name that person: "
            f"{suggested(flags, 'people name', face.person, name)}; if it is somebody else first: "
            f"{suggested(flags, 'people split', face.person, text)}"
        )
    others = known.view.find(name)
    identity = others[0].identity if len(others) == 1 else f"p{secrets.token_hex(4)}"
    say(f"{text} is {name} ({identity})")
    return [
        {"kind": "name", "person": identity, "name": name},
        {"kind": "confirm", "person": identity, "faces": [key_of(face)]},
    ]


def merge_persons(flags: Flags, into: str, others: Sequence[str], *, force: bool) -> int:
    """Make several persons one; two who are on one photo only with `force`."""

    def rows(known: Known) -> list[Row]:
        heir = known.person(into)
        gone = [p for p in map(known.person, others) if p.identity != heir.identity]
        if not gone:
            raise UsageError(f"{into} is that person already")
        for one, other in combinations([heir, *gone], 2):
            if beside := _side_by_side(known, one, other):
                _refuse_or_tell(flags, one, other, beside, force=force)
        for person in gone:
            if frozenset((heir.identity, person.identity)) in known.said.apart:
                say(f"It was said that {heir.called} and {person.called} are different: taken back")
        say(f"{', '.join(p.called for p in gone)} now part of {heir.called}")
        for person in gone:
            say(f"To take it back: {suggested(flags, 'people unmerge', person.identity)}")
        anchors = [row for person in (heir, *gone) for row in anchor(person)]
        merges: list[Row] = [
            {"kind": "merge", "person": p.identity, "into": heir.identity} for p in gone
        ]
        return [*anchors, *merges]

    return decide(flags, rows)


def _refuse_or_tell(
    flags: Flags, one: PersonShown, other: PersonShown, beside: str, *, force: bool
) -> None:
    """Say that two who become one are side by side.

    Raises:
        UsageError: two who are on one photo would be one, and nobody insists on that.
    """
    who = f"{one.called} ({one.identity}) and {other.called} ({other.identity})"
    if not force:
        again = suggested(flags, "people merge", "--force", one.identity, other.identity)
        show = suggested(flags, "people show", other.identity)
        raise UsageError(
            f"{who} are two: {beside}. Look at '{show}' for a face that is somebody else's. If "
            f"they are one all the same: {again}; on each of these photos one of the two faces is "
            "nobody's then"
        )
    say(f"{who}: {beside}; one face on each is nobody's now")


def unmerge_person(flags: Flags, text: str) -> int:
    """Take back that somebody became part of another: both are as they were before."""

    def rows(known: Known) -> list[Row]:
        merged = known.said.merged
        parts = [text] if text in merged else _parts_of(known, text)
        if len(parts) != 1:
            which = f"name one of those who became part of it: {', '.join(parts)}"
            raise UsageError(f"{text}: {which if parts else 'nobody was merged into it'}")
        gone, heir = parts[0], known.said.person(parts[0])
        # What was given to others since, by a split or another `unmerge`, stays with them.
        theirs, others = (
            {f for f in faces if known.said.person(known.said.holder.get(f, "")) == heir}
            for faces in known.said.before_merge[gone]
        )
        say(
            f"{gone} is no longer part of {merged[gone]}, and has {count(len(theirs), 'face')} of "
            "before"
        )
        members: list[Row] = [
            {"kind": "member", "person": person, "faces": sorted(faces)}
            for person, faces in ((gone, theirs), (merged[gone], others))
            if faces
        ]
        return [{"kind": "unmerge", "person": gone}, *members]

    return decide(flags, rows)


def _parts_of(known: Known, text: str) -> list[str]:
    heir = known.person(text).identity
    return [gone for gone, into in known.said.merged.items() if into == heir]


def split_person(flags: Flags, person: str, faces: Sequence[str]) -> int:
    """Make other persons of some faces of one."""

    def rows(known: Known) -> list[Row]:
        found = known.person(person)
        chosen = [known.face(text) for text in faces]
        strangers = [f for f in chosen if f not in found.faces]
        if strangers:
            raise UsageError(f"of these faces {len(strangers):,} not {found.called}'s")
        parts = [chosen] if chosen else _by_looks(known, found)
        if not parts:
            raise UsageError(
                f"all faces of {found.called} look alike: name those that are somebody else's "
                f"('caption.py people show {found.identity}' prints them)"
            )
        made: list[Row] = [*anchor(found)]
        for part in parts:
            identity = f"p{secrets.token_hex(4)}"
            keys = [key_of(face) for face in part]
            made.append({"kind": "confirm", "person": identity, "faces": keys})
            made.append({"kind": "apart", "persons": [found.identity, identity]})
            say(f"{identity} has {count(len(part), 'face')} of {found.called} now")
        return made

    return decide(flags, rows)


def _by_looks(known: Known, person: PersonShown) -> list[list[Placed]]:
    """The groups among somebody's faces but the largest, which stays."""
    from picture_captioner.people.clustering import cluster

    table = known.library.faces.table()
    own = {(face.content_sha256, face.number): face for face in person.faces}
    rows = [
        i
        for i, at in enumerate(zip(table.contents, table.numbers.tolist(), strict=True))
        if at in own
    ]
    labels = cluster(table.vectors[rows], same_person=SPLIT_FROM).labels
    groups: list[list[Placed]] = [[] for _ in range(int(labels.max(initial=-1)) + 1)]
    for row, label in zip(rows, labels.tolist(), strict=True):
        if label >= 0:
            groups[label].append(own[table.contents[row], int(table.numbers[row])])
    return sorted(groups, key=len, reverse=True)[1:]


def confirm_faces(flags: Flags, person: str, faces: Sequence[str]) -> int:
    """Say that faces are somebody's."""

    def rows(known: Known) -> list[Row]:
        found = known.person(person)
        chosen = list(dict.fromkeys(map(known.face, faces))) or found.faces
        if not chosen:
            raise UsageError(f"{found.called} has no faces: name those to confirm")
        say(f"{count(len(chosen), 'face')} confirmed as {found.called}")
        keys = [key_of(face) for face in chosen]
        return [
            *anchor(found),
            {"kind": "confirm", "person": found.identity, "faces": keys},
        ]

    return decide(flags, rows)


def refuse_person(flags: Flags, face: str, person: str) -> int:
    """Say that a face is not somebody's."""

    def rows(known: Known) -> list[Row]:
        found, chosen = known.person(person), known.face(face)
        say(f"{face} is not {found.called}")
        rest = [f for f in found.faces if f != chosen]
        without = PersonShown(found.identity, faces=rest)
        refused: Row = {"kind": "not_person", "person": found.identity, "face": key_of(chosen)}
        return [*anchor(without), refused]

    return decide(flags, rows)


def refuse_faces(flags: Flags, faces: Sequence[str]) -> int:
    """Say that these are no faces."""

    def rows(known: Known) -> list[Row]:
        chosen = [known.face(text) for text in faces]
        say(f"{count(len(chosen), 'face')} will be left out for good")
        return [{"kind": "not_face", "face": key_of(face)} for face in chosen]

    return decide(flags, rows)


def hide_persons(flags: Flags, persons: Sequence[str], under: int | None, *, hidden: bool) -> int:
    """Hide persons, or show them again."""
    if not persons and under is None:
        raise UsageError("name the persons, or give --unnamed-under N")

    def rows(known: Known) -> list[Row]:
        chosen = {p.identity: p for p in map(known.person, persons)}
        if under is not None:
            few = (p for p in known.view.persons if not p.name and len(p.faces) < under)
            chosen |= {p.identity: p for p in few if p.hidden is not hidden}
        say(f"{count(len(chosen), 'person', 'people')} "
            f"{'hidden' if hidden else 'shown again'}")  # fmt: skip
        return [
            row
            for person in chosen.values()
            for row in (
                *anchor(person),
                {"kind": "hide", "person": person.identity, "hidden": hidden},
            )
        ]

    return decide(flags, rows)


def link_faces(flags: Flags, faces: Sequence[str]) -> int:
    """Say that faces are one person's."""

    def rows(known: Known) -> list[Row]:
        keys = list(dict.fromkeys(key_of(known.face(text)) for text in faces))
        if len(keys) < 2:
            raise UsageError("name two faces or more")
        say(f"These {len(keys):,} faces are one person's from now on")
        return [{"kind": "must_link", "faces": keys}]

    return decide(flags, rows)


def keep_apart(flags: Flags, one: str, other: str) -> int:
    """Say that two faces, or two persons, are never one."""

    def rows(known: Known) -> list[Row]:
        texts = (one, other)
        are_faces = [not known.view.find(text) and ("#" in text or ":" in text) for text in texts]
        if all(are_faces):
            keys = _two(key_of(known.face(text)) for text in texts)
            say(f"{one} and {other} are never the same person")
            return [{"kind": "cannot_link", "faces": keys}]
        if any(are_faces):
            raise UsageError(
                "name two faces or two persons; else 'caption.py people not-this-person FACE ID'"
            )
        found = [known.person(text) for text in texts]
        ids = _two(person.identity for person in found)
        say(f"{found[0].called} and {found[1].called} are never the same person")
        return [*anchor(found[0]), *anchor(found[1]), {"kind": "apart", "persons": ids}]

    return decide(flags, rows)


def _two(names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    if len(found) != 2:
        raise UsageError("these are one and the same")
    return found
