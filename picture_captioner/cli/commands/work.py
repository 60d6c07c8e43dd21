"""`work` and `sync`: several machines at one library on a server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from picture_captioner.cli.commands.compose import settings_for
from picture_captioner.cli.commands.run import Job, caption_pending, with_pending
from picture_captioner.cli.commands.stats import existing_journal
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import count, say
from picture_captioner.config import Settings
from picture_captioner.engines.ceilings import SharedBudget
from picture_captioner.engines.claims import Claims
from picture_captioner.engines.server import Server
from picture_captioner.engines.working import Feeder
from picture_captioner.errors import ExitCode, Usage, UsageError
from picture_captioner.library import Library, journal_name, stage_of
from picture_captioner.pipeline.asking.service import ChosenBackend
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.settings import ServerAddress

SOON_SECONDS = 2.0
"""How long one transaction waits for a server that went away: a worker looks after its photos, too,
and has a patience of its own."""


def work_together(flags: RunFlags, lease: float) -> int:
    """Caption what no machine has captioned yet; returns the exit code.

    Raises:
        FatalError: it cannot start, or had to stop.
    """
    settings = settings_for(flags)
    home = _served(settings, "work")
    with Library.open(home, say, restart_seconds=SOON_SECONDS) as library:
        code = with_pending(flags, partial(_share, library, lease), in_order=False)
        if code == ExitCode.DONE and settings.captions_jsonl.exists():
            library.follow_journal(settings.captions_jsonl)
    return code


def _served(settings: Settings, command: str) -> ServerAddress:
    home = settings.library_home
    if isinstance(home, ServerAddress):
        return home
    raise UsageError(
        f"'{command}' is for a library that several machines share: --library "
        "postgresql://user@host/database (LIBRARY in config.env; docs/scale.md). On one machine "
        "'run' does the same"
    )


def _share(library: Library, lease: float, job: Job) -> int:
    def feeder(chosen: Sequence[ChosenBackend], outcomes: Outcomes, edge: int) -> Feeder:
        identity, name = job.rules.identity, journal_name(job.journal.path)
        server = Server(library.database, job.settings.patience, job.reporter.notice)
        stage = stage_of(identity.backend, placeholder=identity.placeholder)
        claims = Claims(server, stage, _place(job), name, lease)
        budget = SharedBudget(
            job.ceilings, job.journal.index, server, name, _dollars_of_one(chosen[0], edge)
        )
        return Feeder(
            server,
            claims,
            budget,
            job.journal,
            job.photos_dir,
            job.batch.photos,
            job.shots,
            identity,
            outcomes,
            follow_links=job.settings.follow_links,
        )

    return caption_pending(job, feeder)


def _place(job: Job) -> str:
    """Names the photos that this machine sees, as far as the flags choose them."""
    flags = job.flags
    chosen = [*(flags.include or ()), "|", *(flags.exclude or ()), "|", flags.files_from or ""]
    return " ".join([f"{socket.gethostname()}:{job.photos_dir.resolve()}", *chosen])


def _dollars_of_one(chosen: ChosenBackend, edge: int) -> float:
    """What a request should cost, before the first bill; 0 if nobody knows."""
    tokens = chosen.backend.expected_tokens(edge, edge * 3 // 4)
    if tokens is None:
        return 0.0
    usage = Usage(input_tokens=tokens.input, output_tokens=tokens.output)
    return chosen.prices.cost(usage) or 0.0


def sync_journal(flags: Flags) -> int:
    """Bring the journal's lines to the server.

    Raises:
        JournalError: it is not there or cannot be read.
        LibraryError: the server's answer.
    """
    settings = flags.settings()
    home = _served(settings, "sync")
    path = existing_journal(flags)
    with Library.open(home, say) as library:
        synced = library.follow_journal(path)
    if synced.damaged:
        say(f"{count(synced.damaged, 'damaged line')} passed over; see 'caption.py journal check'")
    say(f"{count(synced.records, 'record')} of {path} brought to {home}")
    return ExitCode.DONE
