"""`undo`: what `write` did, taken back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path, PurePosixPath

from picture_captioner.cli.commands.carrying import Carrier
from picture_captioner.cli.commands.files import photos_dir_of
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, say_all, show, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, NoPhotosError, UsageError, count
from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS, RAW_EXTENSIONS
from picture_captioner.library.store import Library
from picture_captioner.writeback import undo
from picture_captioner.writeback.exiftool import ExifTool, work_folder
from picture_captioner.writeback.taking_back import Undone, take_back


def undo_writes(
    flags: Flags, *, run: str | None, everything: bool, list_runs: bool, give_up: bool
) -> int:
    """Take back what `write` did: one run of it, or all."""
    settings = flags.settings()
    path = undo.undo_path(settings.captions_jsonl)
    if not path.exists():
        if not list_runs:
            raise UsageError(
                f"there is no {path}: nothing was written with this journal, or that file, which "
                "knows what was, stayed behind when the journal was copied"
            )
        say(f"Nothing to take back: there is no {path}")
        return _list_runs(flags, [])
    with ExitStack() as held:
        file = held.enter_context(closing(undo.UndoFile(path)))
        tool = held.enter_context(ExifTool(work_folder(settings.captions_jsonl)))
        say_all(file.repairs, file.warnings())
        writes = undo.open_writes(file)
        if not writes and run is None:
            say("Nothing to take back: every file is as it was")
        if list_runs:
            return _list_runs(flags, writes)
        chosen = _chosen(writes, run, everything=everything)
        outcome: Counter[str] = Counter()
        if chosen:
            photos_dir = _photos_dir(settings, writes)
            folder = undo.Folder(photos_dir, settings.follow_links)
            undo.remove_leftovers(folder, writes[-undo.TOGETHER :])
            carrier = held.enter_context(closing(Carrier(settings, photos_dir)))
            if any(write.inside for write in chosen):
                carrier.open()
                carrier.settle(file.rows)
            library = None
            if settings.has_library:
                library = held.enter_context(Library.open(settings.library_home, say))
                if settings.captions_jsonl.exists():  # it knows what lay where, once moved
                    library.follow_journal(settings.captions_jsonl)
            moved = partial(_moved, library, photos_dir)
            undone = take_back(
                file, folder, chosen, tool, carrier.carry_moved, moved, _tell_undone,
                give_up=give_up,
            )  # fmt: skip
            outcome.update(str(done) for done in undone)
    if flags.as_json:
        show_json(dict(outcome))
    return _tell(outcome, _noun(chosen))


def _moved(library: Library | None, photos_dir: Path, path: str) -> str | None:
    """Where a photo that library.db knows under its new name lies now, or the sidecar beside it."""
    old = PurePosixPath(path)
    photos = [path]
    if old.suffix == ".xmp":
        kinds = sorted(PHOTO_EXTENSIONS | RAW_EXTENSIONS)
        names = [old.stem, *(f"{old.stem}{kind}" for k in kinds for kind in (k, k.upper()))]
        photos = [str(old.with_name(name)) for name in names]
    for photo in photos if library is not None else ():
        if library is None or (content := library.content_of(photo)) is None:
            continue
        for now in map(PurePosixPath, library.paths_of(content)):
            new = now
            if photo != path:
                whole = path == f"{photo}.xmp"
                new = now.with_name(f"{now.name}.xmp") if whole else now.with_suffix(".xmp")
            outside = now.is_absolute() or ".." in now.parts
            if not outside and new != old and os.path.lexists(photos_dir / new):
                say(f"{path} was moved: {new}")
                return str(new)
        break
    return None


def _list_runs(flags: Flags, writes: Sequence[undo.Write]) -> int:
    runs = Counter(write.run for write in writes)
    if flags.as_json:
        show_json(dict(sorted(runs.items())))
        return ExitCode.DONE
    for name, number in sorted(runs.items()):
        show(name, count(number, _noun(w for w in writes if w.run == name)))
    return ExitCode.DONE


def _chosen(writes: Sequence[undo.Write], run: str | None, *, everything: bool) -> list[undo.Write]:
    if everything == (run is not None):
        raise UsageError(
            "say what to undo: --run ID ('caption.py undo --list' shows them), or --all"
        )
    chosen = [write for write in writes if everything or write.run == run]
    if run is not None and not chosen:
        raise UsageError(
            f"there is no run {run} to undo; 'caption.py undo --list' shows those there are"
        )
    return chosen


def _photos_dir(settings: Settings, writes: Sequence[undo.Write]) -> Path:
    """Where the photos are: as set, or else where `write` last found them."""
    known = writes[-1].photos_dir
    if settings.photos_dir is None and known:
        say(f"Photos: {known}, where 'caption.py write' wrote last")
        photos_dir = Path(known)
    else:
        photos_dir = photos_dir_of(settings)
    kinds = PHOTO_EXTENSIONS | RAW_EXTENSIONS
    names = (name for _, _, names in os.walk(photos_dir) for name in names)
    if not any(Path(name).suffix.lower() in kinds for name in names):
        raise NoPhotosError(
            f"no photos found below {photos_dir}: is its disk mounted? Nothing was taken back, "
            "and all of it still can be; where they moved, name the folder with --photos-dir"
        )
    return photos_dir


def _tell(outcome: Counter[str], noun: str) -> int:
    for what, number in sorted(outcome.items()):
        say(f"{count(number, noun):>14} {what}")
    if outcome[Undone.MISSING]:
        say(
            "Put back what is not there, or name its folder with --photos-dir, and run the same "
            "command again. Photos that were moved are found after a 'caption.py process'; what "
            "is gone for good is given up with --give-up"
        )
    if outcome[Undone.FAILED]:
        return ExitCode.IO_FAILED
    return ExitCode.NO_PHOTOS if outcome[Undone.MISSING] else ExitCode.DONE


def _noun(writes: Iterable[undo.Write]) -> str:
    return "file" if any(write.inside for write in writes) else "sidecar"


def _tell_undone(write: undo.Write, done: Undone, why: str) -> None:
    if done is Undone.TAKEN_OUT:
        say(f"{write.path} was changed by somebody since: our own values alone were taken out")
    elif done is Undone.FAILED:
        say(f"{write.path}: {why}")
