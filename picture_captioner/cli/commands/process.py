"""`process` and `status`: what is computed of each photo besides its caption, and how far it is."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from picture_captioner.cli.command_flags import ProcessFlags
from picture_captioner.cli.commands.files import library_there, photos_dir_of
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.commands.photos import (
    find_photos,
    read_files_beside,
    resolved_below,
)
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.interrupts import note_signals
from picture_captioner.cli.logs import configure_logging
from picture_captioner.cli.progress import ProgressReporter
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import duration, say, show_json, show_table
from picture_captioner.config import Settings
from picture_captioner.engines.server import Server
from picture_captioner.errors import ExitCode, FatalError, UsageError, count
from picture_captioner.journal.reading import read_index
from picture_captioner.library.clean_images import CleanImages
from picture_captioner.library.ledger import Standing, standing
from picture_captioner.library.store import RESTART_SECONDS, Library
from picture_captioner.library.tags import FACE_TAGS, TAGS
from picture_captioner.pipeline.decoding.decoder import default_decoders
from picture_captioner.pipeline.library_update.processing import PassOptions, process_photos
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes
from picture_captioner.pipeline.stages.base import (
    ATTRIBUTES,
    STAGES,
    Stage,
    StageSettings,
    make_stages,
    stage_info,
)
from picture_captioner.pipeline.work_queue import WorkQueue
from picture_captioner.settings import ServerAddress

if TYPE_CHECKING:
    from picture_captioner.pipeline.library_update.processing import ProcessingResult
    from picture_captioner.pipeline.selecting.walk import Photo


Feed: TypeAlias = Callable[[WorkQueue, Outcomes], None]
Share: TypeAlias = Callable[[Server, Library, Path, Sequence["Photo"], Sequence[Stage]], Feed]


def run_stages(
    flags: ProcessFlags,
    path: Path | None,
    share: Share | None = None,
    restart_seconds: float = RESTART_SECONDS,
) -> int:
    """Do what the chosen stages, or all, have not done yet; returns the exit code.

    Args:
        share: makes what shares the photos with other workers; without it all are this process's.
        restart_seconds: how long one transaction waits for a server that went away.

    Raises:
        FatalError: nothing can be done, or a stage that was named cannot run: the others are
            through then.
    """
    for name in flags.stage or ():
        if stage_info(name).target is None:
            raise UsageError("--stage caption: captions are written by 'caption.py run'")
    settings = flags.settings()
    photos_dir, photos = _photos(flags, path, settings)
    configure_logging(settings.log_file, settings.log_level)
    images = CleanImages.up_to(settings.keep_clean, settings.library_path, say)
    home = settings.library_home
    with Library.open(home, say, images, restart_seconds=restart_seconds) as library:
        if flags.dry_run:
            _tell_pending(flags, library, photos, settings)
            return ExitCode.DONE
        refused: list[FatalError] = []
        stages = _stages(flags, settings, len(photos), refused)
        runs = {stage.name for stage in stages}
        if refused and flags.stage and runs.isdisjoint(flags.stage):
            return refused[0].exit_code  # what was asked for cannot be done: no photo is opened
        try:
            code = _run(flags, settings, photos_dir, photos, library, stages, share)
        finally:
            for stage in stages:
                stage.close()
    if code == ExitCode.DONE and flags.stage and refused:
        return refused[0].exit_code
    return code


def _stages(
    flags: ProcessFlags, settings: Settings, photos: int, refused: list[FatalError]
) -> list[Stage]:
    def left_out(name: str, error: FatalError) -> None:
        say(f"Without the stage {name}: {error}")
        refused.append(error)

    def made(make: Callable[[], Stage]) -> Stage:
        return with_models(make, settings.models_dir)

    attributes = tuple(n for n in settings.attributes.replace(" ", "").split(",") if n)
    if unknown := set(attributes) - set(ATTRIBUTES):
        raise UsageError(
            f"--attributes {min(unknown)}: there are {' and '.join(ATTRIBUTES)} (ATTRIBUTES)"
        )
    own = StageSettings(
        photos=photos,
        models_dir=settings.models_dir,
        face_score=settings.face_score,
        attributes=attributes,
        bodies=settings.bodies,
        notice=say,
    )
    return make_stages(flags.stage or _unasked(settings), own, left_out, made)


def _unasked(settings: Settings) -> list[str]:
    """The stages that are done where none is named."""
    wanted = {"bodies"} if settings.bodies else set()
    return [info.name for info in STAGES if not info.asked_for or info.name in wanted]


def _run(
    flags: ProcessFlags,
    settings: Settings,
    photos_dir: Path,
    photos: Sequence[Photo],
    library: Library,
    stages: Sequence[Stage],
    share: Share | None,
) -> int:
    from picture_captioner.pipeline.people.rewritten import leave_old_places  # numpy takes 0.1 s

    read = partial(read_files_beside, photos_dir, photos, library, settings.captions_jsonl)
    leave = partial(leave_old_places, library, photos_dir, {photo.rel_path for photo in photos})
    with closing(ProgressReporter()) as reporter:
        server: Server | None = None
        if isinstance(settings.library_home, ServerAddress):
            server = Server(library.database, settings.patience, reporter.notice)
        read() if server is None else server.until_done(read)
        with note_signals(reporter.notice) as interrupts:
            if server is not None:
                server.stopped = interrupts.requested
            feed = share(server, library, photos_dir, photos, stages) if share and server else None
            result = process_photos(
                photos_dir,
                photos,
                library,
                stages,
                reporter,
                PassOptions(
                    force=flags.force,
                    limit=flags.limit,
                    follow_links=settings.follow_links,
                    interrupted=interrupts.requested,
                    decoders=settings.decode_workers,
                    feed=feed,
                    in_transaction=server.run if server is not None else None,
                ),
            )
            gone = 0
            if photos_dir == settings.photos_dir:  # PATH alone may be elsewhere, or a part of all
                gone = leave() if server is None else server.until_done(leave)
    code = interrupts.exit_status or ExitCode.DONE
    _tell(result, stages)
    if gone:
        forget = suggested(flags, "forget", "--gone")
        say(
            f"{count(gone)} looked at before {'is' if gone == 1 else 'are'} not in {photos_dir}; "
            f"of those that were deleted '{forget}' takes out what is known"
        )
    leave_if_abandoned(result, code)
    return code


def leave_if_abandoned(result: ProcessingResult, code: int) -> None:
    """End the process at once where a decoder hangs: it must not keep us from ending."""
    if result.abandoned:
        logging.shutdown()
        os._exit(code)


def _tell(result: ProcessingResult, stages: Sequence[Stage]) -> None:
    names = ", ".join(stage.name for stage in stages) or "no stage"
    counts = result.outcomes.counts
    if not counts:
        say(f"Nothing to do: {count(result.known)} done before ({names})")
    else:
        done = sum(counts[o] for o in (Outcome.EXAMINED, Outcome.RECOGNISED, Outcome.ELSEWHERE))
        failed = counts.total() - done
        say(f"{count(done)} processed ({names}), {failed:,} failed, {result.known:,} done before")
        for reason, number in result.outcomes.reasons.most_common():
            say(f"  {number:,} {reason}")
    if result.left:
        say(f"{count(result.left)} left by --limit: run the same command again")


def print_status(flags: ProcessFlags, path: Path | None) -> int:
    """Print, per stage, how many photos are done, failed, stale and pending, and the time left."""
    settings = flags.settings()
    _, photos = _photos(flags, path, settings)
    with library_there(settings) as library:
        counts = _counts(library, photos, {info.name for info in STAGES})
        counts |= _tags(library, photos)
        counts["caption"] = _captions(settings, photos)
        left = _seconds_left(library, counts)
    if flags.as_json:
        stages = {name: {str(s): number[s] for s in Standing} for name, number in counts.items()}
        show_json({"photos": len(photos), "stages": stages, "seconds_left": left})
        return ExitCode.DONE
    rows = [
        (name, ", ".join(f"{number[s]:,} {s}" for s in Standing)) for name, number in counts.items()
    ]
    show_table(rows)
    if left:
        say(f"About {duration(left)} left for '{suggested(flags, 'process')}'")
    return ExitCode.DONE


def _counts(
    library: Library, photos: Sequence[Photo], names: set[str]
) -> dict[str, Counter[Standing]]:
    """Where the photos stand with each stage; one whose version is unknown goes by its last."""
    history = library.ledger.history()
    versions = {
        info.name: info.version or (history[info.name].version if info.name in history else None)
        for info in STAGES
        if info.name in names and info.target is not None
    }
    counts: dict[str, Counter[Standing]] = {name: Counter() for name in versions}
    for photo in photos:
        rows = library.ledger.of_file(photo.rel_path, photo.size, photo.mtime_ns)
        for name, version in versions.items():
            counts[name][standing(rows, name, version)] += 1
    return counts


def _tags(library: Library, photos: Sequence[Photo]) -> dict[str, Counter[Standing]]:
    """The same for what 'tag' gave pictures and, once it was asked to, faces where there are some.

    A photo that has no vector yet is pending.
    """
    history = library.ledger.history()
    version = history[TAGS].version if TAGS in history else None
    of_faces = history[FACE_TAGS].version if FACE_TAGS in history else None
    counts: dict[str, Counter[Standing]] = {TAGS: Counter()}
    untagged = set[str | None]()
    if of_faces is not None:
        counts[FACE_TAGS] = Counter()
        untagged.update(library.tags.faces_pending(of_faces))
    for photo in photos:
        rows = library.ledger.of_file(photo.rel_path, photo.size, photo.mtime_ns)
        counts[TAGS][standing(rows, TAGS, version)] += 1
        if of_faces is not None:
            stands = standing(rows, FACE_TAGS, of_faces)
            if stands != Standing.PENDING or library.content_of(photo.rel_path) in untagged:
                counts[FACE_TAGS][stands] += 1
    return counts


def _captions(settings: Settings, photos: Sequence[Photo]) -> Counter[Standing]:
    """The same for captions, whose ledger is the journal."""
    index = read_index(settings.captions_jsonl) if settings.captions_jsonl.exists() else None
    found: Counter[Standing] = Counter()
    for photo in photos:
        entry = index.entries.get(photo.rel_path) if index is not None else None
        if entry is None:
            found[Standing.PENDING] += 1
        elif not entry.success:
            found[Standing.FAILED] += 1
        else:
            changed = entry.size is not None and entry.size != photo.size
            found[Standing.STALE if changed else Standing.DONE] += 1
    return found


def _seconds_left(library: Library, counts: Mapping[str, Counter[Standing]]) -> float | None:
    """What the open photos should take, by what the others took; None if nothing tells."""
    left, known = 0.0, False
    for name, history in library.ledger.history().items():
        number = counts[name] if name in counts else Counter()
        if history.seconds is not None:
            share = default_decoders() if name == "normalize" else 1
            left += (number[Standing.PENDING] + number[Standing.STALE]) * history.seconds / share
            known = True
    return round(left, 1) if known else None


def _tell_pending(
    flags: ProcessFlags, library: Library, photos: Sequence[Photo], settings: Settings
) -> None:
    names = set(flags.stage or _unasked(settings))
    for name, number in _counts(library, photos, names).items():
        wanted = len(photos) if flags.force else number[Standing.PENDING] + number[Standing.STALE]
        say(f"{name}: {count(wanted)} to do")
    say("Dry run: no photo was opened")


def _photos(flags: ProcessFlags, path: Path | None, settings: Settings) -> tuple[Path, list[Photo]]:
    """The photos directory and the photos that PATH means: all, those below it, or one.

    A PATH inside the photos directory keeps the names that its photos have there.

    Raises:
        NoPhotosError: there is none.
    """
    photos_dir, part = settings.photos_dir, ""
    if path is not None:
        known = None if photos_dir is None else resolved_below(photos_dir, path)
        if known is not None:
            part = known
        else:
            photos_dir = path if path.is_dir() else path.parent
            part = "" if path.is_dir() else path.name
    root = photos_dir or photos_dir_of(settings)
    wanted = RunFlags(
        given={**flags.given, "photos_dir": root},
        config=flags.config,
        include=flags.include,
        exclude=flags.exclude,
        below=part,
    )
    return root, find_photos(wanted, root, follow_links=settings.follow_links)
