"""`undo`: what `write` did, taken back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from picture_captioner.cli.commands.carrying import Carrier
from picture_captioner.cli.commands.photos import photos_dir_of
from picture_captioner.cli.commands.write import TOGETHER, work_folder
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import count, say, show
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, UsageError
from picture_captioner.writeback import undo
from picture_captioner.writeback.exiftool import ExifTool


def undo_writes(
    flags: Flags, *, run: str | None, everything: bool, list_runs: bool, as_json: bool
) -> int:
    """Take back what `write` did: one run of it, or all.

    Raises:
        UsageError: neither a run nor all was asked for, or there is no such run.
        JournalError: the undo file cannot be read or written.
    """
    settings = flags.settings()
    path = undo.undo_path(settings.captions_jsonl)
    if not path.exists():
        raise UsageError(f"nothing was ever written: there is no {path}")
    with ExitStack() as held:
        file = held.enter_context(closing(undo.UndoFile(path)))
        for warning in (*file.repairs, *file.warnings()):
            say(warning)
        writes = undo.open_writes(file)
        photos_dir = _photos_dir(settings, writes)
        undo.remove_leftovers(photos_dir, writes[-TOGETHER:])
        runs = Counter(write.run for write in writes)
        if not runs and run is None:
            say("Nothing to take back: every file is as it was")
        if list_runs:
            for name, number in sorted(runs.items()):
                show(name, count(number, _noun(w for w in writes if w.run == name)))
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
        tool = held.enter_context(ExifTool(work_folder(settings.captions_jsonl)))
        carrier = held.enter_context(Carrier(settings, photos_dir))
        if any(write.inside for write in chosen):
            carrier.open()
            carrier.settle(file.rows)
        undone = undo.take_back(file, photos_dir, chosen, tool, carrier.carry, _tell_undone)
        outcome = Counter(str(done) for done in undone)
    if as_json:
        show(json.dumps(dict(outcome)))
    for what, number in sorted(outcome.items()):
        say(f"{count(number, _noun(chosen)):>14} {what}")
    return ExitCode.IO_FAILED if outcome[undo.Undone.FAILED] else ExitCode.DONE


def _photos_dir(settings: Settings, writes: Sequence[undo.Write]) -> Path:
    """Where the photos are: as set, or else where `write` last found them."""
    known = writes[-1].photos_dir if writes else ""
    if settings.photos_dir is None and known and Path(known).is_dir():
        say(f"Photos: {known}, where 'caption.py write' wrote last")
        return Path(known)
    return photos_dir_of(settings)


def _noun(writes: Iterable[undo.Write]) -> str:
    return "file" if any(write.inside for write in writes) else "sidecar"


def _tell_undone(write: undo.Write, done: undo.Undone, why: str) -> None:
    if done is undo.Undone.TAKEN_OUT:
        say(f"{write.path} was changed by somebody since: our own values alone were taken out")
    elif done is undo.Undone.FAILED:
        say(f"{write.path}: {why}")
