"""The last lines of a run: what became of the photos, why, and what to type next."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.interrupts import Interrupts
from picture_captioner.cli.run_flags import RunFlags, same_photos
from picture_captioner.cli.terminal import duration, rate, say, show, show_json
from picture_captioner.errors import ExitCode, FatalError, TruncatedImageError, count
from picture_captioner.foreign_text import without_secrets
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.recording.outcomes import Outcome, Outcomes
from picture_captioner.pipeline.selecting.selection import Portion

if TYPE_CHECKING:
    from picture_captioner.cli.commands.pending import Task

_log = logging.getLogger("caption.run")

REASONS_NAMED = 8


def tell_summary(task: Task, outcomes: Outcomes, seconds: float) -> None:
    """Say how the run ended, on stderr; a dry run lists the broken photos on stdout."""
    flags, portion, journal = task.flags, task.portion, task.journal
    _tell_outcomes(outcomes, task.backends[0], len(portion.photos), seconds)
    if flags.dry_run and not flags.as_json:
        _list_broken(outcomes)
    say(f"Journal: {journal.path}")
    for line in _next_steps(task, outcomes, seconds):
        say(line)
    if flags.as_json:
        show_counts(portion, journal, outcomes, seconds)
    _log.info(
        "run ended",
        extra={"event": "run_ended", "photos": _counts(outcomes), "seconds": round(seconds, 3)},
    )


def show_counts(portion: Portion, journal: Journal, outcomes: Outcomes, seconds: float) -> None:
    """What `--json` prints, also where there was nothing to do."""
    show_json(
        {
            "photos": len(portion.photos),
            "counts": _counts(outcomes),
            "left": portion.left_by_limit + portion.left_by_restart,
            "seconds": round(seconds, 3),
            "journal": str(journal.path.absolute()),
            "failures": [[f.rel_path, f.code, f.message] for f in sorted(outcomes.failures)],
        }
    )


def _counts(outcomes: Outcomes) -> dict[str, int]:
    return {str(outcome.name.lower()): number for outcome, number in outcomes.counts.items()}


def _tell_outcomes(outcomes: Outcomes, backend: CaptionBackend, total: int, seconds: float) -> None:
    speed = f", {rate(outcomes.settled / seconds)}" if seconds > 0 else ""
    say(f"{outcomes.settled:,} of {count(total)} worked through in {duration(seconds)}{speed}")
    for outcome in Outcome:
        if number := outcomes.counts[outcome]:
            say(f"  {number:>7,} {outcome}")
    first = f"{backend.name}, model {backend.settings.model}"
    if any(who != first for who in outcomes.answers):  # a fallback was asked
        for who, number in outcomes.answers.most_common():
            say(f"  {number:>7,} by {who}")
    if outcomes.again:
        requests = sum(each * photos for each, photos in outcomes.again.items())
        say(
            f"  {outcomes.again.total():>7,} of them asked about again, {requests:,} requests in "
            "all: an answer did not come or did not fit what was asked for"
        )
    if outcomes.outside:
        total, words = outcomes.outside.total(), outcomes.outside.most_common(REASONS_NAMED)
        done = "left out" if backend.settings.vocabulary_mode == "strict" else "kept"
        listed = ", ".join(f"{without_secrets(word[:40])} {number:,}" for word, number in words)
        say(f"  {count(total, 'tag')} outside of the vocabulary {done}: {listed}")
    if outcomes.reasons:
        reasons = outcomes.reasons.most_common(REASONS_NAMED)
        say("  reasons: " + ", ".join(f"{code} {number:,}" for code, number in reasons))


def _list_broken(outcomes: Outcomes) -> None:
    broken = [f for f in outcomes.failures if f.outcome in {Outcome.CORRUPT, Outcome.UNREADABLE}]
    say("No broken photos" if not broken else f"{count(len(broken), 'broken photo')}:")
    for failure in sorted(broken):
        show(failure.rel_path, failure.code, failure.message)
    if outcomes.mended:
        say(f"{count(len(outcomes.mended))} recorded as corrupt can be decoded now:")
        for rel_path in sorted(outcomes.mended)[:REASONS_NAMED]:
            say(f"  {rel_path}")


def _next_steps(task: Task, outcomes: Outcomes, seconds: float) -> list[str]:
    flags, portion, backend = task.flags, task.portion, task.backends[0]
    counts = outcomes.counts
    left = portion.left_by_limit + portion.left_by_restart + len(portion.photos) - outcomes.settled
    left += counts[Outcome.WITHHELD] + counts[Outcome.WITHDRAWN]
    retry = [status for status, outcome in _RETRIED if counts[outcome]]
    steps = []
    if left:
        at_limit = left == portion.left_by_limit
        again = _how_to_go_on(flags, seconds, at_limit=at_limit)
        steps.append(f"Remaining: {count(left)}; {again}")
    if counts[Outcome.UNREADABLE]:
        steps.append("Next, when the unreadable photos are back: the same command again")
    if retry and not flags.dry_run:
        again = same_photos(flags, "run", f"--retry-status={','.join(retry)}", "--retry-only")
        steps.append(f"Next, to try the failed ones again: {again}")
    if outcomes.mended:
        again = same_photos(flags, "run", "--retry-status=error_corrupt", "--retry-only")
        steps.append(f"Next, to caption the mended photos: {again}")
    if not flags.accept_truncated and any(
        failure.outcome is Outcome.CORRUPT and failure.code == TruncatedImageError.code
        for failure in outcomes.failures
    ):
        cut = ("--retry-status=error_corrupt", "--retry-only", "--accept-truncated")
        # A placeholder would change nothing: the verdict on the file is real. A dry run shows
        # photos to `mock` whatever backend is set.
        other = ["--backend=NAME"] if backend.placeholder and not flags.dry_run else []
        again = same_photos(flags, "run", *cut, *other)
        steps.append(f"Next, to caption what is left of the truncated photos: {again}")
    if flags.dry_run:
        real = same_photos(flags, "run")
        steps.append(f"Next, to caption them: {real}")
    elif backend.placeholder and not left:
        if _has_placeholders(task.journal, portion):
            real = same_photos(flags, "run", "--backend=NAME")
            steps.append(f"Next, for real captions: {real} ('caption.py backends' lists them)")
    elif counts[Outcome.CAPTIONED] and not left:
        report, search = suggested(flags, "report"), suggested(flags, "search", "WORDS")
        steps.append(f"Next, to see the library: {report}; to find photos: {search}")
    return steps


def _how_to_go_on(flags: RunFlags, seconds: float, *, at_limit: bool) -> str:
    """What takes the rest: with --force the same command would take, and pay, the same again.

    Stopped before --limit, it takes no more than that was to be; `at_limit`, as many again.
    """
    redone = flags.force or flags.retry_status or flags.retry_only
    if not redone or (flags.since and not flags.limit):
        return "run the same command again to go on"
    begun = datetime.now(UTC) - timedelta(seconds=seconds)
    since = flags.since or begun.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = f"to go on, run the same command with --since={since}"
    # What was done since then counts towards the limit, for run_loop.sh.
    return f"{told} --limit={(1 + at_limit) * flags.limit}" if flags.limit else told


def _has_placeholders(journal: Journal, portion: Portion) -> bool:
    """Whether a real backend would have something to say of these photos that is not said."""
    captions = (journal.index.caption(photo.rel_path) for photo in portion.photos)
    return any(caption is not None and not is_real(caption) for caption in captions)


_RETRIED = (("error_api", Outcome.API_ERROR), ("error_model", Outcome.MODEL_ERROR))


def exit_code(
    error: FatalError | None, interrupts: Interrupts, outcomes: Outcomes, portion: Portion
) -> int:
    """What the process says of how it ended; an error is told."""
    if error is not None:
        say(str(error), always=True)
        return interrupts.exit_status or error.exit_code
    if interrupts.exit_status is not None:
        return interrupts.exit_status
    if unproved := outcomes.counts[Outcome.WITHHELD]:
        say(f"The service failed for the last {count(unproved)}; run again when it is up")
        return ExitCode.UNAVAILABLE
    return ExitCode.MORE_TO_DO if portion.left_by_restart else ExitCode.DONE
