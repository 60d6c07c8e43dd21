"""`undo`: what `write` did, taken back."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing

from picture_captioner.cli.commands.photos import photos_dir_of
from picture_captioner.cli.commands.write import TOGETHER, undo_path
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import count, say, show
from picture_captioner.errors import ExitCode, UsageError
from picture_captioner.writeback import undo


def undo_writes(
    flags: Flags, *, run: str | None, everything: bool, list_runs: bool, as_json: bool
) -> int:
    """Take back what `write` did: one run of it, or all.

    Raises:
        UsageError: neither a run nor all was asked for, or there is no such run.
        JournalError: the undo file cannot be read or written.
    """
    path = undo_path(flags.settings().captions_jsonl)
    photos_dir = photos_dir_of(flags.settings())
    if not path.exists():
        raise UsageError(f"nothing was ever written: there is no {path}")
    with closing(undo.UndoFile(path)) as file:
        for warning in (*file.repairs, *file.warnings()):
            say(warning)
        writes = undo.open_writes(file)
        undo.remove_leftovers(photos_dir, writes[-TOGETHER:])
        runs = Counter(write.run for write in writes)
        if not runs and run is None:
            say("Nothing to take back: every sidecar is as it was")
        if list_runs:
            for name, number in sorted(runs.items()):
                show(name, count(number, "sidecar"))
            return ExitCode.DONE
        if everything == (run is not None):
            raise UsageError(
                "say what to undo: --run ID ('caption.py undo --list' shows them), or --all"
            )
        if run is not None and run not in runs:
            raise UsageError(
                f"there is no run {run} to undo; 'caption.py undo --list' shows those there are"
            )
        chosen = [write for write in writes if everything or write.run == run]
        outcome = Counter(
            str(done) for done in undo.take_back(file, photos_dir, chosen, _tell_undone)
        )
    if as_json:
        show(json.dumps(dict(outcome)))
    for what, number in sorted(outcome.items()):
        say(f"{count(number, 'sidecar'):>14} {what}")
    return ExitCode.IO_FAILED if outcome[undo.Undone.FAILED] else ExitCode.DONE


def _tell_undone(write: undo.Write, done: undo.Undone, why: str) -> None:
    if done is undo.Undone.TAKEN_OUT:
        say(f"{write.path} was changed by somebody since: our own values alone were taken out")
    elif done is undo.Undone.FAILED:
        say(f"{write.path}: {why}")
