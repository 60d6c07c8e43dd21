"""`forget`: photos out of every file and table that this program keeps."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picture_captioner.batch.ledger import Job, JobLedger, ledger_path, read_jobs
from picture_captioner.cli.commands.files import below, existing_journal, open_journal
from picture_captioner.cli.commands.gone import Gone, lies_in, present_photos_dir
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.terminal import say, show
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, JournalError, UsageError, count
from picture_captioner.journal.forgetting import Traces, find_traces, forget_in_log, forget_lines
from picture_captioner.journal.writing import Journal
from picture_captioner.library.clean_images import forget_clean_images
from picture_captioner.library.store import Library
from picture_captioner.writeback import exiftool, undo


def forget_photos(
    flags: Flags, paths: Sequence[str], *, gone: bool, out: Path, dry_run: bool
) -> int:
    """Forget them; the journal goes last, since it says what else there is to find.

    Raises:
        UsageError: no photo was named, or both ways of naming were used; nothing is known of one
            that was named, which is said when the others are forgotten.
        NoPhotosError: the photos directory is not there or empty: everything would count as gone.
        JournalError, LibraryError: one file cannot be rewritten; the same command goes on there.
    """
    if gone == bool(paths):
        raise UsageError("name the photos or folders to forget, or give --gone for deleted ones")
    settings = flags.settings()
    photos_dir = present_photos_dir(settings) if gone else None
    with open_journal(_journal_or_none_yet(flags)) as journal:
        jobs, entries = read_jobs(journal.path), journal.index.entries
        known = {*entries, *(path for job in jobs.values() for path in job.paths)}
        named = _Named({typed: _in_library(typed, settings.photos_dir, known) for typed in paths})
        is_gone = None
        if photos_dir is not None:
            is_gone = Gone(photos_dir, entries, follow_links=settings.follow_links)
            is_gone.tell_moved(flags)
        with Library.open(settings.library_home, say) as library:
            traces = _find_traces(journal, jobs, library, settings, is_gone or named)
            for path in sorted(traces.paths):
                show(path)
            if is_gone is not None:
                is_gone.tell_unsure(flags)
                if not traces.paths:
                    say("Nothing is known of photos that are gone")
            if traces.paths:
                _tell_what_is_written(flags, settings, traces.paths, dry_run=dry_run)
                if dry_run:
                    _tell_what_is_deleted(out, traces)
                    said = f"{count(len(traces.paths))} would be forgotten"
                    say(f"{said} (nothing done: --dry-run)")
            if dry_run or not traces.paths:
                return named.refuse_unknown(traces.paths)
            undo.UndoFile.forget(undo.undo_path(journal.path), traces.paths)  # is nobody writing?
            forget_clean_images(settings.library_path, traces.own_hashes)
            library.forget(traces.paths, traces.own_hashes, traces.own_captions)
            _forget_people(settings, traces, library)
        exiftool.remove(exiftool.work_folder(journal.path))  # a killed `write` left a copy there
        _forget_in_jobs(journal.path, jobs, traces)
        _forget_elsewhere(flags, out, settings, traces)
        forget_lines(journal, traces)
    _tell(traces, settings.photos_dir, out)
    return named.refuse_unknown(traces.paths)


def _find_traces(
    journal: Journal,
    jobs: Mapping[str, Job],
    library: Library,
    settings: Settings,
    forgets: Callable[[str], bool],
) -> Traces:
    """What the journal, jobs, library and people.jsonl know of the photos to forget."""
    traces = find_traces(journal, forgets)
    traces.paths |= {path for job in jobs.values() for path in job.paths if forgets(path)}
    library.add_traces(traces, forgets)
    files = library.known_files()
    traces.hashes |= _earlier(settings, traces.own_hashes) - {*files.values()}
    stay = {content for path, content in files.items() if path not in traces.paths}
    traces.kept_hashes |= _earlier(settings, stay)  # what is said of them hangs on these
    return traces


def _journal_or_none_yet(flags: Flags) -> Path:
    """The journal; where `people scan` alone was used there is none, and none is left behind."""
    settings = flags.settings()
    path, library = settings.captions_jsonl, settings.library_home
    if isinstance(library, Path) and library.exists() and not path.exists():
        say(f"There is no journal at {path}: forgetting what {library} and the files beside it say")
        return path
    return existing_journal(flags)


@dataclass(frozen=True)
class _Named:
    """Says of a photo, by its path, whether it or a folder that it is in was named.

    `names` has what the journal calls each, by what was typed.
    """

    names: Mapping[str, str]

    def __call__(self, rel_path: str) -> bool:
        return any(_is_at(rel_path, name) for name in self.names.values())

    def refuse_unknown(self, known: Collection[str]) -> int:
        unknown = [
            typed for typed, name in self.names.items() if not any(_is_at(p, name) for p in known)
        ]
        if unknown:
            raise UsageError(
                f"nothing is known of {', '.join(unknown)}: name photos and folders as the journal "
                "does, or give --photos-dir and their paths"
            )
        return ExitCode.DONE


def _is_at(rel_path: str, name: str) -> bool:
    """A photo is named by its path in the photos directory, or by a folder that it is in."""
    return name == "." or rel_path == name or rel_path.startswith(f"{name}/")


def _in_library(typed: str, photos_dir: Path | None, known: Collection[str]) -> str:
    """What the journal calls it, which was typed so, or as a path from here."""
    name = os.path.normpath(typed) if typed else "."
    here = below(photos_dir, name) if photos_dir is not None else None
    if photos_dir is not None and here is not None and here != name:
        by_name, by_path = (any(_is_at(p, one) for p in known) for one in (name, here))
        if by_name and by_path:
            raise UsageError(
                f"{typed} is {here} or {name} in {photos_dir}: give {photos_dir.absolute() / here} "
                f"or {photos_dir.absolute() / name}"
            )
        if by_path or (not by_name and lies_in(photos_dir, here)):
            name = here
    if name == ".":
        raise UsageError(f"forget {typed!r}: name a photo or a folder, not all; --gone for deleted")
    return name


def _tell_what_is_written(
    flags: Flags, settings: Settings, paths: Collection[str], *, dry_run: bool
) -> None:
    """Say which files hold words of ours that only the undo lines can take out."""
    path = undo.undo_path(settings.captions_jsonl)
    if not path.exists():
        return
    last = {row["id"]: row for row in undo.UndoFile.read(path)[0]}.values()
    rows = [row for row in undo.UndoFile.of_photos(last, paths) if not row.get("undone")]
    where = settings.photos_dir
    rows = [r for r in rows if lies_in(where or Path(str(r.get("photos_dir", ""))), r["path"])]
    if not rows:
        return
    written = sorted({row["path"] for row in rows})
    runs = sorted({str(row["run"]) for row in rows})
    which = f"--run={runs[0]}" if len(runs) == 1 else "--list"
    command = suggested(flags, "undo", which)
    some = ", ".join(written[:3]) + (", ..." if len(written) > 3 else "")
    holds = f"{count(len(written), 'file')} with what 'caption.py write' put there ({some})"
    if dry_run:
        cannot = "'caption.py undo' cannot take it out when its lines are forgotten"
        say(f"{holds}: {cannot}. First: {command}")
    else:
        cannot = "'caption.py undo' cannot take it out any more"
        say(f"{holds}: left as they are, and {cannot}", always=True)


def _earlier(settings: Settings, hashes: Collection[str]) -> set[str]:
    """The hashes that these photos had when something was decided about the people on them."""
    if not settings.people_path.exists():
        return set()
    from picture_captioner.pipeline.people.people_file import PeopleFile

    return PeopleFile.earlier(settings.people_path, hashes)


def _forget_people(settings: Settings, traces: Traces, library: Library) -> None:
    """Take the faces in these photos, and who is on no other, out of what was decided."""
    if not settings.people_path.exists():
        return
    from picture_captioner.pipeline.people.people_file import PeopleFile

    shown = {face.person for face in library.faces.placed() if face.person}
    PeopleFile.forget(settings.people_path, traces.own_hashes, shown)


def _forget_in_jobs(journal: Path, jobs: Mapping[str, Job], traces: Traces) -> None:
    """Take them out of the batch jobs; an answer that comes for one later is for nobody."""
    JobLedger.forget(ledger_path(journal), traces.paths)
    for job in jobs.values():
        held = len(traces.paths.intersection(job.paths))
        if held and job.is_out and job.remote_id:
            say(
                f"{job.facts.get('host')} still has {count(held)} of them in job {job.id}, until "
                f"it is collected; 'caption.py batch cancel {job.id}' stops it",
                always=True,
            )


def _forget_elsewhere(flags: Flags, out: Path, settings: Settings, traces: Traces) -> None:
    """The log and the report."""
    try:
        forget_in_log(settings.log_file, traces)
        if any((out / name).exists() for name in _REPORT):
            from picture_captioner.report.forgetting import forget

            deleted = forget(out, traces.paths, traces.own_hashes)
            for gone in deleted:
                say(f"Deleted {gone}: it is about them")
            if deleted:
                again = suggested(flags, "report", f"--out={out}")
                say(f"To make the report again without them: {again}")
    except OSError as error:
        raise JournalError(
            f"cannot rewrite {error.filename}: {error.strerror}; make it writable and run the same "
            "command again"
        ) from error


def _tell_what_is_deleted(out: Path, traces: Traces) -> None:
    """Say which files of the report would go; without a report nothing of it is loaded."""
    if any((out / name).exists() for name in _REPORT):
        from picture_captioner.report.forgetting import about

        for file in about(out, traces.paths, traces.own_hashes):
            say(f"{file} would be deleted: it is about them")


_REPORT = ("cluster_state.npz", "cluster_report.html", "cluster_report.md", "cluster_export.csv")


def _tell(traces: Traces, photos_dir: Path | None, out: Path) -> None:
    paid = f"{count(traces.requests, 'request')}, {traces.cost_usd:,.4f} USD"
    say(
        f"Forgot {count(len(traces.paths))} ({count(traces.lines, 'line')} of the journal). What "
        f"they had cost is forgotten, too, and counts for no ceiling any more: {paid}"
    )
    there = photos_dir and sum(lies_in(photos_dir, path) for path in traces.paths)
    if there:
        say(
            f"{count(there, 'file')} of them still {'lies' if there == 1 else 'lie'} in "
            f"{photos_dir}, untouched: the next run captions what is there, unless it is deleted "
            "or left out (--exclude)"
        )
    say(
        f"Reports in other folders than {out}, copies of the journal and backups were not "
        "looked at; merging such a copy brings the photos back"
    )
