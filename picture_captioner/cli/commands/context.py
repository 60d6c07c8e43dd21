"""Which facts may be told to the model; shown, with one example, before the first photo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from picture_captioner.backends.base import TOLD, CaptionBackend
from picture_captioner.cli.commands.rules import words_in
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import UsageError
from picture_captioner.journal import Journal
from picture_captioner.library import Library, PhotoFacts
from picture_captioner.pipeline.library_update.on_the_way import DispensableLibrary
from picture_captioner.pipeline.library_update.processing import process_photos
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome
from picture_captioner.pipeline.selecting.hints import Context
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage

UNSAID = frozenset({"by hand", "a human's caption, overwritten on request"})
"""What stands where nobody gave a reason."""

LOOKED_AT = 50
"""Photos among which one is looked for of which every kind is known."""


class _Silent:
    """A reporter of a look at one photo, of which nobody need hear."""

    def start(self, total: int) -> None: ...

    def advance(self, outcome: Outcome) -> None: ...

    def failed(self, failure: FailedPhoto) -> None: ...

    def notice(self, text: str) -> None: ...


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
        cure = "leave --no-library out" if flags.no_library else "and it cannot be opened"
        raise UsageError(f"--context needs what library.db knows; {cure}")
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

    rows, _ = undo.UndoFile.read(undo.undo_path(settings.captions_jsonl))
    ours = undo.words_of_ours(row for row in rows if row.get("inside") or row.get("undone"))
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


def tell_context(
    context: Context,
    library: DispensableLibrary | None,
    photos_dir: Path,
    photos: Sequence[Photo],
    destination: str | None,
) -> None:
    """One line: the kinds, the host, and what is told of one of these photos."""
    kinds, to = ", ".join(context.kinds), destination or "the model on this machine"
    example, told = "", dict[str, str]()

    def facts_of(photo: Photo) -> PhotoFacts | None:
        seen = (photo.rel_path, photo.size, photo.mtime_ns)
        return library.ask(lambda known: known.facts(*seen), None) if library is not None else None

    if library is not None and not facts_of(photos[0]):
        stages = [NormalizeStage(), MetadataStage()]
        one = photos[:1]
        library.ask(
            lambda known: process_photos(photos_dir, one, known, stages, _Silent(), decoders=1),
            None,
        )
    for photo in photos[:LOOKED_AT]:
        facts = facts_of(photo)
        content = facts.content_sha256 if facts is not None else None
        found = {fact.kind: str(fact) for fact in context.told(photo.rel_path, content)}
        if len(found) > len(told):
            example, told = photo.rel_path, found
    shown = "; ".join(f'{kind} "{value}"' for kind, value in told.items()) or "nothing"
    of = f"of {example}" if example else "of the first photos"
    say(f"Telling {to} of each photo what is known of: {kinds}. For instance, {of}: {shown}",
        always=True)  # fmt: skip
