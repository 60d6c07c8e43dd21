"""`batch collect`: what came back becomes records, then what was no caption is asked again."""

from __future__ import annotations

from picture_captioner.batch.collecting import Collected, collect
from picture_captioner.batch.following import follow, jobs_at
from picture_captioner.batch.ledger import Job, JobLedger, JobState, to_ask_again
from picture_captioner.batch.service import BatchService, JobGoneError, ResultsCutError
from picture_captioner.cli.commands.batch import (
    NO_JOBS,
    asking,
    flags_as,
    no_jobs_yet,
    open_ledger,
    services_of,
)
from picture_captioner.cli.commands.compose import settings_for
from picture_captioner.cli.commands.journal import Repeats
from picture_captioner.cli.commands.pending import with_pending
from picture_captioner.cli.commands.run import caption_pending
from picture_captioner.cli.flags import one_of, suggested
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import dollars, say
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, count
from picture_captioner.journal.reading import read_job
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.prices import Prices

_MENDED_BY_ASKING = frozenset(
    {"empty", "broken", "truncated", "reasoning", "not_json", "validation", "no_image", "refused"}
)
"""Codes of answers that a second question may mend, as in `pipeline/asking/reask.py`."""


def collect_ended(flags: RunFlags) -> int:
    """Collect every job that has ended, then ask again about answers that were no caption."""
    one_of("--repair", flags.repair, ("single", "batch"))
    settings = settings_for(flags)
    if no_jobs_yet(flags, settings):
        return ExitCode.DONE
    failed: dict[str, dict[str, str]] = {}
    stuck, pending, unanswered = False, 0, None
    with Journal(settings.captions_jsonl) as journal, open_ledger(settings) as ledger:
        for service, prices in services_of(flags, settings, ledger):
            with asking(service):
                follow(service, ledger, say)
            for job in jobs_at(service, ledger.jobs().values()):
                if job.state not in {JobState.ENDED, JobState.COLLECTED}:
                    continue
                found = _collect(flags, service, journal, ledger, job, prices)
                if found is None:
                    stuck = True
                elif job.state is JobState.ENDED:
                    _tell_collected(job, found)
                    _tell_repeats(journal, job)
                    failed[job.id] = found.failed
                    if found.pending_again and not job.facts.get("stopped"):
                        pending, unanswered = pending + found.pending_again, job
        jobs = ledger.jobs()
    if not jobs:
        say(NO_JOBS)
    running = sum(job.is_out and job.state is not JobState.ENDED for job in jobs.values())
    if running:
        say(f"Still running: {count(running, 'job')}; '{suggested(flags, 'batch wait')}' waits")
    code = _repair(flags, settings, jobs, failed)
    if unanswered is not None:
        folder = unanswered.facts.get("folder")
        files = [f"--to-files={folder}"] if folder else []
        again = suggested(flags_as(flags, settings, unanswered), "batch submit", *files)
        say(f"{count(pending)} without an answer; '{again}' sends them once more", always=True)
    return ExitCode.UNAVAILABLE if (stuck or pending) and code == ExitCode.DONE else code


def _collect(
    flags: RunFlags,
    service: BatchService,
    journal: Journal,
    ledger: JobLedger,
    job: Job,
    prices: Prices,
) -> Collected | None:
    """What came back of one job; None where it could not be had, which is told."""

    def again(code: str) -> bool:
        return flags.repair == "batch" and code in _MENDED_BY_ASKING

    try:
        with asking(service):
            found = collect(service, journal, ledger, job, prices, again)
    except (ResultsCutError, JobGoneError) as error:
        say(f"Job {job.id} is not collected: {error}", always=True)
        if isinstance(error, JobGoneError):
            _tell_way_on(flags, job)
        return None
    if ledger.jobs()[job.id].state is JobState.COLLECTED:
        say(
            f"The files of job {job.id} are still at {service.host}, which did not "
            f"delete them; '{suggested(flags, 'batch collect')}' asks once more",
            always=True,
        )
    return found


def _tell_collected(job: Job, found: Collected) -> None:
    cost = dollars(found.cost_usd)
    if found.unpriced:
        known = f"{cost} and " if found.cost_usd else ""
        cost = f"{known}what {count(found.unpriced, 'answer')} cost, which is not known"
    said = f"Job {job.id}: {count(found.captioned, 'caption')}, {cost}"
    if found.failed:
        said += f", {count(len(found.failed))} without a usable answer"
    say(said)
    for reason, number in found.unanswered.most_common():
        billed = "billed or not" if reason == "bad_answer" else "not billed"
        say(f"  {number:>7,} not answered ({reason}), {billed}: pending again")
    if found.damaged:
        lost = f": {count(found.lost)} pending again, billed or not" if found.lost else ""
        lines = count(found.damaged, "damaged line")
        say(f"  {lines} among the answers, passed over{lost}", always=True)
    if found.strays:
        say(f"  {found.strays:>7,} more among the answers, of nobody or of a photo that had one")
    if problem := job.facts.get("problem"):
        say(f"  the provider says: {problem}")
        if "token" in str(problem).lower():
            say("  --job-tokens N keeps jobs within what your account's tier lets wait")


def _tell_way_on(flags: RunFlags, job: Job) -> None:
    ignore = suggested(flags, "batch ignore", job.id)
    say(
        f"If the answers are deleted there, '{ignore}' makes its photos pending again, which pays "
        "for them again",
        always=True,
    )


def _tell_repeats(journal: Journal, job: Job) -> None:
    """A run would have stopped at a model that does not see its photos; a job's answers are paid.

    None is withdrawn: without the pixels a burst looks the same.
    """
    repeats = Repeats()
    for record in read_job(journal.path, job.id):
        if record.caption:
            repeats.see(record)
    repeats.tell()


def _repair(
    flags: RunFlags, settings: Settings, jobs: dict[str, Job], failed: dict[str, dict[str, str]]
) -> int:
    """Ask again, one at a time and by the usual rules, about what the jobs failed."""
    chosen = {
        job_id: [
            path
            for path, code in found.items()
            if code in _MENDED_BY_ASKING or (settings.fallback and flags.repair == "single")
        ]
        for job_id, found in failed.items()
    }
    if flags.repair == "batch":
        if asked := to_ask_again(jobs) & {p for paths in chosen.values() for p in paths}:
            said = f"asks about {count(len(asked))} of them once more"
            say(f"The next '{suggested(flags, 'batch submit')}' {said}")
        return ExitCode.DONE
    for job_id, paths in chosen.items():
        if len(paths) < len(failed[job_id]):
            left = len(failed[job_id]) - len(paths)
            say(
                f"{count(left)} of job {job_id} stay without a caption: refused, which a second "
                "question does not mend; --fallback BACKEND asks another model"
            )
        if not paths:
            continue
        if settings.photos_dir is None:
            again = suggested(flags, "run", "--retry-status=all")
            say(f"Next, to ask again about the failed ones: {again}")
            continue
        as_job = flags_as(flags, settings, jobs[job_id], paths)
        say(f"Asking again about {count(len(paths))} of job {job_id}, at the usual price")
        if (code := with_pending(as_job, caption_pending)) != ExitCode.DONE:
            return code
    return ExitCode.DONE
