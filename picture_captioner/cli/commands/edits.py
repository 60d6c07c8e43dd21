"""`export`, `import`, `accept`, `reject`: captions to a spreadsheet and back, a human's word."""

from __future__ import annotations

import csv
import fcntl
import getpass
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from heapq import merge
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from picture_captioner.cli.commands.files import below, existing_journal, index_of, open_journal
from picture_captioner.cli.commands.known_people import decisions_of
from picture_captioner.cli.flags import Flags, one_of, suggested, words_in
from picture_captioner.cli.terminal import output_errors, say, show
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ExitCode,
    JournalLockedError,
    OutputError,
    Status,
    UsageError,
    count,
)
from picture_captioner.journal.durable import is_another, output_file
from picture_captioner.journal.reading import read_captions, read_lines_of
from picture_captioner.journal.record import Entry, Record
from picture_captioner.journal.rows import TagDecisions, tag_key
from picture_captioner.journal.writing import Journal
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.library.tags import GivenTag
from picture_captioner.pipeline.people.overview import named_faces, overview
from picture_captioner.report.csv_export import cell
from picture_captioner.writeback.edits import BETWEEN_TAGS, edited, human, read_edits, rejected
from picture_captioner.writeback.export import ALWAYS, GROUPS, SPREADSHEET, identity_of, row_of

if TYPE_CHECKING:
    from typing import TextIO

_BEGINNINGS = {
    "csv": re.compile(rb'(?:\xef\xbb\xbf)?"?rel_path"?[,;\t]"?caption'),
    "jsonl": re.compile(rb'\{"(?:rel_path|content_sha256)": '),
}
"""Of what `export` wrote, also after a spreadsheet program saved it."""


def export_photos(flags: Flags, *, form: str, out: Path | None, only: str, embeddings: bool) -> int:
    """Write a line for each photo of the journal and the library; as CSV, for each caption."""
    groups = words_in("--only", only, GROUPS)
    one_of("--format", form, ("jsonl", "csv"))
    settings = flags.settings()
    if isinstance(home := settings.library_home, Path) and not home.exists():
        existing_journal(flags)  # else an empty library.db would be left behind
    _refuse_another(out, settings, form)
    if out is not None and form == "csv":
        _refuse_to_lose_edits(flags, out, settings.captions_jsonl)
    with ExitStack() as held:
        library = held.enter_context(Library.open(home, say))
        known = library.known_files() if form == "jsonl" else None
        if not known:
            existing_journal(flags)
        rows = _rows(settings, library, known, groups, embeddings or "embedding" in groups)
        stream, before = held.enter_context(_opened(out, form))
        number = _write_csv(rows, stream) if form == "csv" else _write_lines(rows, stream, before)
    if out is not None:
        say(f"{count(number)} written to {out}")
    return ExitCode.DONE


def _refuse_another(out: Path | None, settings: Settings, form: str) -> None:
    try:
        if out is None or not (
            is_another(out, _BEGINNINGS[form])
            or (
                (out.exists() and settings.captions_jsonl.exists())
                and out.samefile(settings.captions_jsonl)
            )
        ):
            return
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    raise UsageError(
        f"--out {out}: a file is there that is no export as {form}, and it would be destroyed; "
        "name another file, or delete that one"
    )


def _refuse_to_lose_edits(flags: Flags, out: Path, journal: Path) -> None:
    """An older table may hold words that somebody typed into it since, and did not import."""
    if not (out.is_file() and out.stat().st_size and journal.is_file()):
        return
    paths = index_of(journal).entries
    try:
        names = {cell(path): path for path in paths}
        rows = {row["rel_path"]: row for row in read_edits(out, names, flags.encoding)}
    except UsageError as error:
        raise UsageError(f"{error}. It may hold edits, and is kept: name another file") from None
    typed = {path: row for path, row in rows.items() if path in paths}
    tags = TagDecisions.beside(journal)
    for row in typed.values():  # tags may have been renamed since it was written
        if named := row.get("tags"):
            row["tags"] = BETWEEN_TAGS.join(tags.names(named.split(BETWEEN_TAGS)))
    for record in read_lines_of(journal, typed):  # a text that a photo had once is none
        then = typed.get(record.rel_path)
        if then and edited(tags.applied(record), then, "", cell) is None:
            del typed[record.rel_path]
    if typed:
        take = suggested(flags, "import", str(out))
        raise UsageError(
            f"{out}: what was edited in it of {count(len(typed))}, such as {min(typed)}, was not "
            f"taken over and would be lost: {take}; or name another file, or delete that one"
        )


