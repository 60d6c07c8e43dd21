"""`batch submit`: what `run` would caption goes out as jobs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from picture_captioner.batch.following import UNSETTLED, follow, require_no_strangers
from picture_captioner.batch.ledger import Job, JobLedger, read_jobs, to_ask_again
from picture_captioner.batch.service import BatchService, service_for
from picture_captioner.batch.submitting import JobTerms, Submission
from picture_captioner.cli.commands.batch import NO_SERVER, asking, open_ledger, services_of
from picture_captioner.cli.commands.compose import check_ceilings, settings_for
from picture_captioner.cli.commands.pending import Task, leave, with_pending
from picture_captioner.cli.commands.run import (
    available_backends,
    caption_pending,
    how_many_are_sent,
    price_in_words,
    run_options,
    what_is_sent,
)
from picture_captioner.cli.commands.summary import exit_code
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.interrupts import note_signals
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import duration, say, say_all
from picture_captioner.errors import BackendUnavailableError, FatalError, UsageError, count
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes
from picture_captioner.pipeline.runner import CaptionRun, RunOptions
from picture_captioner.pipeline.selecting.selection import Sources, find_sources
from picture_captioner.pipeline.selecting.walk import Photo

_TRIED_LIVE = 3
"""Photos that are asked about one by one, at the most, until one has a caption."""
_NOT_ASKED = frozenset({Outcome.CORRUPT, Outcome.UNREADABLE, Outcome.ELSEWHERE, Outcome.COPIED})
"""How a photo leaves that trial without a question."""


def submit(flags: RunFlags) -> int:
    """Send what is pending; a few photos are captioned at once instead.

    Raises:
        FatalError: it cannot start, or had to stop; what was sent is in the ledger.
    """
    flags = _for_files(flags) if flags.to_files else flags
    _find_out(flags)
    flags = replace(flags, again=to_ask_again(read_jobs(flags.settings().captions_jsonl)))
    return with_pending(
        flags, lambda task: _submit(_without_raw_of_a_shot(task)), name="batch submit"
    )


def _find_out(flags: RunFlags) -> None:
    """Ask what became of jobs whose creation nobody confirmed: the photos of none are sent.

    Only the provider that gets the new jobs is asked: others may have no key any more.

    Raises:
        FatalError: the provider cannot be asked.
    """
    settings = settings_for(flags)

    def unsettled(job: Job) -> bool:
        return job.state in UNSETTLED and job.facts.get("backend") == settings.backend

    if not any(map(unsettled, read_jobs(settings.captions_jsonl).values())):
        return
    with open_ledger(settings) as ledger:
        for service, _ in services_of(flags, settings, ledger, unsettled):
            with asking(service):
                follow(service, ledger, say)


def _without_raw_of_a_shot(task: Task) -> Task:
    """Leave out RAW files whose photo of the same shot is sent: the next run copies its caption."""
    paths = {photo.rel_path for photo in task.portion.photos}
    waiting = {raw for raw, leader in task.shots.items() if leader.rel_path in paths}
    photos = [photo for photo in task.portion.photos if photo.rel_path not in waiting]
    if left := len(task.portion.photos) - len(photos):
        say(f"{count(left, 'RAW file')} to wait for the caption of the photo taken with them")
    return replace(task, portion=replace(task.portion, photos=photos))


def _for_files(flags: RunFlags) -> RunFlags:
    """The flags with an address that is never asked, since the backend wants one.

    Raises:
        UsageError: no model is named, or a backend whose requests vLLM would not understand.
    """
    settings = flags.settings()
    if settings.backend != "compatible" or not settings.model:
        raise UsageError("--to-files goes with --backend compatible and --model NAME")
    return replace(flags, given={"base_url": NO_SERVER, **flags.given})


def _submit(task: Task) -> int:
    backend, photos, folder = task.backends[0], task.portion.photos, task.flags.to_files
    service = service_for(backend, folder)
    least = service.limits.least
    least = max(task.flags.min_batch, least + 1 if least > 1 else 1)  # one is asked about at once
    if folder is None and len(photos) < least:
        say(
            f"{count(len(photos))}: fewer than --min-batch {least}, so they are "
            "asked about one at a time, at the usual price",
            always=True,
        )
        return caption_pending(task)
    with JobLedger.beside(task.journal.path) as ledger, contextlib.closing(service):
        say_all(ledger.repairs, ledger.warnings())
        with asking(service):
            service.check()
            follow(service, ledger, say)
            require_no_strangers(service, ledger)
        return _send(task, service, ledger)


def _send(task: Task, service: BatchService, ledger: JobLedger) -> int:
    if task.flags.to_files is None:
        chosen = available_backends(task)[0]
    else:  # nobody is asked, and nothing is paid
        prices = Prices(None, task.backends[0].settings.model, free=True)
        chosen = ChosenBackend(task.backends[0], task.rules.identity, prices)
    outcomes, options = Outcomes(task.reporter), run_options(task)
    started = time.monotonic()
    error: FatalError | None = None
    submission: Submission | None = None
    with note_signals(task.reporter.notice, task.journal.run_ends) as interrupts:
        try:
            rest = _learn(task, ledger, chosen, replace(options, facts=None), outcomes)
            sources = find_sources(rest, task.journal.index, task.rules, task.photos_dir)
            submission = Submission(
                service,
                chosen,
                task.journal,
                ledger,
                rest,
                sources,
                task.rules,
                options,
                outcomes,
                task.hints,
                _terms(task, chosen),
            )
            if rest:
                _announce(task, service, chosen, rest, options.edge, sources)
            task.reporter.start(len(task.portion.photos))
            submission.run(interrupts.requested)
        except FatalError as stopped:
            error = stopped
        finally:
            task.reporter.close()
    _tell(outcomes, len(task.portion.photos), time.monotonic() - started)
    if submission and submission.made:
        _tell_next(task.flags, len(submission.made))
    elif outcomes.settled == len(task.portion.photos) and not outcomes.counts[Outcome.CAPTIONED]:
        say("Nothing to do: no photo was left to ask about, so no job was made")
    code = exit_code(error, interrupts, outcomes, task.portion)
    leave(task, code, abandoned=submission is not None and submission.abandoned)
    return code


def _learn(
    task: Task, ledger: JobLedger, chosen: ChosenBackend, options: RunOptions, outcomes: Outcomes
) -> Sequence[Photo]:
    """Caption a photo at once, which shows what the model takes; what is left for the job.

    A field that the model refuses would fail 50,000 photos half a day later. One that may be a copy
    of a photo in a job, or was moved, is not taken; one that cannot be decoded proves nothing.
    """
    photos = task.portion.photos
    if task.flags.to_files is not None:
        return photos
    out = [sent for sent in ledger.jobs().values() if sent.is_out]
    sizes = {photo.size for sent in out for photo in sent.photos.values()}
    sources = find_sources(photos, task.journal.index, task.rules, task.photos_dir)
    candidates = [photo for photo in photos if photo.size not in sizes | sources.keys()]
    if not candidates:
        return photos
    say(
        f"First {count(1)} is asked about at once, at the usual price: a job must not fail on a "
        "setting that the model does not take"
    )
    done: set[Photo] = set()
    for photo in candidates:
        live = CaptionRun(
            [chosen],
            task.journal,
            [photo],
            {},
            task.rules,
            replace(options, workers=1, decoders=1),
            outcomes,
            Budget(task.ceilings, task.journal.index),
            task.hints,
        )
        live.run()
        done.add(photo)
        asked = outcomes.counts.total() - sum(outcomes.counts[o] for o in _NOT_ASKED)
        if outcomes.counts[Outcome.CAPTIONED] or asked >= _TRIED_LIVE:
            break
    if asked and not outcomes.counts[Outcome.CAPTIONED]:
        raise BackendUnavailableError(
            f"none of the first {count(asked)} got a caption, so no job was made; 'caption.py run "
            "--limit 20' shows more"
        )
    return [photo for photo in photos if photo not in done]


def _terms(task: Task, chosen: ChosenBackend) -> JobTerms:
    """What every job is made with: the question, half the price, and the ceilings for all jobs."""
    settings = chosen.backend.settings
    question: dict[str, object] = {
        "backend": chosen.identity.backend,
        "model": chosen.identity.model,
        "prompt_sha256": chosen.identity.prompt_sha256,
        "prompt": settings.prompt,
        "language": settings.language,
        "fields": list(settings.fields),
        "max_tags": settings.max_tags,
        "vocabulary": list(settings.vocabulary),
        "vocabulary_mode": settings.vocabulary_mode,
    }
    if task.flags.to_files is not None:
        question["folder"] = str(task.flags.to_files.absolute())
    prices = replace(chosen.prices, batch=True)
    check_ceilings(chosen.backend, task.settings, prices)
    ceilings = replace(task.ceilings, reserved_usd=0.0, reserved_requests=0)
    return JobTerms(question, prices, ceilings, task.flags.job_tokens)


def _announce(
    task: Task,
    service: BatchService,
    chosen: ChosenBackend,
    photos: Sequence[Photo],
    edge: int,
    sources: Sources,
) -> None:
    """Say who gets the photos, at what price, when, and how long they are kept there."""
    number, others = how_many_are_sent(task, photos, sources)
    asked = edge, None, number, same_photos(task.flags, "estimate")
    price = price_in_words(chosen.backend, replace(chosen.prices, batch=True), *asked)
    usual = price_in_words(chosen.backend, chosen.prices, *asked)
    if usual != price:  # they are the same where neither is known
        price += f" (the usual price: {usual})"
    limits, sent = service.limits, what_is_sent(task, chosen)
    say(
        f"Sending {count(number)} to {service.host} as batch jobs: {sent}; {price}; "
        f"answered within {limits.answered_within}; "
        f"{service.host} keeps the files {limits.files_kept}{others}",
        always=True,
    )


def _tell(outcomes: Outcomes, photos: int, seconds: float) -> None:
    say(f"{outcomes.settled:,} of {count(photos)} worked through in {duration(seconds)}")
    for outcome in Outcome:
        if number := outcomes.counts[outcome]:
            say(f"  {number:>7,} {outcome}")


def _tell_next(flags: RunFlags, made: int) -> None:
    say(f"Made {count(made, 'job')}. Next:")
    for command, does in (
        ("batch status", "says how far they are"),
        ("batch wait", "waits until they have ended"),
        ("batch collect", "fetches the captions"),
    ):
        say(f"  '{suggested(flags, command)}' {does}")
