"""`run`: open the journal, find what is pending, caption it, say what became of it."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from backends import registry
from backends.base import CaptionBackend
from commands.photos import find_photos, photos_dir_of
from commands.summary import tell_summary
from commands.wiring import (
    RunFlags,
    edge_for,
    make_backend,
    prices_for,
    rules_for,
    settings_for,
    workers_for,
)
from config import Settings
from console.interrupts import Interrupts, note_signals
from console.logs import configure_logging
from console.progress import ProgressReporter
from console.terminal import count, say
from errors import ExitCode, FatalError, UsageError, did_you_mean
from journal import Journal
from pipeline.budget import Ceilings
from pipeline.runner import CaptionRun, RunOptions, default_decoders
from pipeline.selection import Batch, Selection, SelectionRules, cut, find_sources, select
from pipeline.tally import Outcome, Tally

_log = logging.getLogger("caption.run")


def run_captions(flags: RunFlags) -> int:
    """Caption what is pending; returns the exit code.

    Raises:
        FatalError: the run cannot start, or had to stop.
    """
    settings = settings_for(flags)
    if flags.show_setting is not None:
        return show_setting(flags, settings)
    photos_dir = photos_dir_of(settings)
    backend = make_backend(flags, settings)
    if not backend.settings.model:
        backend.check()  # finds out the name of the only model, which records and rules go by
    rules = rules_for(flags, backend)
    keys = [settings.api_key(backend.key_env_var).get_secret_value()]
    configure_logging(settings.log_file, settings.log_level, keys)
    with Journal(settings.captions_jsonl) as journal:
        for warning in (*journal.repairs, *journal.index.warnings(journal.path.name)):
            say(warning)
        photos = find_photos(flags, photos_dir)
        selection = select(photos, journal.index, rules)
        _tell_selection(selection, backend, flags)
        batch = cut(selection, photos, journal.index, rules, flags.limit, flags.restart_every)
        if not batch.photos:
            say("Nothing to do: every photo is done. (--retry-status, --stale and --force redo.)")
            return ExitCode.DONE
        return _caption(flags, settings, photos_dir, backend, rules, journal, batch)


def show_setting(flags: RunFlags, settings: Settings) -> int:
    """Print one setting as the run would use it: run_loop.sh asks this way.

    Raises:
        UsageError: there is no setting of that name to show.
    """
    name = settings.backend or registry.DEFAULT_BACKEND
    values = {
        "backend": name,
        "extra": registry.backend_info(name).extra or "",
        "captions_jsonl": str(settings.captions_jsonl.absolute()),
        "photos_dir": str(settings.photos_dir.absolute()) if settings.photos_dir else "",
    }
    if flags.show_setting == "model":
        values["model"] = make_backend(flags, settings).settings.model
    if flags.show_setting not in values:
        raise UsageError(
            f"--show-setting {flags.show_setting}: expected one of model, {', '.join(values)}"
            f"{did_you_mean(flags.show_setting or '', values)}"
        )
    # Raw bytes, not `show`: a path whose bytes are not UTF-8 must reach the caller as it is.
    sys.stdout.buffer.write(os.fsencode(values[flags.show_setting]) + b"\n")
    return ExitCode.DONE


def _tell_selection(selection: Selection, backend: CaptionBackend, flags: RunFlags) -> None:
    done = selection.done.total()
    if done:
        errors = f", {count(selection.done_errors, 'error')}" if selection.done_errors else ""
        success = done - selection.done_errors
        say(f"Skipping {done:,} already processed ({success:,} success{errors})")
    if flags.dry_run:
        say("Dry run: opening every photo, sending nothing")
    elif backend.placeholder:
        say(
            f"Backend: {backend.name}, {backend.summary}. Its captions are placeholders: a run "
            "with another --backend replaces them"
        )
    else:
        say(f"Backend: {backend.name}, model {backend.settings.model}")


def _caption(
    flags: RunFlags,
    settings: Settings,
    photos_dir: Path,
    backend: CaptionBackend,
    rules: SelectionRules,
    journal: Journal,
    batch: Batch,
) -> int:
    backend.check()
    reporter = ProgressReporter()
    tally = Tally(reporter)
    captioning = CaptionRun(
        backend,
        journal,
        batch.photos,
        find_sources(batch.photos, journal.index, rules, photos_dir),
        rules,
        _run_options(settings, photos_dir, backend, batch, dry_run=flags.dry_run),
        tally,
        prices_for(backend, settings),
        Ceilings(settings.max_cost, settings.max_requests),
    )
    _announce(backend, batch)
    started = time.monotonic()
    error: FatalError | None = None
    with note_signals(reporter.notice) as interrupts:
        reporter.start(len(batch.photos))
        try:
            captioning.run(interrupts.requested)
        except FatalError as stopped:
            error = stopped
        finally:
            reporter.close()
    tell_summary(tally, journal, backend, flags, batch, time.monotonic() - started)
    code = _exit_code(error, interrupts, tally, batch)
    if captioning.abandoned:
        logging.shutdown()
        os._exit(code)  # a request that hangs must not keep the process from ending
    return code


def _run_options(
    settings: Settings, photos_dir: Path, backend: CaptionBackend, batch: Batch, *, dry_run: bool
) -> RunOptions:
    return RunOptions(
        photos_dir=photos_dir,
        workers=workers_for(backend, settings),
        decoders=min(settings.decode_workers or default_decoders(), len(batch.photos)),
        edge=edge_for(backend, settings),
        dry_run=dry_run,
    )


def _announce(backend: CaptionBackend, batch: Batch) -> None:
    """Say who is about to receive the photos, before the first one."""
    if backend.destination:
        say(
            f"Sending {count(len(batch.photos))} to {backend.destination}: pixels and the prompt, "
            "no names, no metadata"
        )
    about = {"backend": backend.name, "model": backend.settings.model, "photos": len(batch.photos)}
    _log.info("run started", extra={"event": "run_started", **about})


def _exit_code(error: FatalError | None, interrupts: Interrupts, tally: Tally, batch: Batch) -> int:
    if error is not None:
        say(str(error))
        return error.exit_code
    if interrupts.exit_status is not None:
        return interrupts.exit_status
    if unproved := tally.outcomes[Outcome.WITHHELD]:
        say(f"The service failed for the last {count(unproved)}; run again when it is up")
        return ExitCode.UNAVAILABLE
    return ExitCode.MORE_TO_DO if batch.left_by_restart else ExitCode.DONE