_Identities = set[tuple[str, ...]]


@contextmanager
def _opened(out: Path | None, form: str) -> Iterator[tuple[TextIO, _Identities]]:
    """Where the lines go, and of which photos lines are there already.

    Raises:
        OutputError: it cannot be written. A CSV is as it was then; of lines those before are whole,
            and the next export cuts off the one that is not.
    """
    if out is None:
        with output_errors():
            yield sys.stdout, set()
        return
    try:
        with output_file(out) if form == "csv" else _appending(out) as stream:
            there = set() if form == "csv" else _written(out, stream)
            text = TextIOWrapper(stream, "utf-8", "surrogateescape", newline="", write_through=True)
            yield text, there
            text.detach()
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error.strerror or error}; mend that or name another --out, and "
            "run the same command again"
        ) from error


@contextmanager
def _appending(out: Path) -> Iterator[BinaryIO]:
    """The file, for one export at a time: the second would repeat the lines of the first."""
    with out.open("a+b" if out.is_file() or not out.exists() else "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalLockedError(
                f"{out} is being written by another export; wait for it, or name another --out"
            ) from None
        except OSError:
            pass  # a network share without locks
        yield stream


def _written(out: Path, stream: BinaryIO) -> _Identities:
    """What a file holds already; a line that is none is nobody's, and goes if it breaks off."""
    found: _Identities = set()
    if not stream.readable():  # a device or a pipe
        return found
    stream.seek(0)
    whole, line = 0, b"\n"
    for line in stream:
        try:
            found.add(identity_of(json.loads(line)))
        except (ValueError, AttributeError, RecursionError):
            if not line.endswith(b"\n"):
                stream.truncate(whole)
                say(f"{out}: cut off its last line, which breaks off in the middle")
                return found
            say(f"{out}: a line that is no JSON is passed over")
        whole += len(line)
    if not line.endswith(b"\n"):
        stream.write(b"\n")
    return found


def _rows(
    settings: Settings,
    library: Library,
    known: Mapping[str, str] | None,
    groups: Sequence[str],
    embeddings: bool,
) -> Iterator[dict[str, Any]]:
    words, people = library.texts.words(), _people(settings, library)
    tags, given = TagDecisions.beside(settings.captions_jsonl), library.tags.given()
    photos_dir = settings.photos_dir.absolute() if settings.photos_dir else None
    for record in _records(settings.captions_jsonl, known):
        content = record.content_sha256 or ""
        found = {
            "picture_tags": _called(given.get(content, ()), tags),
            "text": words.text.get(content),
            "people": people.get(record.rel_path),
        }
        vector = _embedding(library, record) if embeddings else None
        facts = _facts(library, record)
        path = photos_dir / record.rel_path if photos_dir else None
        row = row_of(record, path, facts, groups, vector, found)
        if not groups or row.keys() - set(ALWAYS):
            yield row


def _called(given: Sequence[GivenTag], tags: TagDecisions) -> list[dict[str, Any]]:
    """What 'tag' gave a picture, the surest first, each once as it is called now."""
    found: dict[str, dict[str, Any]] = {}
    for category, tag, confidence in given:
        if (name := tags.name(tag)) is not None:
            row = {"tag": name, "category": category, "confidence": confidence}
            found.setdefault(tag_key(name), row)
    return list(found.values())


def _records(journal: Path, known: Mapping[str, str] | None) -> Iterator[Record]:
    """The captions by the photos' names, and records without one of what else is known.

    Args:
        known: the contents of all files that library.db knows; None: captions alone are wanted.
    """
    captions: Iterator[Record] = iter(())
    captioned, contents = set[str](), dict[str, str | None](known or {})
    if journal.exists():
        index = index_of(journal)
        tags = TagDecisions.beside(journal)
        captioned = {entry.rel_path for entry in index.captions()}
        captions = map(tags.applied, read_captions(journal, index, placeholders=True))
        if known is not None:
            tried = {path: entry.content_sha256 for path, entry in index.entries.items()}
            contents = tried | contents
    others = (
        Record(rel_path=path, caption=None, status=Status.SUCCESS, content_sha256=contents[path])
        for path in sorted(contents.keys() - captioned)
    )
    return merge(captions, others, key=lambda record: record.rel_path)


def _people(settings: Settings, library: Library) -> dict[str, list[str]]:
    if not settings.people_path.exists():
        return {}
    named = named_faces(overview(library, decisions_of(settings)))
    return {path: [name for name, _ in faces] for path, faces in named.items()}


