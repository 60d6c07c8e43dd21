"""The ledger of a journal and the providers of its jobs, for the commands of `batch`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.batch.ledger import Job, JobLedger, JobState
from picture_captioner.batch.service import BatchService, service_for
from picture_captioner.cli.commands.batch_submit import NO_SERVER
from picture_captioner.cli.commands.compose import make_backend, prices_for
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.pipeline.asking.prices import Prices


class OpenService(NamedTuple):
    """A provider with jobs of this journal, and what they cost."""

    service: BatchService
    prices: Prices


@contextlib.contextmanager
def open_ledger(settings: Settings) -> Iterator[JobLedger]:
    """The ledger, held; what is wrong with it is told."""
    with JobLedger.beside(settings.captions_jsonl) as ledger:
        for warning in (*ledger.repairs, *ledger.warnings()):
            say(warning)
        yield ledger


def services_of(flags: RunFlags, settings: Settings, ledger: JobLedger) -> Iterator[OpenService]:
    """A service for each provider and model with jobs that are not done with."""
    done = {JobState.DELETED, JobState.ABANDONED, JobState.IGNORED}
    jobs = [job for job in ledger.jobs().values() if job.state not in done]
    seen: set[tuple[Any, ...]] = set()
    for job in jobs:
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
