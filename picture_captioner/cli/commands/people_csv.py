"""`people export` and `people import`: names edited in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from picture_captioner.cli.commands.known_people import Known, known_people
from picture_captioner.cli.commands.people_decisions import (
    Row,
    anchor,
    checked_name,
    decide,
    naming,
    tell_changes,
)
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.terminal import say
from picture_captioner.errors import ExitCode, OutputError, UsageError, count
from picture_captioner.foreign_text import FORMULA_SIGNS
from picture_captioner.journal.durable import is_another, output_file
from picture_captioner.pipeline.people.people_file import PeopleFile
from picture_captioner.writeback.edits import read_text

COLUMNS = ("id", "name", "hidden", "faces", "photos", "first_photo")
_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?"?id"?[,;\t]"?name')
_TRUE, _FALSE = {"yes", "true", "1", "x"}, {"", "no", "false", "0"}
_LARGEST = 64 << 20
_GUARD = re.compile(rf"^'(?=[{re.escape(FORMULA_SIGNS)}'])")
"""An apostrophe keeps a spreadsheet from taking a name for a formula; it is taken off again."""


def export_people(flags: Flags, path: Path) -> int:
    """Write a row for every person.

    Raises:
        UsageError: another file is there, or a table with names that were not imported.
        OutputError: it cannot be written; an older file is as it was.
    """
    with known_people(flags) as known:
        rows = [
            (
                person.identity,
                _guarded(person.name),
                "yes" if person.hidden else "no",
                len(person.faces),
                len(photos := known.view.paths_of(person.faces)),
                _guarded(_shown(photos[0])) if photos else "",
            )
            for person in known.view.persons
        ]
        typed = _not_imported(known, path, flags.encoding)
    if typed:
        take = suggested(flags, "people import", str(path))
        raise UsageError(
            f"{path}: {count(len(typed), 'name')} in it, such as {typed[0]!r}, "
            f"{'was' if len(typed) == 1 else 'were'} not taken over and would be lost: {take}; "
            "or name another file"
        )
    try:
        if is_another(path, _BEGINNING):
            raise UsageError(
                f"{path}: a file is there that is no table of people, and it would be destroyed; "
                "name another file, or delete that one"
            )
        with output_file(path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", write_through=True)
            writer = csv.writer(text, lineterminator="\r\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)
            text.detach()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    say(f"Wrote {count(len(rows), 'person', 'people')} to {path}")
    tell_changes(flags, [{"kind": "export", "file": _shown(str(path)), "persons": len(rows)}])
    return ExitCode.DONE


def _not_imported(known: Known, path: Path, encoding: str) -> list[str]:
    """The names in an older table that nobody here has or had: they were typed into it since."""
    try:
        if not path.is_file() or not path.stat().st_size or is_another(path, _BEGINNING):
            return []
    except OSError:
        return []  # `export_people` says what is wrong with it
    said = {
        (known.said.person(str(row.get("person"))), _spelt(str(row.get("name"))))
        for row in PeopleFile.read(known.settings.people_path)[0]
        if row.get("kind") == "name"
    }
    try:
        rows = _read(path, encoding)
    except UsageError as error:
        raise UsageError(f"{error}. It may hold names, and is kept: name another file") from None
    typed = ((known.said.person(row["id"].strip()), _name_in(row)) for _, row in rows)
    return [name for identity, name in typed if name and (identity, _spelt(name)) not in said]


def _spelt(name: str) -> str:
    """The same for a name however its accents and spaces are typed."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _name_in(row: Mapping[str, str]) -> str:
    """The name in a row of a table, without what keeps it from being a formula."""
    return _GUARD.sub("", (row.get("name") or "").strip())


def _guarded(text: str) -> str:
    return f"'{text}" if text[:1] in {*FORMULA_SIGNS, "'"} else text


def _shown(path: str) -> str:
    """The path without what a spreadsheet cannot hold."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def import_people(flags: Flags, path: Path, *, dry_run: bool) -> int:
    """Take over names and hidden persons that differ from what is known.

    Raises:
        UsageError: it is no such file, or names somebody who is not there; nothing is changed.
    """
    read = _read(path, flags.encoding)

    def rows(known: Known) -> list[Row]:
        made: list[Row] = []
        changed, kept = 0, list[str]()
        lines: dict[str, int] = {}
        for line, row in read:
            try:
                person = known.person(row["id"].strip())
                name = _name_in(row)
                new = naming(person, checked_name(name)) if name and name != person.name else []
                hidden = _flag(row.get("hidden"), default=person.hidden)
            except UsageError as error:
                raise UsageError(f"{path}, line {line}: {error}") from None
            if (first := lines.setdefault(person.identity, line)) != line:
                raise UsageError(f"{path}, line {line}: it is the person of line {first}")
            if hidden != person.hidden:
                new += [
                    *([] if new else anchor(person)),
                    {"kind": "hide", "person": person.identity, "hidden": hidden},
                ]
            changed += bool(new)
            made += new
            kept += [person.name] if person.name and not name else []
        told = "would be changed (nothing done: --dry-run)" if dry_run else "changed"
        say(f"{count(changed, 'person', 'people')} {told}")
        if kept:
            say(
                f"{count(len(kept), 'name')} kept whose field is empty, such as {kept[0]!r}: "
                f"{suggested(flags, 'people unname', kept[0])} takes it off"
            )
        return made

    return decide(flags, rows, dry_run=dry_run)


def _read(path: Path, encoding: str) -> list[tuple[int, Mapping[str, str]]]:
    text = read_text(path, _LARGEST, encoding)
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)  # spreadsheets of some countries write semicolons
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV file: {error}") from error
    if not {"id", "name"} <= set(reader.fieldnames or ()):
        raise UsageError(
            f"{path} has no columns id and name: export it with 'caption.py people export FILE'"
        )
    return [(line, row) for line, row in rows if (row.get("id") or "").strip()]


def _flag(text: str | None, *, default: bool) -> bool:
    if text is None:
        return default
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise UsageError(f"hidden is yes or no, not {text!r}")
    return word in _TRUE
