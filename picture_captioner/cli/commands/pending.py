"""Which photos a run takes, and the journal that is open meanwhile: for `run`, `work`, `batch`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.batch.ledger import (
    Job,
    lacks_photos,
    ledger_path,
    not_out,
    photos_out,
    read_jobs,
    reserved,
)
from picture_captioner.cli.commands.compose import engine_for, make_chain, settings_for
from picture_captioner.cli.commands.files import (
    photos_dir_of,
    require_the_loops_journal,
    tell_loop,
)
from picture_captioner.cli.commands.gone import tell_missing
from picture_captioner.cli.commands.photos import find_photos, known_as_a_part
from picture_captioner.cli.commands.rules import (
    hints_for,
    library_and_context,
    rejected_because,
    rules_for,
)
from picture_captioner.cli.commands.summary import show_counts
from picture_captioner.cli.logs import configure_logging
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import say, say_all
from picture_captioner.config import LOOP_VARIABLE, Settings
from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    JournalError,
    PhotoError,
    Status,
    UnreadableFileError,
    UsageError,
    count,
)
from picture_captioner.image_loader.formats import RAW_EXTENSIONS
from picture_captioner.image_loader.reading import read_file
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.spending import Ceilings
from picture_captioner.pipeline.dedup import find_shots
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.photos_root import FileId, root_id
from picture_captioner.pipeline.selecting.selection import (
    Pending,
    Portion,
    SelectionRules,
    Stale,
    cut,
    of_another_library,
    select,
)
from picture_captioner.pipeline.selecting.walk import Photo

if TYPE_CHECKING:
    from picture_captioner.engines.ray_engine import RayEngine


@dataclass(frozen=True)
class Task:
    """What is to be captioned, by whom, where to."""

    flags: RunFlags
    settings: Settings
    photos_dir: Path
    root: FileId
    backends: Sequence[CaptionBackend]
    hints: Hints
    rules: SelectionRules
    journal: Journal
    library: DispensableLibrary | None
    portion: Portion
    reporter: ProgressReporter
    shots: dict[str, Photo]
    engine: RayEngine | None
    ceilings: Ceilings


def with_pending(
    flags: RunFlags, work: Callable[[Task], int], *, shared: bool = False, name: str = "run"
) -> int:
    """Find what is pending, and have it done by `work`, with the journal open; its exit code.

    Args:
        shared: with other workers, whose journals say as much about what is to be redone; else the
            photos are taken as they come, and in reverse after a run that died.
        name: of the command, for what it suggests.
    """
    settings = settings_for(flags)
    _require_a_list_to_read_again(flags)
    photos_dir = photos_dir_of(settings)
    root = root_id(photos_dir)  # before any file is begun
    reporter = ProgressReporter()
    engine = engine_for(flags, photos_dir, reporter.notice)
    backends = make_chain(flags, settings, engine, reporter.notice)
    reporter.status = backends[0].status
    configure_logging(settings.log_file, settings.log_level)
    with engine or nullcontext(), ExitStack() as held:
        hints = hints_for(flags)
        rules = rules_for(flags, backends, hints)  # what makes no sense is told, and no file begun
        journal = Journal(settings.captions_jsonl)
        held.push(partial(_close, journal))
        require_the_loops_journal(journal)
        library, context = library_and_context(
            flags, settings, backends[0], reporter.notice, held, alone=not shared
        )
        if context is not None:
            hints = hints.with_context(context)
            rules = rules_for(flags, backends, hints)
        photos = _photos(flags, settings, photos_dir, journal, rules, name)
        jobs, shots = read_jobs(journal.path), shots_of(photos, rules)
        portion, reverse = _portion(flags, photos, shots, jobs, backends[0], journal, rules, shared)
        if not portion.photos:
            tell_missing(photos_dir, photos, journal.index.entries, flags)
            if flags.as_json:
                show_counts(portion, journal, Outcomes(reporter), 0)
            return ExitCode.DONE
        journal.run_begins(reverse=reverse)
        if LOOP_VARIABLE in os.environ:
            reporter.advanced = partial(tell_loop, journal)
        task = Task(
            flags=flags,
            settings=settings,
            photos_dir=photos_dir,
            root=root,
            backends=backends,
            hints=hints.with_reasons(rejected_because(journal, portion.photos)),
            rules=rules,
            journal=journal,
            library=library,
            portion=portion,
            reporter=reporter,
            shots=shots,
            engine=engine,
            ceilings=Ceilings(
                settings.max_cost, settings.max_requests, settings.max_photo_cost, *reserved(jobs)
            ),
        )
        try:
            return work(task)
        finally:
            journal.run_ends()
            tell_loop(journal)


def _require_a_list_to_read_again(flags: RunFlags) -> None:
    if LOOP_VARIABLE in os.environ and flags.files_from == "-":
        raise UsageError(
            "--files-from -: run_loop.sh cannot read standard input twice; write the list of "
            "photos to a file"
        )


def _photos(
    flags: RunFlags,
    settings: Settings,
    photos_dir: Path,
    journal: Journal,
    rules: SelectionRules,
    name: str,
) -> list[Photo]:
    """The photos that were named, all of which this journal may be about; its faults are told."""
    say_all(journal.repairs, journal.index.warnings(journal.path.name))
    if Stale.CONTENT in rules.stale:
        from picture_captioner.cli.commands.carrying import settle_writes

        settle_writes(settings, photos_dir, journal)
    photos = find_photos(flags, photos_dir, follow_links=settings.follow_links, briefly=False)
    require_own_journal(photos_dir, photos, journal, rules, name)
    if journal.begun:
        say(f"Beginning a new journal: {journal.path}")
    return photos


def _portion(
    flags: RunFlags,
    photos: Sequence[Photo],
    shots: Mapping[str, Photo],
    jobs: Mapping[str, Job],
    backend: CaptionBackend,
    journal: Journal,
    rules: SelectionRules,
    shared: bool,
) -> tuple[Portion, bool]:
    """The photos that are taken now, and whether in reverse; what is passed over is told."""
    if shared and rules.redoes:
        pending = Pending(list(photos))
    else:
        pending = select(photos, journal.index, rules)
    take_raws_of_captions(pending, photos, shots, journal.index)
    in_jobs = leave_out_what_is_out(pending, jobs, shots)
    reverse = not shared and reverse_after_a_death(journal, pending)
    tell_who_is_asked(pending, backend, flags)
    portion = cut(pending, photos, journal.index, rules, flags.limit, flags.restart_every)
    if not portion.photos:
        tell_nothing_to_do(pending, flags, in_jobs=bool(in_jobs))
    return portion, reverse


def _close(journal: Journal, error: type[BaseException] | None, *_: object) -> None:
    """Close it; a run that failed before its first record leaves no new journal behind.

    While jobs are out, theirs is kept: what comes back is collected into it.
    """
    if error is not None and not ledger_path(journal.path).exists():
        journal.discard_if_unused()
    journal.close()


def leave(task: Task, code: int, *, abandoned: bool) -> None:
    """Close what is open; ends the process where something still hangs."""
    if abandoned:
        for backend in task.backends:
            backend.abandon()
        task.journal.run_ends()
        if task.engine is not None:
            task.engine.close()
        logging.shutdown()
        os._exit(code)  # a request that hangs must not keep the process from ending
    for backend in task.backends:
        backend.close()


def shots_of(photos: Sequence[Photo], rules: SelectionRules) -> dict[str, Photo]:
    """RAW files and the photos taken with them; a placeholder costs nothing and is made of each."""
    return {} if rules.identity.placeholder else find_shots(photos, RAW_EXTENSIONS)


def take_raws_of_captions(
    pending: Pending,
    photos: Sequence[Photo],
    shots: Mapping[str, Photo],
    index: JournalIndex,
) -> None:
    """Take RAW files that could not be decoded, too, where another photo of the shot has a caption.

    A dry run, or a run with a placeholder, opened them although nobody needs to.
    """
    taken = {photo.rel_path for photo in pending.photos}
    for photo in photos:
        leader, last = shots.get(photo.rel_path), index.entries.get(photo.rel_path)
        if leader is None or last is None or last.status is not Status.ERROR_CORRUPT:
            continue
        known = index.caption(leader.rel_path)
        captioned = leader.rel_path in taken or (known is not None and is_real(known))
        if captioned and photo.rel_path not in taken:
            pending.photos.append(photo)
            pending.done[Status.ERROR_CORRUPT] -= 1


def leave_out_what_is_out(
    pending: Pending, jobs: Mapping[str, Job], shots: Mapping[str, Photo]
) -> int:
    """Leave out photos in batch jobs that are out, whatever the flags say; how many were pending.

    And the RAW files of them, which get their captions.

    Raises:
        JournalError: the ledger lacks photos of a job, so that they would be paid for twice.
    """
    for job in jobs.values():
        if job.is_out and job.lacking:
            raise JournalError(
                f"{lacks_photos(job)}, or give the job up with 'caption.py batch ignore {job.id}': "
                "its photos are then sent, and paid for, again"
            )
    out = set(photos_out(jobs))
    out.update(raw for raw, leader in shots.items() if leader.rel_path in out)
    left = not_out(pending.photos, out)
    if waiting := len(pending.photos) - len(left):
        told = f"Passing over {count(waiting)} that batch jobs hold; see 'caption.py batch status'"
        say(told, always=True)
    pending.photos[:] = left
    return waiting


def leave_out_copies_of_what_is_out(
    photos: Sequence[Photo], jobs: Mapping[str, Job], photos_dir: Path
) -> list[Photo]:
    """The photos whose bytes no job has: the others get its caption, once it is collected."""
    out = {
        (photo.size, photo.content_sha256)
        for job in jobs.values()
        if job.is_out
        for photo in job.photos.values()
    }
    sizes = {size for size, _ in out}
    left = [p for p in photos if p.size not in sizes or (p.size, _hash(p, photos_dir)) not in out]
    if waiting := len(photos) - len(left):
        say(f"{count(waiting)} to wait: batch jobs have the same photos, whose captions are copied")
    return left


def _hash(photo: Photo, photos_dir: Path) -> str:
    try:
        return read_file(photos_dir / photo.rel_path).content_sha256
    except (UnreadableFileError, PhotoError):
        return ""  # the run says what is wrong with it


def reverse_after_a_death(journal: Journal, pending: Pending) -> bool:
    """Reverse the photos after a run that died; returns whether it was done.

    Whatever that run died of must not meet every run at the same place.
    """
    if not journal.died_running_forward or len(pending.photos) < 2:
        return False
    say(
        "The last run ended without a word (killed, a crash, or the power went): taking the photos "
        "in reverse order, so that no photo holds up every run at the same place"
    )
    pending.photos.reverse()
    return True


def require_own_journal(
    photos_dir: Path,
    photos: Sequence[Photo],
    journal: Journal,
    rules: SelectionRules,
    name: str,
) -> None:
    """Check that what is recorded is of these photos, under the names that they have here.

    Raises:
        ConfigurationError: it seems to be of another library, or of a folder above.
    """
    if part := known_as_a_part(photos_dir, photos, journal.path, journal.index, name):
        raise ConfigurationError(part)
    if rules.force or Stale.CONTENT in rules.stale:
        return  # what is recorded of other files is then superseded
    if differing := of_another_library(photos, journal.index):
        raise ConfigurationError(
            f"the journal {journal.path} seems to be another library's: {differing}. Give this "
            "library one of its own with --captions-jsonl FILE (CAPTIONS_JSONL in config.env), or, "
            "if the files were changed, caption them again with --stale content"
        )


def tell_who_is_asked(pending: Pending, backend: CaptionBackend, flags: RunFlags) -> None:
    """Say how many are done already, and who is asked for the rest."""
    done = pending.done.total()
    if done:
        errors = f", {count(pending.done_errors, 'error')}" if pending.done_errors else ""
        success = done - pending.done_errors
        say(f"Skipping {done:,} already processed ({success:,} success{errors})")
    if flags.dry_run:
        say("Dry run: opening every photo, sending nothing")
    elif backend.placeholder:
        say(
            f"Backend: {backend.name}, {backend.summary}. Its captions are placeholders: a run "
            "with another --backend replaces them"
        )
    else:
        say(f"Backend: {named(backend)}", always=True)


def tell_nothing_to_do(pending: Pending, flags: RunFlags, *, in_jobs: bool) -> None:
    """Say why there is nothing to do, and how what failed before is tried again."""
    done, failed = pending.done, pending.done_errors
    what = "every photo is done"
    if in_jobs:
        what = "all is done but what batch jobs hold"
    elif failed:
        what = f"{count(failed)} failed before, the others are done"
    say(f"Nothing to do: {what}. (--retry-status, --stale and --force redo.)")
    undecodable = done[Status.ERROR_CORRUPT]
    if retried := [str(s) for s in (Status.ERROR_API, Status.ERROR_MODEL) if done[s]]:
        again = same_photos(flags, "run", f"--retry-status={','.join(retried)}", "--retry-only")
        say(f"Next, to try {count(failed - undecodable)} again: {again}")
    if undecodable:
        again = same_photos(flags, "run", "--retry-status=error_corrupt", "--retry-only")
        say(f"{count(undecodable)} cannot be decoded; when they are mended: {again}")


def named(backend: CaptionBackend) -> str:
    """Who is asked, and where: said before the first request, which may carry the key."""
    where = f", at {backend.destination}" if backend.destination else ""
    return f"{backend.name}, model {backend.settings.model}{where}"
