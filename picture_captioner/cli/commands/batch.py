"""`batch status`, `wait`, `cancel`, `list`, `adopt`, `ignore`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.batch.following import follow, jobs_at
from picture_captioner.batch.ledger import Job, JobLedger, JobState, add_up, ledger_path, read_jobs
from picture_captioner.batch.service import BatchService, service_for
from picture_captioner.cli.commands.compose import make_backend, prices_for, settings_for
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.interrupts import Interrupts, note_signals
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import dollars, say, say_all, show, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import (
    BackendUnavailableError,
    ExitCode,
    TransientError,
    UsageError,
    count,
)
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.recording.outcomes import Outcome

NO_JOBS = "No jobs; 'caption.py batch submit' makes some"

NO_SERVER = "http://localhost:8000/v1"
"""The address of jobs that are files, which nobody asks."""


class OpenService(NamedTuple):
    """A provider with jobs of this journal, and what they cost."""

    service: BatchService
    prices: Prices


@contextlib.contextmanager
def open_ledger(settings: Settings) -> Iterator[JobLedger]:
    """The ledger, held; what is wrong with it is told."""
    with JobLedger.beside(settings.captions_jsonl) as ledger:
        say_all(ledger.repairs, ledger.warnings())
        yield ledger


def no_jobs_yet(flags: Flags, settings: Settings) -> bool:
    """Whether there is no ledger, which is said: only a submit begins one."""
    if ledger_path(settings.captions_jsonl).exists():
        return False
    _show(flags, {})
    return True


def _is_open(job: Job) -> bool:
    return job.state not in {JobState.DELETED, JobState.ABANDONED, JobState.IGNORED}


def services_of(
    flags: RunFlags,
    settings: Settings,
    ledger: JobLedger,
    wanted: Callable[[Job], bool] = _is_open,
) -> Iterator[OpenService]:
    """A service for each provider and model with such jobs: those that are not done with."""
    seen: set[tuple[Any, ...]] = set()
    for job in filter(wanted, ledger.jobs().values()):
        who = job.facts.get("backend"), job.facts.get("model"), job.facts.get("host")
        folder = job.facts.get("folder")
        if who in seen:
            continue
        seen.add(who)
        as_job = flags_as(flags, settings, job)
        if folder:
            as_job = replace(as_job, given={"base_url": NO_SERVER, **as_job.given})
        its_settings = as_job.settings()
        backend = make_backend(as_job, its_settings)
        with (
            contextlib.closing(backend),
            contextlib.closing(service_for(backend, Path(folder) if folder else None)) as service,
        ):
            if service.host != job.facts.get("host"):
                say(
                    f"Job {job.id} is at {job.facts.get('host')}, and {backend.name} is set to "
                    f"{service.host}: passed over; give the --base-url or --option that it was "
                    "submitted with"
                )
                continue
            if not folder:
                backend.check()
            prices = prices_for(backend, its_settings)
            yield OpenService(service, replace(prices, free=True) if folder else prices)


@contextlib.contextmanager
def asking(service: BatchService) -> Iterator[None]:
    """A provider that cannot be asked just now ends the command; nothing is lost by that."""
    try:
        yield
    except TransientError as error:
        raise BackendUnavailableError(
            f"{error}. Nothing is lost: run the same command again when {service.host} is up"
        ) from error


def flags_as(flags: RunFlags, settings: Settings, job: Job, paths: Sequence[str] = ()) -> RunFlags:
    """The flags, with the backend and the question of a job."""
    folder = settings.photos_dir or Path()
    given = {
        **flags.given,
        "backend": job.facts["backend"],
        "model": job.facts["model"],
        "fields": ",".join(job.facts.get("fields") or ()),
    }
    named = tuple(folder.absolute() / path for path in paths)
    retry = "error_api,error_model"
    return replace(
        flags,
        given=given,
        named=named,
        retry_status=retry,
        batch=False,
        files_from=None,
        limit=None,
    )


_WORDS = {
    JobState.INTENT: "prepared, not sent",
    JobState.CREATING: "sent; whether it was taken is not known yet",
    JobState.CREATED: "running",
    JobState.ENDED: "answered, to be collected",
    JobState.COLLECTED: "collected; its files are still there",
    JobState.DELETED: "collected",
    JobState.ABANDONED: "never made",
    JobState.IGNORED: "given up",
}


def print_jobs(flags: Flags) -> int:
    """List the jobs by the ledger alone."""
    _show(flags, read_jobs(flags.settings().captions_jsonl))
    return ExitCode.DONE


def print_status(flags: RunFlags) -> int:
    """Ask the providers, then list the jobs."""
    settings = settings_for(flags)
    if no_jobs_yet(flags, settings):
        return ExitCode.DONE
    with open_ledger(settings) as ledger:
        for service, _ in services_of(flags, settings, ledger):
            with asking(service):
                follow(service, ledger, say)
        _show(flags, ledger.jobs())
    return ExitCode.DONE


def wait(flags: RunFlags) -> int:
    """Ask every `--poll` seconds until no job runs."""
    settings = settings_for(flags)
    if no_jobs_yet(flags, settings):
        return ExitCode.DONE
    with (
        contextlib.closing(ProgressReporter()) as reporter,
        note_signals(reporter.notice) as interrupts,
    ):
        _wait(flags, settings, reporter, interrupts)
    if interrupts.exit_status is not None:
        return interrupts.exit_status
    jobs = read_jobs(settings.captions_jsonl)
    if not jobs:
        say(NO_JOBS)
    if any(job.state is JobState.ENDED for job in jobs.values()):
        say(f"All jobs have ended; next: '{suggested(flags, 'batch collect')}'")
    return ExitCode.DONE


def _wait(
    flags: RunFlags, settings: Settings, reporter: ProgressReporter, interrupts: Interrupts
) -> None:
    """The ledger is held only while somebody is asked, so other commands can look at it."""
    shown, failures = 0, 0
    said: set[str] = set()

    def once(text: str) -> None:
        key = text.split("(")[0]
        if key not in said:
            said.add(key)
            reporter.notice(text)

    while not interrupts.requested():
        with open_ledger(settings) as ledger:
            try:
                for service, _ in services_of(flags, settings, ledger):
                    with asking(service):
                        follow(service, ledger, once)
                failures = 0
            except BackendUnavailableError as error:
                failures += 1
                once(str(error))
                if failures * flags.poll > max(settings.patience, flags.poll * 2):
                    raise
            jobs = list(ledger.jobs().values())
        running = [job for job in jobs if job.is_out and job.state is not JobState.ENDED]
        if not running:
            return
        out = [job for job in jobs if job.is_out]
        if not shown:
            reporter.start(sum(len(job.photos) for job in out))
            shown = 1
        shown = _advance(reporter, out, shown)
        _sleep(flags.poll, interrupts)


def _advance(reporter: ProgressReporter, out: Sequence[Job], shown: int) -> int:
    answered = 1 + sum(
        len(job.photos) if job.state is JobState.ENDED else int(job.facts.get("answered") or 0)
        for job in out
    )
    for _ in range(answered - shown):
        reporter.advance(Outcome.CAPTIONED)
    return max(shown, answered)


def _sleep(seconds: float, interrupts: Interrupts) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not interrupts.requested():
        time.sleep(min(left, 0.2))


def cancel(flags: RunFlags, wanted: Sequence[str], *, everything: bool) -> int:
    """Ask providers to stop these jobs."""
    if everything == bool(wanted):
        raise UsageError(
            "name the jobs to cancel, as 'caption.py batch list' has them, or give --all"
        )
    settings = settings_for(flags)
    if no_jobs_yet(flags, settings):
        return ExitCode.DONE if everything else ExitCode.USAGE
    with open_ledger(settings) as ledger:
        running = {
            name: job for name, job in ledger.jobs().items() if job.state is JobState.CREATED
        }
        for name in wanted:
            if name not in running and not any(j.remote_id == name for j in running.values()):
                raise UsageError(f"{name} is no job that runs; see 'caption.py batch list'")
        for service, _ in services_of(flags, settings, ledger):
            for job in jobs_at(service, running.values()):
                if everything or {job.id, job.remote_id} & set(wanted):
                    with asking(service):
                        service.cancel(job.remote_id)
                    ledger.note(job.id, job.state, stopped=True)
                    say(f"Job {job.id}: {service.host} was asked to stop it")
            with asking(service):
                follow(service, ledger, say)
    collect = suggested(flags, "batch collect")
    say(f"Next: '{collect}' fetches what was answered before, which is billed")
    return ExitCode.DONE


def adopt(flags: Flags, remote_id: str, source: Path | None, job_id: str | None) -> int:
    """Link a provider's job to one of this ledger, or bring it in from another copy."""
    settings = flags.settings()
    with open_ledger(settings) as ledger:
        if any(job.remote_id == remote_id for job in ledger.jobs().values()):
            say(f"{remote_id} is in this ledger already")
            return ExitCode.DONE
        if source is not None:
            job_id = _bring_in(ledger, remote_id, source, job_id)
        else:
            job_id = _lost_job(ledger, remote_id, job_id)
        if not ledger.jobs()[job_id].remote_id:
            ledger.note(job_id, JobState.CREATED, remote_id=remote_id)
    say(f"{remote_id} is job {job_id} now; '{suggested(flags, 'batch status')}' asks how far it is")
    return ExitCode.DONE


