"""`run`: who gets the photos, what of them and at what price; then caption what is pending."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.batch.ledger import JobState, read_jobs
from picture_captioner.cli.commands.compose import check_ceilings, edge_for, prices_for, workers_for
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.commands.pending import (
    Task,
    leave,
    leave_out_copies_of_what_is_out,
    named,
    with_pending,
)
from picture_captioner.cli.commands.photos import read_files_beside
from picture_captioner.cli.commands.rules import hears_context
from picture_captioner.cli.commands.summary import exit_code, tell_summary
from picture_captioner.cli.interrupts import note_signals
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import dollars, say
from picture_captioner.config import LOOP_VARIABLE
from picture_captioner.declaration import declared
from picture_captioner.errors import (
    BackendUnavailableError,
    ExitCode,
    FatalError,
    LibraryError,
    UsageError,
    count,
)
from picture_captioner.journal.reading import read_again
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.decoding.decode_ahead import decoder_here
from picture_captioner.pipeline.decoding.decoder import default_decoders
from picture_captioner.pipeline.forecast import as_billed, asked_alike, dearest
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary, FactsOnTheWay
from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
from picture_captioner.pipeline.recording.outcomes import Outcomes, Silent
from picture_captioner.pipeline.runner import CaptionRun, RunOptions
from picture_captioner.pipeline.selecting.hints import Context
from picture_captioner.pipeline.selecting.selection import find_sources
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage
from picture_captioner.pipeline.work_queue import WorkQueue

_log = logging.getLogger("caption.run")

LOOKED_AT = 50
"""Photos among which one is looked for of which every kind is known."""


def available_backends(task: Task) -> list[ChosenBackend]:
    """The backends that can be asked, each with its prices; one that is down is left out aloud.

    Raises:
        FatalError: none is available, or one is not set up: a key, a model, a price is missing.
    """
    identities = task.rules.chain
    chosen_backends: list[ChosenBackend] = []
    down: list[BackendUnavailableError] = []
    for backend, identity in zip(task.backends, identities, strict=True):
        prices = prices_for(backend, task.settings)
        check_ceilings(backend, task.settings, prices)
        if backend is not task.backends[0]:
            say(f"Fallback: {named(backend)}", always=True)
        was_free = backend.free
        try:
            with_models(backend.check, task.settings.models_dir)
        except BackendUnavailableError as error:
            down.append(error)
            if len(task.backends) > 1:
                say(f"{ChosenBackend(backend, identity, prices)} is left out: {error}")
            continue
        if was_free and not backend.free:  # a local server that passes photos on said so only now
            prices = prices_for(backend, task.settings)
            check_ceilings(backend, task.settings, prices)
        heard = hears_context(backend, task.backends[0])
        chosen_backends.append(ChosenBackend(backend, identity, prices, heard))
    if not chosen_backends:
        raise down[0]
    return chosen_backends


def price_in_words(
    backend: CaptionBackend,
    prices: Prices,
    edge: int,
    billed: float | None,
    photos: int,
    estimate: str,
) -> str:
    """The price of so many photos; no header is read for it.

    Args:
        edge: longer side in pixels; every photo is taken for one of that size.
        billed: US dollars a photo so far, by the journal.
        estimate: the command that says more of a price that is unknown.
    """
    if prices.free:
        return "free"
    if billed is not None:
        return f"about {dollars(billed * photos)}, as billed so far"
    each = dearest(backend.expected_tokens, edge, prices)
    if each is not None:
        return f"at most about {dollars(each * photos)}"
    if prices.known:
        return f"cost unknown, since nothing says how many tokens a photo takes ('{estimate}')"
    if prices.batch and prices.own:
        return 'price unknown, since the price file says no "batch_share"'
    return f"price unknown ('{estimate}' says why)"


def how_many_are_sent(
    task: Task, photos: Sequence[Photo], sources: Container[int]
) -> tuple[int, str]:
    """How many leave in any case, and a clause on the others: copies, moved photos, RAW files."""
    paths = {photo.rel_path for photo in photos}
    raws = {raw for raw, leader in task.shots.items() if leader.rel_path in paths}
    sent = sum(photo.size not in sources and photo.rel_path not in raws for photo in photos)
    if sent == len(photos):
        return sent, ""
    own = f"of {len(photos) - sent:,} more the caption of a copy or of the same shot is taken"
    return sent, f"; {own}, if there is one"


def announce(
    chosen_backends: Sequence[ChosenBackend], task: Task, edge: int, sources: Container[int]
) -> None:
    """Say who is about to receive the photos and at what price, before the first one."""
    photos = task.portion.photos
    first, *others = chosen_backends
    sent = what_is_sent(task, first)
    if reasons := len(task.hints.reasons):
        sent = f"{sent}, and the reasons against {count(reasons, 'caption')} of these"
    if first.backend.destination:
        alike = asked_alike(task.journal.index.entries.values(), first.identity)
        so_far = as_billed(read_again(task.journal.path, alike), first.prices)
        billed = so_far.cost_usd if so_far else None
        estimate = same_photos(task.flags, "estimate")
        number, others_are = how_many_are_sent(task, photos, sources)
        price = price_in_words(first.backend, first.prices, edge, billed, number, estimate)
        say(
            f"Sending {count(number)} to {first.backend.destination}: {sent}; {price}{others_are}",
            always=True,
        )
    for chosen in others:
        to = chosen.backend.destination or "no other machine"
        without = "" if chosen.hears_context or not task.hints.context else ", without the facts"
        say(f"What that cannot caption goes to {to} ({chosen}){without}", always=True)
    about = {"backend": first.backend.name, "model": first.backend.settings.model}
    _log.info("run started", extra={"event": "run_started", **about, "photos": len(photos)})


def what_is_sent(task: Task, first: ChosenBackend) -> str:
    """What leaves of each photo, in words; an example of its facts is told, if any leave."""
    photos = task.portion.photos
    sent = "pixels and the prompt, no names, no metadata"
    tags = task.hints.with_context(None)
    if hinted := sum(bool(tags.tags(photo.rel_path, None)) for photo in photos):
        sent = f"pixels, the prompt and the hints of {hinted:,}, no names, no metadata"
    elif tags:
        sent = "pixels, the prompt and hints, no names, no metadata"
    if context := task.hints.context:
        sent = f"pixels, the prompt and facts ({', '.join(context.kinds)}), no other metadata"
        if first.hears_context:
            tell_context(context, task.library, task.photos_dir, photos, first.backend.destination)
    return sent


def tell_context(
    context: Context,
    library: DispensableLibrary | None,
    photos_dir: Path,
    photos: Sequence[Photo],
    destination: str | None,
) -> None:
    """One line: the kinds, the host, and what is told of one of these photos."""
    kinds, to = ", ".join(context.kinds), destination or "the model on this machine"
    example, told = "", dict[str, str]()

    def facts_of(photo: Photo) -> PhotoFacts | None:
        seen = (photo.rel_path, photo.size, photo.mtime_ns)
        return (
            library.ask(lambda known: known.facts.of_file(*seen), None)
            if library is not None
            else None
        )

    if library is not None and not facts_of(photos[0]):
        stages = [NormalizeStage(), MetadataStage()]
        one = photos[:1]
        library.ask(
            lambda known: process_photos(
                photos_dir, one, known, stages, Silent(), PassOptions(decoders=1)
            ),
            None,
        )
    for photo in photos[:LOOKED_AT]:
        facts = facts_of(photo)
        content = facts.content_sha256 if facts is not None else None
        found = {fact.kind: str(fact) for fact in context.told(photo.rel_path, content)}
        if len(found) > len(told):
            example, told = photo.rel_path, found
    shown = "; ".join(f'{kind} "{value}"' for kind, value in told.items()) or "nothing"
    of = f"of {example}" if example else "of the first photos"
    say(f"Telling {to} of each photo what is known of: {kinds}. For instance, {of}: {shown}",
        always=True)  # fmt: skip


def run_options(task: Task) -> RunOptions:
    """How the photos are decoded and sent; what lies beside them is read here."""
    settings, library = task.settings, task.library
    if library is not None:
        try:
            library.check_room()
            known, journal = library.library, settings.captions_jsonl
            read_files_beside(task.photos_dir, task.portion.photos, known, journal)
        except LibraryError as error:
            say(f"{error}. The files beside the photos are not read")
    decoders = default_decoders()
    if task.engine is not None:
        within = None if settings.follow_links else task.photos_dir
        decoders = task.engine.place_decoders(within)
    return RunOptions(
        photos_dir=task.photos_dir,
        workers=workers_for(task.backends[0], settings),
        decoders=min(settings.decode_workers or decoders, len(task.portion.photos)),
        edge=edge_for(task.backends, settings),
        dry_run=task.flags.dry_run,
        accept_truncated=task.flags.accept_truncated,
        patience=task.settings.patience,
        root=task.root,
        facts=FactsOnTheWay(library, at_once=task.hints.context is not None) if library else None,
        follow_links=settings.follow_links,
        shots=task.shots,
        read=library.lines_read if library else lambda _: None,
        make_decoder=task.engine.decoders.for_thread if task.engine is not None else decoder_here,
        # A clock that is set back would make what the loop did look older than its --since.
        not_before=task.rules.since if LOOP_VARIABLE in os.environ else None,
    )


def run_captions(flags: RunFlags) -> int:
    """Caption what is pending; returns the exit code.

    Raises:
        UsageError: flags of batch jobs without --batch, or such as do not go with it.
    """
    if not flags.batch:
        for name in ("min_batch", "job_tokens", "poll", "repair"):
            if getattr(flags, name) != declared(RunFlags)[name].default:
                raise UsageError(f"--{name.replace('_', '-')} goes with --batch")
        return with_pending(flags, caption_pending)
    if flags.dry_run or flags.as_json:
        flag = "--dry-run" if flags.dry_run else "--json"
        raise UsageError(f"--batch and {flag} exclude each other; leave one out")
    from picture_captioner.cli.commands.batch import wait
    from picture_captioner.cli.commands.batch_collect import collect_ended
    from picture_captioner.cli.commands.batch_submit import submit

    while True:
        code = submit(flags)  # goes on where an earlier one was stopped
        if code not in {ExitCode.DONE, ExitCode.CEILING, ExitCode.MORE_TO_DO}:
            return code
        never_made = _never_made(flags)
        if never_made is None:
            return code
        ended = wait(flags)
        if ended != ExitCode.DONE:
            return ended
        # Else its photos are pending, and sent now; a limit would be one for each time.
        if flags.limit is not None or _never_made(flags) == never_made:
            return collect_ended(flags) or code


def _never_made(flags: RunFlags) -> set[str] | None:
    """The jobs that were found out not to be there; None if there is no job at all."""
    jobs = read_jobs(flags.settings().captions_jsonl)
    return {job.id for job in jobs.values() if job.state is JobState.ABANDONED} if jobs else None


@dataclass(frozen=True)
class Sharing:
    """What a worker does that shares the photos with others (engines/)."""

    budget: Budget
    feed: Callable[[WorkQueue], None]
    end: Callable[[], None]
    share_rate: Callable[[Callable[[int], None]], None]
    """Takes what is to be told how many workers share the rate of the service."""


def caption_pending(
    task: Task,
    share: Callable[[Sequence[ChosenBackend], Outcomes, int], Sharing] | None = None,
) -> int:
    """Caption the photos now, one request each.

    Args:
        share: makes what shares them with other workers; without it all are this process's.
    """
    if not task.rules.identity.placeholder and not task.rules.dry_run:
        jobs = read_jobs(task.journal.path)
        photos = leave_out_copies_of_what_is_out(task.portion.photos, jobs, task.photos_dir)
        if not photos:
            leave(task, ExitCode.DONE, abandoned=False)
            return ExitCode.DONE
        task = replace(task, portion=replace(task.portion, photos=photos))
    chosen_backends = available_backends(task)
    journal, portion, reporter = task.journal, task.portion, task.reporter
    outcomes = Outcomes(reporter)
    options = run_options(task)
    sharing = share(chosen_backends, outcomes, options.edge) if share is not None else None
    if sharing is not None:
        options = replace(options, feed=sharing.feed)
    sources = find_sources(portion.photos, journal.index, task.rules, task.photos_dir)
    captioning = CaptionRun(
        chosen_backends,
        journal,
        portion.photos,
        sources,
        task.rules,
        options,
        outcomes,
        sharing.budget if sharing else Budget(task.ceilings, journal.index, reporter.notice),
        task.hints,
    )
    announce(chosen_backends, task, options.edge, sources)
    started = time.monotonic()
    error: FatalError | None = None
    with note_signals(reporter.notice, journal.run_ends) as interrupts:
        reporter.start(len(portion.photos))
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
    tell_summary(task, outcomes, time.monotonic() - started)
    code = exit_code(error, interrupts, outcomes, portion)
    leave(task, code, abandoned=captioning.abandoned)
    return code


def _ended(sharing: Sharing) -> FatalError | None:
    """Let go of the photos that were not done; why that did not work."""
    try:
        sharing.end()
    except FatalError as error:
        return error
    return None
