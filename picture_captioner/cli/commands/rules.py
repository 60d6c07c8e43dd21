"""From flags to the rules by which photos are chosen, and to what is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.errors import Status, UsageError, did_you_mean
from picture_captioner.journal import parse_time
from picture_captioner.pipeline.selecting.hints import Hints, read_hints
from picture_captioner.pipeline.selecting.selection import (
    HintedPrompts,
    Identity,
    SelectionRules,
    Stale,
)

RETRIED_BY_DEFAULT = "error_api,error_model"


def hints_for(flags: RunFlags) -> Hints:
    """The hints that the person wants told; none in a dry run.

    Raises:
        UsageError: the file makes no sense.
    """
    return read_hints(flags.hints) if flags.hints is not None and not flags.dry_run else Hints()


def hears_context(backend: CaptionBackend, first: CaptionBackend) -> bool:
    """Whether facts that were named for the first backend may be told to this one."""
    return backend.destination in {None, first.destination}


def identity_of(backend: CaptionBackend, hints: Hints) -> Identity:
    """What the records of this backend say of who answered what."""
    return Identity(
        backend=backend.name,
        model=backend.settings.model,
        prompt_sha256=backend.settings.prompt_sha256(),
        placeholder=backend.placeholder,
        hinted=HintedPrompts(hints, backend.settings.prompt_sha256) if hints else None,
    )


def rules_for(flags: RunFlags, backends: Sequence[CaptionBackend], hints: Hints) -> SelectionRules:
    """The selection rules behind the flags, for these backends in the order they are asked.

    Raises:
        UsageError: a word or time that is not known, or flags that exclude each other.
    """
    if flags.retry_only and flags.force:
        raise UsageError("--force takes every photo, --retry-only a few; give one of them")
    if flags.dry_run and flags.restart_every:
        raise UsageError("--dry-run opens every photo in one go; leave --restart-every out")
    retry = flags.retry_status or (RETRIED_BY_DEFAULT if flags.retry_only else "")
    plain = hints.with_context(None)
    heard = [hints if hears_context(backend, backends[0]) else plain for backend in backends]
    chain = [identity_of(*pair) for pair in zip(backends, heard, strict=True)]
    return SelectionRules(
        identity=chain[0],
        fallbacks=tuple(chain[1:]),
        retry_status=_statuses(retry),
        retry_only=flags.retry_only,
        stale=frozenset(Stale(w) for w in words_in("--stale", flags.stale or "", list(Stale))),
        force=flags.force,
        again=flags.again,
        overwrite_edits=flags.overwrite_edits,
        since=_since(flags.since),
        dry_run=flags.dry_run,
    )


def _statuses(text: str) -> frozenset[Status]:
    errors = [status for status in Status if status is not Status.SUCCESS]
    words = words_in("--retry-status", text, [*errors, "all"])
    return frozenset(errors) if "all" in words else frozenset(Status(word) for word in words)


def words_in(flag: str, text: str, valid: Iterable[str]) -> list[str]:
    """The words of a list with commas.

    Raises:
        UsageError: one that is not valid.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in set(valid):
            listed = ", ".join(valid)
            raise UsageError(f"{flag} {word}: expected {listed}{did_you_mean(word, list(valid))}")
    return words


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise UsageError(
            f"--since {text}: expected an ISO 8601 time such as 2026-11-21T22:00:00Z"
        ) from None
