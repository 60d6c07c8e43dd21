"""`run`: open the journal, find what is pending, caption it, say what became of it."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.batch.ledger import Job as SentJob
from picture_captioner.batch.ledger import ledger_path, read_jobs, reserved
from picture_captioner.cli.commands.announcement import announce
from picture_captioner.cli.commands.compose import (
    check_ceilings,
    edge_for,
    engine_for,
    make_chain,
    prices_for,
    settings_for,
    workers_for,
)
from picture_captioner.cli.commands.files import photos_dir_of
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.commands.pending import (
    leave_out_copies_of_what_is_out,
    leave_out_what_is_out,
    named,
    require_own_journal,
    reverse_after_a_death,
    shots_of,
    take_raws_of_captions,
    tell_nothing_to_do,
    tell_selection,
)
from picture_captioner.cli.commands.photos import find_photos, read_files_beside
from picture_captioner.cli.commands.rules import (
    hears_context,
    hints_for,
    library_and_context,
    rejected_because,
    rules_for,
)
from picture_captioner.cli.commands.summary import tell_summary
from picture_captioner.cli.interrupts import Interrupts, note_signals
from picture_captioner.cli.logs import configure_logging
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import count, say, say_all
from picture_captioner.config import LOOP_VARIABLE, Settings
from picture_captioner.errors import (
    BackendUnavailableError,
    ExitCode,
    FatalError,
    LibraryError,
    UsageError,
)
from picture_captioner.journal import Journal
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget, Ceilings
from picture_captioner.pipeline.decoding.decode_ahead import decoder_here
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary, FactsOnTheWay
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes
from picture_captioner.pipeline.runner import CaptionRun, RunOptions, default_decoders
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.photos_root import FileId, root_id
from picture_captioner.pipeline.selecting.selection import (
    Batch,
    Selection,
    SelectionRules,
    Stale,
    cut,
    find_sources,
    select,
)
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import WorkQueue

if TYPE_CHECKING:
    from picture_captioner.engines.ray_engine import RayEngine

_log = logging.getLogger("caption.run")


def run_captions(flags: RunFlags) -> int:
    """Caption what is pending; returns the exit code.

    Raises:
        FatalError: the run cannot start, or had to stop.
    """
    if flags.batch:
        from picture_captioner.cli.commands.batch_collect import run_as_jobs

        return run_as_jobs(flags)
    return with_pending(flags, caption_pending)


def with_pending(flags: RunFlags, work: Callable[[Job], int], *, shared: bool = False) -> int:
    """Find what is pending, and have it done by `work`, with the journal open; its exit code.

    Args:
        shared: with other workers, whose journals say as much about what is to be redone; else the
            photos are taken as they come, and in reverse after a run that died.

    Raises:
        FatalError: it cannot start, or had to stop.
    """
    settings = settings_for(flags)
    if LOOP_VARIABLE in os.environ and flags.files_from == "-":
        raise UsageError(
            "--files-from -: run_loop.sh cannot read standard input twice; write the list of "
            "photos to a file"
        )
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
        library, context = library_and_context(
            flags, settings, backends[0], reporter.notice, held, alone=not shared
        )
        if context is not None:
            hints = hints.with_context(context)
            rules = rules_for(flags, backends, hints)
        say_all(journal.repairs, journal.index.warnings(journal.path.name))
        if Stale.CONTENT in rules.stale:
            from picture_captioner.cli.commands.carrying import settle_writes

            settle_writes(settings, photos_dir, journal)
        photos = find_photos(flags, photos_dir, follow_links=settings.follow_links)
        require_own_journal(photos_dir, photos, journal, rules)
        if journal.begun:
            say(f"Beginning a new journal: {journal.path}")
        jobs, shots = read_jobs(journal.path), shots_of(photos, rules)
        selection, in_jobs = _selected(photos, shots, jobs, journal, rules, shared=shared)
        reverse = not shared and reverse_after_a_death(journal, selection)
        tell_selection(selection, backends[0], flags)
        batch = cut(selection, photos, journal.index, rules, flags.limit, flags.restart_every)
        if not batch.photos:
            tell_nothing_to_do(selection, flags, in_jobs=bool(in_jobs))
            return ExitCode.DONE
        journal.run_begins(reverse=reverse)
        reporter.advanced = lambda: _tell_loop(journal)
        job = Job(
            flags=flags,
            settings=settings,
            photos_dir=photos_dir,
            root=root,
            backends=backends,
            hints=hints.with_reasons(rejected_because(journal, batch.photos)),
            rules=rules,
            journal=journal,
            library=library,
            batch=batch,
            reporter=reporter,
            shots=shots,
            engine=engine,
            ceilings=Ceilings(
                settings.max_cost, settings.max_requests, settings.max_photo_cost, *reserved(jobs)
            ),
        )
        try:
            return work(job)
        finally:
            journal.run_ends()
            _tell_loop(journal)


def _close(journal: Journal, error: type[BaseException] | None, *_: object) -> None:
    """Close it; a run that failed before its first record leaves no new journal behind.

    While jobs are out, theirs is kept: what comes back is collected into it.
    """
    if error is not None and not ledger_path(journal.path).exists():
        journal.discard_if_unused()
    journal.close()


def _selected(
    photos: Sequence[Photo],
    shots: Mapping[str, Photo],
    jobs: Mapping[str, SentJob],
    journal: Journal,
    rules: SelectionRules,
    *,
    shared: bool,
) -> tuple[Selection, int]:
    """The photos to be captioned, and how many more are in batch jobs that are out."""
    if shared and rules.redoes:
        selection = Selection(list(photos))
    else:
        selection = select(photos, journal.index, rules)
    take_raws_of_captions(selection, photos, shots, journal.index)
    return selection, leave_out_what_is_out(selection, jobs, shots)


def _tell_loop(journal: Journal) -> None:
    """Write into the file that run_loop.sh named how many records are new.

    It acts on an exit code of 2 only then, since uv and python exit with 2 as well. After each
    photo, because a process that dies says nothing at its end.
    """
    if path := os.environ.get(LOOP_VARIABLE):
        with contextlib.suppress(OSError):  # the loop stops, and says that nothing was recorded
            Path(path).write_text(str(journal.written), encoding="ascii")


@dataclass(frozen=True)
class Job:
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
    batch: Batch
    reporter: ProgressReporter
    shots: dict[str, Photo]
    engine: RayEngine | None
    ceilings: Ceilings


@dataclass(frozen=True)
class Sharing:
    """What a worker does that shares the photos with others (engines/)."""

    budget: Budget
    feed: Callable[[WorkQueue], None]
    end: Callable[[], None]
    share_rate: Callable[[Callable[[int], None]], None]
    """Takes what is to be told how many workers share the rate of the service."""


def caption_pending(
    job: Job,
    share: Callable[[Sequence[ChosenBackend], Outcomes, int], Sharing] | None = None,
) -> int:
    """Caption the photos now, one request each.

    Args:
        share: makes what shares them with other workers; without it all are this process's.
    """
    if not job.rules.identity.placeholder and not job.rules.dry_run:
        jobs = read_jobs(job.journal.path)
        photos = leave_out_copies_of_what_is_out(job.batch.photos, jobs, job.photos_dir)
        if not photos:
            leave(job, ExitCode.DONE, abandoned=False)
            return ExitCode.DONE
        job = replace(job, batch=replace(job.batch, photos=photos))
    chosen_backends = available_backends(job)
    flags, journal, batch = job.flags, job.journal, job.batch
    reporter = job.reporter
    outcomes = Outcomes(reporter)
    options = run_options(job)
    sharing = share(chosen_backends, outcomes, options.edge) if share is not None else None
    if sharing is not None:
        options = replace(options, feed=sharing.feed)
    captioning = CaptionRun(
        chosen_backends,
        journal,
        batch.photos,
        find_sources(batch.photos, journal.index, job.rules, job.photos_dir),
        job.rules,
        options,
        outcomes,
        Budget(job.ceilings, journal.index) if sharing is None else sharing.budget,
        job.hints,
    )
    announce(chosen_backends, job, options.edge)
    started = time.monotonic()
    error: FatalError | None = None
    with note_signals(reporter.notice, journal.run_ends) as interrupts:
        reporter.start(len(batch.photos))
        try:
            if sharing is not None:
                sharing.share_rate(captioning.share_rate)
            captioning.run(interrupts.requested)
        except FatalError as stopped:
            error = stopped
        finally:
            reporter.close()
            if sharing is not None:
                error = _ended(sharing) or error
    tell_summary(outcomes, journal, job.backends[0], flags, batch, time.monotonic() - started)
    code = exit_code(error, interrupts, outcomes, batch)
    leave(job, code, abandoned=captioning.abandoned)
    return code


def _ended(sharing: Sharing) -> FatalError | None:
    """Let go of the photos that were not done; why that did not work."""
    try:
        sharing.end()
    except FatalError as error:
        return error
    return None


def leave(job: Job, code: int, *, abandoned: bool) -> None:
    """Close what is open; ends the process where something still hangs."""
    if abandoned:
        for backend in job.backends:
            backend.abandon()
        job.journal.run_ends()
        if job.engine is not None:
            job.engine.close()
        logging.shutdown()
        os._exit(code)  # a request that hangs must not keep the process from ending
    for backend in job.backends:
        backend.close()


def available_backends(job: Job) -> list[ChosenBackend]:
    """The backends that can be asked, each with its prices; one that is down is left out aloud.

    Raises:
        FatalError: none is available, or one is not set up: a key, a model, a price is missing.
    """
    identities = job.rules.chain
    chosen_backends: list[ChosenBackend] = []
    down: list[BackendUnavailableError] = []
    for backend, identity in zip(job.backends, identities, strict=True):
        prices = prices_for(backend, job.settings)
        check_ceilings(backend, job.settings, prices)
        if backend is not job.backends[0]:
            say(f"Fallback: {named(backend)}", always=True)
        was_free = backend.free
        try:
            with_models(backend.check, job.settings.models_dir)
        except BackendUnavailableError as error:
            down.append(error)
            if len(job.backends) > 1:
                say(f"{ChosenBackend(backend, identity, prices)} is left out: {error}")
            continue
        if was_free and not backend.free:  # a local server that passes photos on said so only now
            prices = prices_for(backend, job.settings)
            check_ceilings(backend, job.settings, prices)
        heard = hears_context(backend, job.backends[0])
        chosen_backends.append(ChosenBackend(backend, identity, prices, heard))
    if not chosen_backends:
        raise down[0]
    return chosen_backends


def run_options(job: Job) -> RunOptions:
    """How the photos are decoded and sent; what lies beside them is read here."""
    settings, library = job.settings, job.library
    if library is not None:
        try:
            library.check_room()
            known, journal = library.library, settings.captions_jsonl
            read_files_beside(job.photos_dir, job.batch.photos, known, journal)
        except LibraryError as error:
            say(f"{error}. The files beside the photos are not read")
    decoders = default_decoders()
    if job.engine is not None:
        within = None if settings.follow_links else job.photos_dir
        decoders = job.engine.place_decoders(within)
    return RunOptions(
        photos_dir=job.photos_dir,
        workers=workers_for(job.backends[0], settings),
        decoders=min(settings.decode_workers or decoders, len(job.batch.photos)),
        edge=edge_for(job.backends, settings),
        dry_run=job.flags.dry_run,
        accept_truncated=job.flags.accept_truncated,
        patience=job.settings.patience,
        root=job.root,
        facts=FactsOnTheWay(library, at_once=job.hints.context is not None) if library else None,
        follow_links=settings.follow_links,
        shots=job.shots,
        read=library.lines_read if library else lambda _: None,
        make_decoder=job.engine.decoders.for_thread if job.engine is not None else decoder_here,
    )


def exit_code(
    error: FatalError | None, interrupts: Interrupts, outcomes: Outcomes, batch: Batch
) -> int:
    """What the process says of how it ended; an error is told."""
    if error is not None:
        say(str(error), always=True)
        return interrupts.exit_status or error.exit_code
    if interrupts.exit_status is not None:
        return interrupts.exit_status
    if unproved := outcomes.counts[Outcome.WITHHELD]:
        say(f"The service failed for the last {count(unproved)}; run again when it is up")
        return ExitCode.UNAVAILABLE
    return ExitCode.MORE_TO_DO if batch.left_by_restart else ExitCode.DONE
