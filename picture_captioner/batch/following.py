"""What became of jobs: of those that run, and of those whose creation nobody confirmed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from picture_captioner.batch.ledger import Job, JobLedger, JobState, this_machine
from picture_captioner.batch.service import BatchService, JobGoneError, RemoteJob
from picture_captioner.errors import ConfigurationError, count

SETTLE_SECONDS = 300.0
"""A job that no list shows so long after its creation was asked for was not created: the longest
that gateways hold a request is said to be a minute or two, and lists may lag behind."""

CLOCK_OFF_SECONDS = 86_400.0
"""A job may be so much older by the provider's clock than the ledger is by ours: a computer that
holds local time, as Windows leaves it, is up to 14 hours ahead until the network corrects it."""

UNSETTLED = frozenset({JobState.INTENT, JobState.CREATING})
"""States of jobs that may be none, whose photos wait until that is found out."""


def jobs_at(service: BatchService, jobs: Iterable[Job]) -> list[Job]:
    """The jobs that were sent to this service's host through this backend."""
    name = service.backend.name
    return [
        job
        for job in jobs
        if (job.facts.get("backend"), job.facts.get("host")) == (name, service.host)
    ]


def follow(service: BatchService, ledger: JobLedger, notice: Callable[[str], None]) -> None:
    """Bring the ledger up to date with what the provider says of its jobs.

    Raises:
        TransientError, FatalError: the provider cannot be asked.
    """
    jobs = jobs_at(service, ledger.jobs().values())
    if unsettled := [job for job in jobs if job.state in UNSETTLED]:
        _settle(service, ledger, unsettled, notice)
    for job in jobs_at(service, ledger.jobs().values()):
        if job.state is JobState.CREATED:
            _look(service, ledger, job, notice)


def _look(
    service: BatchService, ledger: JobLedger, job: Job, notice: Callable[[str], None]
) -> None:
    try:
        remote = service.look(job.remote_id)
    except JobGoneError as error:
        notice(
            f"{error}. If its answers are lost for good, 'caption.py batch ignore {job.id}' makes "
            f"its {count(len(job.photos))} pending again; they will then be paid for once more"
        )
        return
    told = {"status": remote.status, "answered": remote.answered, "problem": remote.problem}
    state = JobState.ENDED if remote.ended else JobState.CREATED
    if state is not job.state or any(job.facts.get(k) != v for k, v in told.items()):
        ledger.note(job.id, state, **told)


def _settle(
    service: BatchService,
    ledger: JobLedger,
    unsettled: Sequence[Job],
    notice: Callable[[str], None],
) -> None:
    """Find out which of these jobs exist; what surely does not makes its photos pending again."""
    known = _known_ids(ledger)
    unknown = [remote for remote in service.listed() if remote.id not in known]
    for job in unsettled:
        found = next((remote for remote in unknown if _is_of(service, ledger, remote, job)), None)
        if found is not None:
            ledger.note(job.id, JobState.CREATED, remote_id=found.id)
            notice(f"Job {job.id} was created after all: {found.id}")
        elif _may_be_hidden(service, unknown, job) or not _is_over(job):
            left = max(0.0, SETTLE_SECONDS - job.seconds_since(time.time()))
            notice(
                f"Whether {service.host} took job {job.id} is not known yet; its "
                f"{count(len(job.photos))} must wait (ask again in {left:.0f} s: "
                "'caption.py batch status')"
            )
        else:
            ledger.note(job.id, JobState.ABANDONED, problem="it was never created")
            service.discard(job.id, str(job.facts.get("file_id") or ""))
            notice(
                f"Job {job.id} was never created, nothing of it is billed: its photos are pending"
            )


def _is_over(job: Job) -> bool:
    """Whether a request that would create it can no longer be on its way."""
    if job.state is JobState.INTENT and job.facts.get("by") == this_machine():
        return True  # this process holds the ledger, so nobody is about to send it
    return job.seconds_since(time.time()) > SETTLE_SECONDS


def _known_ids(ledger: JobLedger) -> set[str]:
    """The providers' ids of jobs that are in the ledger, as ours or as somebody else's."""
    return {job.remote_id for job in ledger.jobs().values()} | ledger.ignored()


def _is_of(service: BatchService, ledger: JobLedger, remote: RemoteJob, job: Job) -> bool:
    if service.shows_our_ids:
        file_id = job.facts.get("file_id")
        return remote.ours == job.id or bool(file_id and remote.input_file == file_id)
    if not remote.ended or (remote.created_at or 0.0) < ledger.begun_at - CLOCK_OFF_SECONDS:
        return False
    return service.owner(remote) == job.id


def _may_be_hidden(service: BatchService, unknown: Sequence[RemoteJob], job: Job) -> bool:
    """Whether one of the unknown jobs that run may be this one, without showing it."""
    if service.shows_our_ids or job.state is JobState.INTENT:
        return False
    return any(not remote.ended for remote in unknown)


def require_no_strangers(service: BatchService, ledger: JobLedger) -> None:
    """Refuse to submit while a job may hold the same photos without being in this ledger.

    Where the list shows our ids, that is one of another copy of this ledger; elsewhere it may be
    any that runs.

    Raises:
        ConfigurationError: with the command that says whose it is.
        TransientError, FatalError: the provider cannot be asked.
    """
    known = _known_ids(ledger)
    for remote in service.listed():
        if remote.id in known:
            continue
        if service.shows_our_ids:
            if remote.ours and remote.ours.startswith(f"{ledger.name}-"):
                raise _stranger(service, remote, "was made with a copy of this ledger")
        elif not remote.ended:
            raise _stranger(service, remote, "runs and is not in this ledger")
        elif (remote.created_at or 0.0) >= ledger.begun_at - CLOCK_OFF_SECONDS:
            if (service.owner(remote) or "").startswith(f"{ledger.name}-"):
                raise _stranger(service, remote, "was made with a copy of this ledger")
            ledger.disown(remote.id)


def _stranger(service: BatchService, remote: RemoteJob, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"a job at {service.host}, {remote.id}, {what}: the same photos could be paid for twice. "
        f"If it is yours, 'caption.py batch adopt {remote.id} --from LEDGER' takes it over from "
        "the ledger that has it (captions.jobs.jsonl on the other machine); if it is not, "
        f"'caption.py batch ignore {remote.id}'"
    )
