"""`work` and `sync`: several machines at one library on a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from picture_captioner.cli.command_flags import ProcessFlags
from picture_captioner.cli.commands.compose import settings_for
from picture_captioner.cli.commands.files import existing_journal
from picture_captioner.cli.commands.pending import Task, with_pending
from picture_captioner.cli.commands.process import Feed, run_stages
from picture_captioner.cli.commands.run import Sharing, caption_pending
from picture_captioner.cli.flags import Flags, words_in
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.engines.ceilings import SharedBudget
from picture_captioner.engines.claims import Claims
from picture_captioner.engines.redoing import Redoing
from picture_captioner.engines.server import Server
from picture_captioner.engines.settling import Captions, Stages
from picture_captioner.engines.working import Feeder
from picture_captioner.errors import ExitCode, Usage, UsageError, count
from picture_captioner.journal.record import utc_now
from picture_captioner.library.store import Library
from picture_captioner.library.syncing import (
    CAPTION,
    index_words,
    journal_name,
    machine_name,
    stage_of,
    sync,
)
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import STAGES, Stage
from picture_captioner.pipeline.work_queue import WorkQueue
from picture_captioner.settings import ServerAddress

SOON_SECONDS = 2.0
"""How long one transaction waits for a server that went away: a worker looks after its photos, too,
and has a patience of its own."""


def work_together(flags: RunFlags, stages: str, lease: float) -> int:
    """Do what no machine has done yet; returns the exit code of the first that did not end well."""
    names = words_in("--stages", stages, [info.name for info in STAGES])
    settings = settings_for(flags) if CAPTION in names else flags.settings()
    home = _served(settings, "work")
    _check_redoing(flags, names)
    code: int = ExitCode.DONE
    if CAPTION in names:
        with Library.open(home, say, restart_seconds=SOON_SECONDS) as library:
            code = with_pending(flags, partial(_share, library, lease), shared=True)
            if code == ExitCode.DONE and settings.captions_jsonl.exists():
                _bring(Server(library.database, settings.patience, say), settings.captions_jsonl)
    others = [name for name in names if name != CAPTION]
    if others and code == ExitCode.DONE:
        chosen = ProcessFlags(
            given=flags.given,
            config=flags.config,
            stage=others,
            include=flags.include,
            exclude=flags.exclude,
        )
        share = partial(_share_stages, flags, settings, lease)
        code = run_stages(chosen, None, share, SOON_SECONDS)
    return code


def _check_redoing(flags: RunFlags, stages: Sequence[str]) -> None:
    """See that what is done again is done once by all workers together."""
    given = {
        "--force": flags.force,
        "--retry-status": flags.retry_status,
        "--retry-only": flags.retry_only,
        "--stale": flags.stale,
    }
    if not (named := next((flag for flag, value in given.items() if value), None)):
        return
    if others := [stage for stage in stages if stage != CAPTION]:
        raise UsageError(
            f"{named} is about captions; 'caption.py process --stage {others[0]} --force' does a "
            "stage again, on one machine"
        )
    if not flags.since and (flags.force or flags.retry_status or flags.retry_only):
        raise UsageError(
            f"{named}: a worker that starts later would do again what the others have done again "
            f"by then. Give all of them the same time, from which on a record counts as done: "
            f"--since {utc_now()}"
        )


def _bring(server: Server, journal: Path) -> None:
    """Bring the journal of a worker that found nothing to do, too."""
    sync(server.run, journal)
    index_words(server.run, journal)


def _share_stages(
    flags: RunFlags,
    settings: Settings,
    lease: float,
    server: Server,
    library: Library,
    photos_dir: Path,
    photos: Sequence[Photo],
    stages: Sequence[Stage],
) -> Feed:
    def feed(queue: WorkQueue, outcomes: Outcomes) -> None:
        ledger = Stages(server, library, stages)
        name = f"{machine_name()}:{os.getpid()} {ledger.name}"
        claims = Claims(server, ledger.name, _place(flags, photos_dir), name, lease)
        feeder = Feeder(
            claims,
            ledger,
            photos_dir,
            photos,
            {},
            outcomes,
            follow_links=settings.follow_links,
        )
        try:
            feeder.feed(queue)
        finally:
            feeder.end()

    return feed


def _served(settings: Settings, command: str) -> ServerAddress:
    home = settings.library_home
    if isinstance(home, ServerAddress):
        return home
    raise UsageError(
        f"'{command}' is for a library that several machines share: --library "
        "postgresql://user@host/database (LIBRARY in config.env; docs/scale.md). On one machine "
        "'caption.py run' does the same"
    )


def _share(library: Library, lease: float, task: Task) -> int:
    def share(chosen: Sequence[ChosenBackend], outcomes: Outcomes, edge: int) -> Sharing:
        identity, name = task.rules.identity, journal_name(task.journal.path)
        server = Server(library.database, task.settings.patience, task.reporter.notice)
        stage = stage_of(identity.backend, placeholder=identity.placeholder)
        expected = _dollars_of_one(chosen[0], edge)
        budget = SharedBudget(
            task.ceilings, task.journal.index, server, name, expected, task.reporter.notice
        )
        feeder = Feeder(
            Claims(server, stage, _place(task.flags, task.photos_dir), name, lease),
            Captions(server, task.journal, identity, budget),
            task.photos_dir,
            task.portion.photos,
            task.shots,
            outcomes,
            follow_links=task.settings.follow_links,
            redoing=Redoing(server, stage, task.rules) if task.rules.redoes else None,
        )

        def feed(queue: WorkQueue) -> None:
            server.stopped = lambda: queue.stopped
            feeder.feed(queue)

        return Sharing(budget, feed, feeder.end, feeder.share_rate)

    return caption_pending(task, share)


def _place(flags: RunFlags, photos_dir: Path) -> str:
    """Names the photos that this machine sees, as far as the flags choose them."""
    chosen = [*(flags.include or ()), "|", *(flags.exclude or ()), "|", flags.files_from or ""]
    return " ".join([f"{machine_name()}:{photos_dir.resolve()}", *chosen])


def _dollars_of_one(chosen: ChosenBackend, edge: int) -> float:
    """What a request should cost, before the first bill; 0 if nobody knows."""
    tokens = chosen.backend.expected_tokens(edge, edge * 3 // 4)
    if tokens is None:
        return 0.0
    usage = Usage(input_tokens=tokens.input, output_tokens=tokens.output)
    return chosen.prices.cost(usage) or 0.0


def sync_journal(flags: Flags) -> int:
    """Bring the journal's lines to the server."""
    settings = flags.settings()
    home = _served(settings, "sync")
    path = existing_journal(flags)
    with Library.open(home, say) as library:
        synced = library.follow_journal(path)
    if synced.damaged:
        say(f"{count(synced.damaged, 'damaged line')} passed over; see 'caption.py journal check'")
    say(f"{count(synced.records, 'record')} of {path} brought to {home}")
    return ExitCode.DONE