def _lost_job(ledger: JobLedger, remote_id: str, job_id: str | None) -> str:
    lost = [j.id for j in ledger.jobs().values() if j.is_out and not j.remote_id]
    if job_id is not None and job_id in lost:
        return job_id
    if job_id is None and len(lost) == 1:
        return lost[0]
    raise UsageError(
        f"{remote_id}: say with --job which of these it is: {', '.join(lost)}"
        if lost
        else f"{remote_id}: no job of this ledger lacks its id; name the ledger that has it with "
        "--from LEDGER"
    )


def _bring_in(ledger: JobLedger, remote_id: str, source: Path, job_id: str | None) -> str:
    rows, _ = JobLedger.read(source)
    theirs = add_up(rows)
    names = [j.id for j in theirs.values() if remote_id == j.remote_id or j.id == job_id]
    if len(names) != 1:
        raise UsageError(f"{source} has no job with the id {remote_id}; name it with --job JOB")
    ledger.bring_in(rows, only=names[0])
    return names[0]


def ignore(flags: Flags, name: str) -> int:
    """Say that a provider's job is none of ours, or give up one that is."""
    settings = flags.settings()
    with open_ledger(settings) as ledger:
        found = [j for j in ledger.jobs().values() if name in {j.id, j.remote_id}]
        if not found:
            ledger.disown(name)
            say(f"{name} is none of this journal's jobs: it holds up no submit any more")
        for job in found:
            if job.is_out:
                ledger.note(job.id, JobState.IGNORED)
                say(
                    f"Job {job.id} is given up: {count(len(job.photos))} pending again, "
                    "and what was paid for it is lost"
                )
            else:
                say(f"Job {job.id} is {_WORDS[job.state]}; there is nothing to give up")
    return ExitCode.DONE


def _show(flags: Flags, jobs: Mapping[str, Job]) -> None:
    rows = [_row(job) for job in jobs.values()]
    if flags.as_json:
        show_json(rows)
        return
    for row in rows:
        told = f"{row['answered']:,} of {row['photos']:,} answered" if row["running"] else ""
        cost = dollars(row["cost_usd"]) if row["cost_usd"] is not None else ""
        show(row["job"], row["state"], str(row["photos"]), told or cost, row["host"], row["id"])
    if not rows:
        say(NO_JOBS)


def _row(job: Job) -> dict[str, Any]:
    facts = job.facts
    status = facts.get("status")
    words = _WORDS[job.state]
    running = job.state is JobState.CREATED
    return {
        "job": job.id,
        "id": job.remote_id,
        "state": f"{words} ({status})" if status and running else words,
        "code": str(job.state),
        "running": running,
        "host": facts.get("host"),
        "backend": facts.get("backend"),
        "model": facts.get("model"),
        "photos": len(job.photos),
        "answered": int(facts.get("answered") or 0),
        "reserved_usd": facts.get("reserved_usd"),
        "cost_usd": facts.get("cost_usd"),
        "problem": facts.get("problem") or None,
        "at": facts.get("at"),
    }
