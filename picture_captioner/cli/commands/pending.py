"""Which of the photos found a run takes, and what it says of them before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.batch.ledger import Job as SentJob
from picture_captioner.batch.ledger import not_out, photos_out
from picture_captioner.cli.program import command
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import count, say
from picture_captioner.errors import ConfigurationError, PhotoError, Status, UnreadableFileError
from picture_captioner.image_loader import RAW_EXTENSIONS, read_file
from picture_captioner.journal import Journal, JournalIndex, is_real
from picture_captioner.pipeline.dedup import find_shots
from picture_captioner.pipeline.selecting.selection import (
    Selection,
    SelectionRules,
    Stale,
    known_below,
    of_another_library,
)
from picture_captioner.pipeline.selecting.walk import Photo


def shots_of(photos: Sequence[Photo], rules: SelectionRules) -> dict[str, Photo]:
    """RAW files and the photos taken with them; a placeholder costs nothing and is made of each."""
    return {} if rules.identity.placeholder else find_shots(photos, RAW_EXTENSIONS)


def take_raws_of_captions(
    selection: Selection,
    photos: Sequence[Photo],
    shots: Mapping[str, Photo],
    index: JournalIndex,
) -> None:
    """Take RAW files that could not be decoded, too, where another photo of the shot has a caption.

    A dry run, or a run with a placeholder, opened them although nobody needs to.
    """
    pending = {photo.rel_path for photo in selection.pending}
    for photo in photos:
        leader, last = shots.get(photo.rel_path), index.entries.get(photo.rel_path)
        if leader is None or last is None or last.status is not Status.ERROR_CORRUPT:
            continue
        known = index.caption(leader.rel_path)
        captioned = leader.rel_path in pending or (known is not None and is_real(known))
        if captioned and photo.rel_path not in pending:
            selection.pending.append(photo)
            selection.done[Status.ERROR_CORRUPT] -= 1


def leave_out_what_is_out(
    selection: Selection, jobs: Mapping[str, SentJob], shots: Mapping[str, Photo]
) -> int:
    """Leave out photos in batch jobs that are out, whatever the flags say; how many were pending.

    And the RAW files of them, which get their captions.
    """
    out = set(photos_out(jobs))
    out.update(raw for raw, leader in shots.items() if leader.rel_path in out)
    pending = not_out(selection.pending, out)
    if waiting := len(selection.pending) - len(pending):
        told = f"Passing over {count(waiting)} that batch jobs hold; see 'caption.py batch status'"
        say(told, always=True)
    selection.pending[:] = pending
    return waiting


def leave_out_copies_of_what_is_out(
    photos: Sequence[Photo], jobs: Mapping[str, SentJob], photos_dir: Path
) -> list[Photo]:
    """The photos whose bytes no job has: the others get its caption, once it is collected."""
    out = {
        (photo.size, photo.content_sha256)
        for job in jobs.values()
        if job.is_out
        for photo in job.photos.values()
    }
    sizes = {size for size, _ in out}
    left = [p for p in photos if p.size not in sizes or (p.size, _hash(p, photos_dir)) not in out]
    if waiting := len(photos) - len(left):
        say(f"{count(waiting)} wait: batch jobs have the same photos, and the captions are copied")
    return left


def _hash(photo: Photo, photos_dir: Path) -> str:
    try:
        return read_file(photos_dir / photo.rel_path).content_sha256
    except (UnreadableFileError, PhotoError):
        return ""  # the run says what is wrong with it


def reverse_after_a_death(journal: Journal, selection: Selection) -> bool:
    """Reverse the photos after a run that died; returns whether it was done.

    Whatever that run died of must not meet every run at the same place.
    """
    if not journal.died_running_forward or len(selection.pending) < 2:
        return False
    say(
        "The last run ended without a word (killed, a crash, or the power went): taking the photos "
        "in reverse order, so that no photo holds up every run at the same place"
    )
    selection.pending.reverse()
    return True


def require_own_journal(
    photos_dir: Path, photos: Sequence[Photo], journal: Journal, rules: SelectionRules
) -> None:
    """Check that what is recorded is of these photos, under the names that they have here.

    Raises:
        ConfigurationError: it seems to be of another library, or of a folder above.
    """
    if folder := known_below(photos_dir, photos, journal.index):
        above = photos_dir.resolve().parents[len(PurePosixPath(folder).parts) - 1]
        raise ConfigurationError(
            f"the journal {journal.path} knows these photos as {folder}/...: they are a part of "
            f"the library {above}. To take that part: "
            f"'{command('run', f'--photos-dir={above}', str(photos_dir))}', or "
            "give them a journal of their own with --captions-jsonl FILE"
        )
    if rules.force or Stale.CONTENT in rules.stale:
        return  # what is recorded of other files is then superseded
    if differing := of_another_library(photos, journal.index):
        raise ConfigurationError(
            f"the journal {journal.path} seems to be another library's: {differing}. Give this "
            "library one of its own with --captions-jsonl FILE (CAPTIONS_JSONL in config.env), or, "
            "if the files were changed, caption them again with --stale content"
        )


def tell_selection(selection: Selection, backend: CaptionBackend, flags: RunFlags) -> None:
    """Say how many are done already, and who is asked for the rest."""
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
        say(f"Backend: {named(backend)}", always=True)


def tell_nothing_to_do(selection: Selection, flags: RunFlags, *, in_jobs: bool) -> None:
    """Say why there is nothing to do, and how what failed before is tried again."""
    done, failed = selection.done, selection.done_errors
    what = "every photo is done"
    if in_jobs:
        what = "all is done but what batch jobs hold"
    elif failed:
        what = f"{count(failed)} failed before, the others are done"
    say(f"Nothing to do: {what}. (--retry-status, --stale and --force redo.)")
    undecodable = done[Status.ERROR_CORRUPT]
    if retried := [str(s) for s in (Status.ERROR_API, Status.ERROR_MODEL) if done[s]]:
        again = same_photos(flags, "run", f"--retry-status={','.join(retried)}", "--retry-only")
        say(f"Next, to try {count(failed - undecodable)} again: {again}")
    if undecodable:
        again = same_photos(flags, "run", "--retry-status=error_corrupt", "--retry-only")
        say(f"{count(undecodable)} cannot be decoded; when they are mended: {again}")


def named(backend: CaptionBackend) -> str:
    """Who is asked, and where: said before the first request, which may carry the key."""
    where = f", at {backend.destination}" if backend.destination else ""
    return f"{backend.name}, model {backend.settings.model}{where}"
