"""What is known of people, for the commands that show or decide it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from picture_captioner.cli.commands.files import library_there
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, say_all
from picture_captioner.config import Settings
from picture_captioner.errors import ConfigurationError, UsageError, count, did_you_mean
from picture_captioner.extras import how_to_install
from picture_captioner.library.faces import Placed
from picture_captioner.library.selection import Selection, Term
from picture_captioner.library.store import Library
from picture_captioner.people.decisions import Decisions
from picture_captioner.pipeline.people.overview import (
    Overview,
    PersonShown,
    folded_name,
    key_of,
    overview,
)
from picture_captioner.pipeline.people.people_file import PeopleFile, read_decisions
from picture_captioner.pipeline.people.regrouping import Grouped, group_faces
from picture_captioner.pipeline.people.rewritten import follow_rewritten

FAULTS_TOLD = 3
"""Of a file that is something else, such as a photo, hundreds of lines are no rows."""


@dataclass(frozen=True)
class Known:
    """What is known of people: the settings, the open library, what was said, who is where."""

    settings: Settings
    library: Library
    said: Decisions
    view: Overview

    def person(self, text: str) -> PersonShown:
        """Who is meant.

        Raises:
            UsageError: nobody, or several.
        """
        found = self.view.find(self.said.person(text))
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(p.identity for p in found)
            raise UsageError(f"{len(found)} persons are called {text!r}: name one by id ({ids})")
        names = [n for p in self.view.persons for n in (p.identity, p.name) if n]
        hint = did_you_mean(text, names)
        raise UsageError(f"there is no person {text!r}{hint}; see 'caption.py people list'")

    def face(self, text: str) -> Placed:
        """Which face is meant: HASH#N as `show` prints it, PATH#N, or its key.

        Raises:
            UsageError: none, or several.
        """
        where, _, number = text.rpartition("#")
        contents = {c for c, paths in self.view.paths.items() if where in paths}
        found = [
            face
            for face in (*self.faces(), *self.view.no_faces)
            if key_of(face) == text
            or (
                str(face.number) == number
                and (
                    face.content_sha256 in contents
                    or (len(where) >= 6 and face.content_sha256.startswith(where))
                )
            )
        ]
        if len(found) != 1:
            why = f"{len(found)} faces are" if found else "no face is"
            raise UsageError(
                f"{why} called {text!r}: 'caption.py people show ID' prints the names of faces"
            )
        return found[0]

    def faces(self) -> Iterator[Placed]:
        """Every face of the library, whether it is somebody's or nobody's."""
        for person in self.view.persons:
            yield from person.faces
        yield from self.view.unassigned


@contextmanager
def known_people(flags: Flags) -> Iterator[Known]:
    """What is known of people, for who changes nothing. Makes no file."""
    settings = flags.settings()
    with library_there(settings) as library:
        said = decisions_of(settings)
        yield Known(settings, library, said, overview(library, said))


@contextmanager
def deciding(settings: Settings, *, dry_run: bool = False) -> Iterator[tuple[Library, PeopleFile]]:
    """The library and what was said, for who writes: nobody else does meanwhile.

    What was said of photos that another program wrote into goes along first, if not for a dry run.

    Raises:
        JournalLockedError: another process decides, clusters or maintains.
    """
    with (
        Library.open(settings.library_home, say) as library,
        PeopleFile(settings.people_path) as file,
    ):
        say_all(file.repairs, file.warnings())
        if not dry_run:
            follow_rewritten(library, file)
        yield library, file


def decisions_of(settings: Settings) -> Decisions:
    """What people.jsonl says; lines that say nothing are told."""
    said, damage = read_decisions(settings.people_path)
    for fault in damage[:FAULTS_TOLD]:
        say(f"{settings.people_path.name}: {fault}")
    if (more := len(damage) - FAULTS_TOLD) > 0:
        say(f"{settings.people_path.name}: {count(more, 'more line')} like that")
    if said.unreadable:
        say(f"{settings.people_path.name}: {count(said.unreadable, 'row')} passed over")
    return said


def persons_meant(settings: Settings, selection: Selection) -> dict[str, Selection]:
    """Whom words that are looked for may mean, by name, and the search for that person."""
    words = {folded_name(term.value): term for term in selection.looked_for if term.kind == "word"}
    found = {}
    for one in read_decisions(settings.people_path)[0].persons.values():
        typed = {words[part] for part in folded_name(one.name).split() if part in words}
        if typed and not one.hidden:
            rest = tuple(term for term in selection.terms if term not in typed)
            found[one.name] = Selection((Term("person", one.name), *rest))
    return found


def group(library: Library, said: Decisions, **how: Any) -> Grouped | None:
    """Group the faces; None, and a line, where there are none.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        grouped = group_faces(library, said, **how)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"it needs the package {error.name}: run {how_to_install('people')}"
        ) from error
    if grouped is None:
        tell_no_faces(library)
    return grouped


def tell_no_faces(library: Library) -> None:
    """Say whether faces were looked for, else how."""
    if looked := len(library.faces.looked_at()):
        say(f"No faces in the {count(looked)} that 'caption.py people scan' looked at")
    else:
        say("No faces yet: find them with 'caption.py people scan'")