def _facts(library: Library, record: Record) -> PhotoFacts | None:
    found = None
    if record.size is not None and record.mtime_ns is not None:
        found = library.facts.of_file(record.rel_path, record.size, record.mtime_ns)
    if found is None and record.content_sha256 is not None:
        found = library.facts.of_content(record.rel_path, record.content_sha256)
    return found


def _embedding(library: Library, record: Record) -> tuple[str, list[float]] | None:
    identities = library.identities()
    if record.content_sha256 is None:
        return None
    for identity in sorted(identities, key=lambda name: -identities[name]):
        known, vectors = library.vectors(identity, [record.content_sha256])
        if known[0]:
            return identity, [round(float(value), 6) for value in vectors[0]]
    return None


def _write_lines(
    rows: Iterator[dict[str, Any]], stream: TextIO, before: set[tuple[str, ...]]
) -> int:
    number = 0
    for row in rows:
        if identity_of(row) not in before:
            stream.write(json.dumps(row) + "\n")
            number += 1
    return number


def _write_csv(rows: Iterator[dict[str, Any]], stream: TextIO) -> int:
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(SPREADSHEET)
    number = 0
    for row in rows:
        values = {**row, "tags": BETWEEN_TAGS.join(map(str, row.get("tags") or ()))}
        given = [tag["tag"] for tag in row.get("picture_tags", ())]
        values["picture_tags"] = BETWEEN_TAGS.join(given)
        writer.writerow(cell(str(values.get(name, ""))) for name in SPREADSHEET)
        number += 1
    return number


def import_edits(flags: Flags, file: Path, *, dry_run: bool) -> int:
    """Take over what a human changed in a spreadsheet."""
    outcome: Counter[str] = Counter()
    who = _who()
    tags = TagDecisions.beside(existing_journal(flags))

    with open_journal(existing_journal(flags)) as journal:
        names = {cell(path): path for path in journal.index.entries}
        for row in list(read_edits(file, names, flags.encoding)):
            entry = journal.index.caption(row["rel_path"])
            if entry is None:
                outcome["unknown"] += 1
                say(f"{row['rel_path']}: the journal has no caption of it; passed over")
                continue
            changed = partial(_edited, tags=tags, row=row, who=who)
            _keep(journal, entry, changed, outcome, dry_run)
    _tell_edits(outcome, dry_run=dry_run)
    return ExitCode.DONE


def _edited(record: Record, tags: TagDecisions, row: dict[str, Any], who: str) -> Record | None:
    """Compared with what `export` wrote, which calls tags as they are called now."""
    return edited(tags.applied(record), row, who, cell)


def accept_captions(flags: Flags, paths: Sequence[str]) -> int:
    """Make captions a human's own, so that no later run replaces them."""
    return _decide(flags, paths, lambda record, who: human(record, who))


def reject_captions(flags: Flags, paths: Sequence[str], reason: str) -> int:
    """Take captions back; the photos are pending again."""
    return _decide(flags, paths, lambda record, who: rejected(record, reason, who))


def _decide(flags: Flags, paths: Sequence[str], decision: Callable[[Record, str], Record]) -> int:
    who, outcome = _who(), Counter[str]()
    photos_dir = flags.settings().photos_dir
    with open_journal(existing_journal(flags)) as journal:
        entries = [journal.index.caption(_named(path, photos_dir, journal)) for path in paths]
        for path, entry in zip(paths, entries, strict=True):
            if entry is None:
                raise UsageError(f"the journal has no caption of {path}")
        for entry in filter(None, entries):
            _keep(journal, entry, lambda record: decision(record, who), outcome, dry_run=False)
    _tell_edits(outcome, dry_run=False)
    return ExitCode.DONE


def _named(path: str, photos_dir: Path | None, journal: Journal) -> str:
    """The photo's name in the journal, be it given so or as a path."""
    if path in journal.index.entries or photos_dir is None:
        return path
    return below(photos_dir, path) or path


def _keep(
    journal: Journal,
    entry: Entry,
    changed: Callable[[Record], Record | None],
    outcome: Counter[str],
    dry_run: bool,
) -> None:
    new = changed(journal.read_record(entry))
    if new is None:
        outcome["unchanged"] += 1
        return
    if not dry_run:
        journal.append(new)
    outcome["changed"] += 1
    show(new.rel_path, new.caption or "(taken back)")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for this user
        return "somebody"


def _tell_edits(outcome: Counter[str], *, dry_run: bool) -> None:
    would = " would be" if dry_run else ""
    say(
        f"{count(outcome['changed'], 'caption')}{would} changed, {outcome['unchanged']:,} as before"
    )
