"""`forget`: photos out of every file and table that this program keeps."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from picture_captioner.batch.ledger import Job, JobLedger, ledger_path, read_jobs
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import count, say, show
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    JournalError,
    NoPhotosError,
    UsageError,
)
from picture_captioner.journal import Journal, Traces, find_traces, forget_in_log, forget_lines
from picture_captioner.library import Library, forget_clean_images
from picture_captioner.writeback import exiftool, undo


def forget_photos(
    flags: Flags, paths: Sequence[str], *, gone: bool, out: Path, dry_run: bool
) -> int:
    """Forget them; the journal goes last, since it says what else there is to find.

    Raises:
        UsageError: no photo was named, or both ways of naming were used.
        NoPhotosError: the photos directory is not there or empty: everything would count as gone.
        JournalError, LibraryError: one file cannot be rewritten; the same command goes on there.
    """
    if gone == bool(paths):
        raise UsageError("name the photos or folders to forget, or give --gone for deleted ones")
    settings = flags.settings()
    forgets = _is_gone(settings) if gone else _is_named(paths, settings)
    if not settings.captions_jsonl.exists():
        raise JournalError(
            f"there is no journal at {settings.captions_jsonl}; name it with --captions-jsonl"
        )
    with Journal(settings.captions_jsonl) as journal:
        for warning in (*journal.repairs, *journal.index.warnings(journal.path.name)):
            say(warning)
        traces = find_traces(journal, forgets)
        jobs = read_jobs(journal.path)
        traces.paths |= {path for job in jobs.values() for path in job.paths if forgets(path)}
        with Library.open(settings.library_home, say) as library:
            library.add_traces(traces, forgets)
            for path in sorted(traces.paths):
                show(path)
            if not traces.paths:
                named = ", ".join(paths) or "photos that are gone"
                say(f"Nothing is known of {named}")
                return ExitCode.DONE
            if dry_run:
                say(f"{count(len(traces.paths))} would be forgotten (nothing done: --dry-run)")
                return ExitCode.DONE
            forget_clean_images(settings.library_path, traces.own_hashes)
            library.forget(traces.paths, traces.own_hashes, traces.own_captions)
        _forget_people(settings, traces)
        exiftool.remove(exiftool.work_folder(journal.path))  # a killed `write` left a copy there
        undo.UndoFile.forget(undo.undo_path(journal.path), traces.paths)
        _forget_in_jobs(journal.path, jobs, traces)
        _forget_elsewhere(out, settings, traces)
        forget_lines(journal, traces)
    _tell(traces, settings.photos_dir, out)
    return ExitCode.DONE


def _is_gone(settings: Settings) -> Callable[[str], bool]:
    photos_dir = settings.photos_dir
    if photos_dir is None:
        raise ConfigurationError("--gone: which photos? Give --photos-dir DIR")
    if not photos_dir.is_dir() or not any(photos_dir.iterdir()):
        raise NoPhotosError(
            f"{photos_dir} is not there or empty, so every photo would count as deleted: is the "
            "disk mounted?"
        )

    def forgets(rel_path: str) -> bool:
        pure = PurePosixPath(rel_path)
        if pure.is_absolute() or ".." in pure.parts or "\0" in rel_path:
            return True  # no photo of this directory; nothing is looked at outside
        return not _lies_in(photos_dir, rel_path)

    return forgets


def _lies_in(photos_dir: Path, rel_path: str) -> bool:
    """Whether there is something of that name, even a link to nothing."""
    try:
        return os.path.lexists(photos_dir / rel_path)
    except (UnicodeEncodeError, ValueError):  # a name that no file can have, or a NUL in it
        return False


def _is_named(names: Sequence[str], settings: Settings) -> Callable[[str], bool]:
    """A photo is named by its path in the photos directory, or by a folder that it is in."""
    wanted = [_in_library(name, settings.photos_dir) for name in names]

    def forgets(rel_path: str) -> bool:
        return any(rel_path == name or rel_path.startswith(f"{name}/") for name in wanted)

    return forgets


def _in_library(name: str, photos_dir: Path | None) -> str:
    if photos_dir is not None and Path(name).is_absolute():
        for root in (photos_dir.absolute(), photos_dir.resolve()):
            if Path(name).is_relative_to(root):
                name = Path(name).relative_to(root).as_posix()
                break
    cleaned = os.path.normpath(name) if name else ""
    if cleaned in {"", "."}:
        raise UsageError(f"forget {name!r}: name a photo or a folder, not all; --gone for deleted")
    return cleaned


def _forget_people(settings: Settings, traces: Traces) -> None:
    """Take the faces in these photos out of what was decided about people."""
    if not settings.people_path.exists():
        return
    from picture_captioner.pipeline.people.people_file import PeopleFile

    PeopleFile.forget(settings.people_path, traces.own_hashes)


def _forget_in_jobs(journal: Path, jobs: Mapping[str, Job], traces: Traces) -> None:
    """Take them out of the batch jobs; an answer that comes for one later is for nobody."""
    JobLedger.forget(ledger_path(journal), traces.paths)
    for job in jobs.values():
        held = len(traces.paths.intersection(job.paths))
        if held and job.is_out and job.remote_id:
            say(
                f"{job.facts.get('host')} still has {count(held)} of them in job {job.id}, until "
                f"it is collected; 'batch cancel {job.id}' stops it",
                always=True,
            )


def _forget_elsewhere(out: Path, settings: Settings, traces: Traces) -> None:
    """The log and the report."""
    try:
        forget_in_log(settings.log_file, traces.needles())
        if any((out / name).exists() for name in _REPORT):
            from picture_captioner.report.forgetting import forget

            for gone in forget(out, traces.paths, traces.own_hashes):
                say(f"Deleted {gone}: it shows them")
    except OSError as error:
        raise JournalError(
            f"cannot rewrite {error.filename}: {error.strerror}; make it writable and run the same "
            "command again"
        ) from error


_REPORT = ("cluster_state.npz", "cluster_report.html", "cluster_report.md", "cluster_export.csv")


def _tell(traces: Traces, photos_dir: Path | None, out: Path) -> None:
    paid = f"{count(traces.requests, 'request')}, {traces.cost_usd:,.4f} USD"
    say(
        f"Forgot {count(len(traces.paths))} ({count(traces.lines, 'line')} of the journal). What "
        f"they had cost is forgotten, too, and counts for no ceiling any more: {paid}"
    )
    there = photos_dir and sum(_lies_in(photos_dir, path) for path in traces.paths)
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
