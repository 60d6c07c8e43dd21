"""From flags to the rules by which photos are chosen, and to what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from picture_captioner.backends.base import TOLD, CaptionBackend
from picture_captioner.cli.flags import words_in
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import LibraryError, Status, UsageError
from picture_captioner.journal.record import parse_time
from picture_captioner.journal.writing import Journal
from picture_captioner.library.clean_images import CleanImages
from picture_captioner.library.store import Library
from picture_captioner.pipeline.selecting.hints import Context, Hints, read_hints
from picture_captioner.pipeline.selecting.selection import (
    HintedPrompts,
    Identity,
    SelectionRules,
    Stale,
)

if TYPE_CHECKING:
    from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary
    from picture_captioner.pipeline.selecting.walk import Photo

RETRIED_BY_DEFAULT = "error_api,error_model"

UNSAID = frozenset({"by hand", "a human's caption, overwritten on request"})
"""What stands where nobody gave a reason."""


def hints_for(flags: RunFlags) -> Hints:
    """The hints that the person wants told; none in a dry run.

    Raises:
        UsageError: the file makes no sense.
    """
    return read_hints(flags.hints) if flags.hints is not None and not flags.dry_run else Hints()


def library_and_context(
    flags: RunFlags,
    settings: Settings,
    backend: CaptionBackend,
    notice: Callable[[str], None],
    held: ExitStack,
    *,
    alone: bool,
) -> tuple[DispensableLibrary | None, Context | None]:
    """Where facts of the photos go, and what of them the backend is told.

    Args:
        held: closes it.
        alone: nobody else of this process speaks of a server's failures.

    Raises:
        UsageError: what is to be told makes no sense.
        LibraryError: what is to be told cannot be read.
    """
    try:
        library = _library(flags, settings, notice, held, alone=alone)
        return library, context_for(flags, settings, backend, library)
    except LibraryError as error:
        cure = "To caption without what it knows, leave --context out"
        raise type(error)(f"{error}. {cure}") from error


def _library(
    flags: RunFlags,
    settings: Settings,
    notice: Callable[[str], None],
    held: ExitStack,
    *,
    alone: bool,
) -> DispensableLibrary | None:
    """Where facts and thumbnails go on the way; a run does without it, for captions come first.

    Raises:
        LibraryError: it cannot be opened, and what it knows is to be told.
    """
    from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary

    if flags.dry_run or flags.no_library:
        return None
    try:
        kept = CleanImages.up_to(settings.keep_clean, settings.library_path, notice)
        seconds = min(DispensableLibrary.WAIT_SECONDS, settings.patience)
        home = settings.library_home
        library = held.enter_context(Library.open(home, notice, kept, restart_seconds=seconds))
        return DispensableLibrary(library, notice, alone=alone)
    except LibraryError as error:
        if settings.context:
            raise
        say(f"{error}. Captioning goes on without it")
        return None


def context_for(
    flags: RunFlags,
    settings: Settings,
    backend: CaptionBackend,
    library: DispensableLibrary | None,
) -> Context | None:
    """The facts that the person lets the backend know; None if none was named.

    Raises:
        UsageError: a kind that there is not, not every one named for another machine, or facts
            that nobody keeps.
        LibraryError: what is known of people cannot be read.
    """
    named = words_in("--context", settings.context, [*TOLD, "all"])
    if not named or flags.dry_run:
        return None
    if "all" in named and backend.destination:
        raise UsageError(
            f"--context all: what leaves for {backend.destination} is named kind by kind; "
            f"choose from {', '.join(TOLD)}"
        )
    if library is None:
        raise UsageError("--context needs what library.db knows; leave --no-library out")
    if backend.placeholder:
        say(f"--context does nothing: {backend.name} writes placeholders")
        return None
    kinds = list(TOLD) if "all" in named else named
    names = None
    if "place" in kinds:
        from picture_captioner.report.places import place_names

        names = place_names()
        if names is None:
            say("Places without a name are not told: 'caption.py doctor' names the extra places")
    people = _names_by_photo(library.library, settings) if "people" in kinds else {}
    return Context(kinds, library.facts_of, people, names, _ours(settings))


def _ours(settings: Settings) -> Callable[[str], Collection[str]]:
    """The words that `write` put into photos: read back, they would be told as somebody's own."""
    from picture_captioner.writeback import undo
    from picture_captioner.writeback.our_words import words_of_ours

    rows, _ = undo.UndoFile.read(undo.undo_path(settings.captions_jsonl))
    ours = words_of_ours(row for row in rows if row.get("inside") or row.get("undone"))
    return lambda rel_path: ours.get(rel_path, ())


def _names_by_photo(library: Library, settings: Settings) -> dict[str, list[str]]:
    """Whom each photo shows, of those who have a name and are not hidden."""
    from picture_captioner.pipeline.people.overview import overview
    from picture_captioner.pipeline.people.people_file import read_decisions

    said, _ = read_decisions(settings.people_path)
    found: dict[str, list[str]] = {}
    for person in overview(library, said).persons:
        if person.name and not person.hidden:
            for face in person.faces:
                found.setdefault(face.content_sha256, []).append(person.name)
    return found


def rejected_because(journal: Journal, photos: Sequence[Photo]) -> dict[str, str]:
    """Why the last captions of these photos were rejected, by path, where somebody said why."""
    found = {}
    for photo in photos:
        last = journal.index.entries.get(photo.rel_path)
        if last is not None and last.withdrawn:
            error = journal.read_record(last).error
            if error is not None and error.code == "rejected" and error.message not in UNSAID:
                found[photo.rel_path] = error.message
    return found


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
        since=since(flags.since),
        dry_run=flags.dry_run,
    )


def _statuses(text: str) -> frozenset[Status]:
    errors = [status for status in Status if status is not Status.SUCCESS]
    words = words_in("--retry-status", text, [*errors, "all"])
    return frozenset(errors) if "all" in words else frozenset(Status(word) for word in words)


def since(text: str | None) -> datetime | None:
    """The time of `--since`.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise UsageError(
            f"--since {text}: expected an ISO 8601 time such as 2026-11-21T22:00:00Z"
        ) from None
