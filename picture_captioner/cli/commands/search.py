"""`search`: find photos by words, by what is known of them, and by their pictures."""

from __future__ import annotations

import os
import re
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from picture_captioner.cli.command_flags import LISTED, SearchFlags
from picture_captioner.cli.commands.files import existing_journal, name_places
from picture_captioner.cli.commands.known_people import persons_meant
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.terminal import say, show, show_as_it_is, show_json
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    FatalError,
    LibraryError,
    UsageError,
    count,
    did_you_mean,
)
from picture_captioner.journal.rows import TagDecisions, tag_key
from picture_captioner.library.conditions import TagName, folded
from picture_captioner.library.searching import Hit, Hits, Lookups
from picture_captioner.library.selection import Selection, Term, checked
from picture_captioner.library.store import Library
from picture_captioner.library.words import with_umlauts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPORT_PAGE = "cluster_report.html"

SUGGESTED = 5

_YEAR = re.compile("(18|19|20)[0-9]{2}")


class TextEmbedder(Protocol):
    """What search needs of an embedder whose texts and images share one space."""

    @property
    def identity(self) -> str:
        """What its vectors are stored under."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, shape (n, dim), every row of length 1."""


def print_search(
    flags: SearchFlags, words: Sequence[str], embedder: TextEmbedder | None = None
) -> int:
    """Print the photos that match, best first; finding none is no error."""
    if flags.paths0 and flags.as_json:
        raise UsageError("--paths0 and --json are two forms of one list: give one of them")
    settings = flags.settings()
    selection = _selection(flags, words, settings)
    if not settings.has_library:
        existing_journal(flags)
    elif not settings.library and not settings.captions_jsonl.exists():
        say(f"There is no journal at {settings.captions_jsonl}: searching library.db alone")
    found, hints = _search(settings, selection, flags, embedder)
    _tell(found, selection, flags, settings)
    for hint in hints:
        say(hint)
    if flags.open_report:
        open_report(flags.out, str(selection))
    return ExitCode.DONE


def _selection(flags: SearchFlags, words: Sequence[str], settings: Settings) -> Selection:
    """What words and flags ask for together."""
    typed = Selection.parse(" ".join(words))
    kinds = ("person", "place", "tag", "text", "camera", "has", "status", "similar")
    given = [(kind, value) for kind in kinds for value in getattr(flags, kind) or ()]
    given += [("from", flags.from_)] * (flags.from_ is not None)
    given += [("to", flags.to)] * (flags.to is not None)
    selection = typed & Selection(tuple(checked(kind, value or "") for kind, value in given))
    _require_a_time(selection)
    for unwanted in flags.not_ or ():
        selection = selection.without(Selection.parse(unwanted))
    if not selection.terms:
        shown = " ".join([*words, *(flags.not_ or ())]).strip()
        why = f" in '{shown[:60]}': it has no letter, digit or emoji"
        raise UsageError(
            f"nothing to search for{why if shown else ''}: give a word, such as search "
            "'children on a beach', or a condition, such as --from 2019-06"
        )
    return Selection(tuple(_in_library(term, settings.photos_dir) for term in selection.terms))


def _require_a_time(selection: Selection) -> None:
    """Refuse what is to be taken since one day and until an earlier one.

    Raises:
        UsageError: there is no such time.
    """
    times = [term.value.split("..") for term in selection.of_kind("date") if not term.negated]
    since = max((first for first, last in times if not last), default="")
    until = min((last for first, last in times if not first), default="")
    if since and until and since > until:
        raise UsageError(f"{since}..{until} ends before it begins")


def _in_library(term: Term, photos_dir: Path | None) -> Term:
    """A photo that is named as it lies on the disk, as the library knows it."""
    path = Path(term.value)
    if term.kind != "similar" or photos_dir is None or not path.exists():
        return term
    lies, folder = path.resolve(), photos_dir.resolve()
    if folder not in lies.parents:
        return term
    return term._replace(value=lies.relative_to(folder).as_posix())


def _search(
    settings: Settings, selection: Selection, flags: SearchFlags, embedder: TextEmbedder | None
) -> tuple[Hits, list[str]]:
    """Search in library.db or, if that cannot be used, in an index made for this once.

    And what to say of the question itself.
    """
    journal = settings.captions_jsonl
    try:
        with Library.open(settings.library_home, say) as library:
            if selection.looked_for and not selection.of_kind("similar"):
                flags = replace(flags, models_dir=settings.models_dir)
                embedder = embedder or joint_embedder(library, flags)
            return _find(library, journal, selection, flags, embedder)
    except LibraryError as error:
        if settings.library:  # it knows more than this journal: whoever named it wants its answer
            raise
        say(f"{error}")
        say("Searching without it this time, which takes longer")
        with Library.in_memory(say) as library:
            return _find(library, journal, selection, flags, None)


def joint_embedder(library: Library, flags: SearchFlags) -> TextEmbedder | None:
    """The embedder behind vectors of pictures in library.db that texts can be compared with.

    None if there are none, if it cannot run here (which is said), or if only captions are wanted.
    """
    names = () if flags.captions_only else {i.partition(":")[0] for i in library.identities()}
    for name in sorted(names):
        from picture_captioner.embedders.base import EmbedderSettings
        from picture_captioner.embedders.registry import embedder_class

        try:
            kind = embedder_class(name)
            places = EmbedderSettings(models_dir=flags.models_dir, notice=say)
            embedder = kind(replace(places, model=flags.model or ""))
            if embedder.embeds_images and embedder.embeds_texts:
                from picture_captioner.cli.progress import told

                with told("loading the model that compares words with pictures"):
                    embedder.check()
                return embedder
        except FatalError as error:
            say(f"Searching without {name}: {error}")
    return None


def _find(
    library: Library,
    journal: Path,
    selection: Selection,
    flags: SearchFlags,
    embedder: TextEmbedder | None,
) -> tuple[Hits, list[str]]:
    if journal.exists():
        followed = library.follow_journal(journal)
        if followed.damaged:
            say(
                f"{journal.name}: passed over {count(followed.damaged, 'damaged line')}; "
                f"see '{suggested(flags, 'journal check')}'"
            )
    if selection.of_kind("place"):
        name_places(library)
    words = " ".join(term.value for term in selection.looked_for)
    tags = TagDecisions.beside(journal).name
    found = library.search(
        selection,
        flags.limit or (None if flags.paths0 else LISTED),
        Lookups(
            persons=partial(_contents_of_person, library, journal),
            tags=tags,
            words_vector=_vector(library, words, embedder) if embedder else None,
            is_there=None if flags.all_ else _is_there(flags.settings().photos_dir),
        ),
        by_date=flags.sort == "date",
        fold=not flags.all_,
    )
    years = (t.value for t in selection.looked_for if t.kind == "word" and _YEAR.fullmatch(t.value))
    taken = (year for year in years if any(library.select(Selection((checked("date", year),)))))
    hints = [f"For photos taken in {year}: {_taken_in(year, selection, flags)}" for year in taken]
    if not any(hit.all_words for hit in found.photos):
        meant = persons_meant(flags.settings(), selection).items()
        hints += [f"For photos of {n}: {suggested(flags, 'search', str(s))}" for n, s in meant]
    if not found.photos:
        hints += _what_there_is(library, selection, tags, flags)
    if selection.asks_for_facts and (unknown := library.facts.unknown()):
        there = _is_there(flags.settings().photos_dir) or bool
        if number := sum(map(there, unknown)):  # of photos that are gone nobody can find it out
            process = suggested(flags, "process", "--stage=metadata")
            hints.append(f"Of {count(number)} time, place and camera are not known yet: {process}")
    return found, hints


def _is_there(folder: Path | None) -> Callable[[str], bool] | None:
    """Whether a photo lies in the photos directory; None where that is not at hand."""
    if folder is None or not folder.is_dir():
        return None
    return lambda rel_path: os.path.lexists(folder / rel_path)


def _what_there_is(
    library: Library, selection: Selection, name: TagName, flags: SearchFlags
) -> Iterator[str]:
    """For each place, camera and tag that no photo has, the nearest one or some that there are.

    For a word the nearest alone; for a tag that was renamed, merged or deleted the command that
    finds its photos.
    """
    names_of = cache(library.facts.names_of)  # of 50,000 captions the words take 2 s
    for term in selection.terms:
        if term.kind not in {"place", "camera", "tag", "word"} or term.negated:
            continue
        if any(library.select(Selection((term,)), Lookups(tags=name))):
            continue
        now = name(term.value) if term.kind == "tag" else term.value
        if now is None:
            again = suggested(flags, "tags restore", term.value)
            yield f"The tag {term.value} was deleted; this takes it back: {again}"
            continue
        if term.kind == "tag" and tag_key(now) != tag_key(term.value):
            terms = (term._replace(value=now) if t == term else t for t in selection.terms)
            again = suggested(flags, "search", str(Selection(tuple(terms))))
            yield f"The tag {term.value} is called {now} now: {again}"
            continue
        if term.kind == "tag":
            known = [tag for tag, _ in library.tags.counts(name)]
        else:
            known = names_of(term.kind)
        meant = term._replace(value=with_umlauts(term.value))
        if meant != term and any(library.select(Selection((meant,)), Lookups(tags=name))):
            near = f"; did you mean '{meant.value}'?"
        else:
            near = did_you_mean(term.value, known)
        if not near and term.kind == "word":
            continue
        some = f"; the most frequent: {', '.join(known[:SUGGESTED])}" if known else ""
        yield f"No photo has the {term.kind} {term.value}{near or some}"


def _taken_in(year: str, selection: Selection, flags: SearchFlags) -> str:
    """The same search with the year as a time, which a bare word is not: it may be a number."""
    rest = Selection(tuple(term for term in selection.terms if term[:2] != ("word", year)))
    return suggested(flags, "search", f"date:{year} {rest}".strip())


def _contents_of_person(library: Library, journal: Path, name: str) -> set[str]:
    """The contents that show who is called so.

    Raises:
        UsageError: nobody is.
    """
    from picture_captioner.pipeline.people.overview import overview
    from picture_captioner.pipeline.people.people_file import read_decisions

    said, _ = read_decisions(journal.with_name("people.jsonl"))
    known = overview(library, said)
    found = known.find(said.person(name))
    if not found:
        names = [person.name for person in known.persons if person.name]
        names += library.facts.names_of("person")
        near = next((n for n in names if folded(name) in folded(n).split()), None)
        near = f"; did you mean '{near}'?" if near else did_you_mean(name, names)
        hint = f"{near} (--person 'NAME' or 'person:\"NAME\"')" if near else ""
        listed = "; see 'caption.py people list'" if known.persons else ""
        raise UsageError(f"person:{name[:60]}: nobody is called that{hint or listed}")
    return {face.content_sha256 for person in found for face in person.faces}


def selected(words: Sequence[str], settings: Settings) -> set[str] | None:
    """The paths of the photos for which all of this holds; None if nothing is asked for.

    Raises:
        UsageError: something that cannot be asked, or somebody who is not known.
    """
    selection = Selection.parse(" ".join(words))
    if not selection.terms:
        return None
    journal = settings.captions_jsonl
    with Library.open(settings.library_home, say) as library:
        library.follow_journal(journal)
        if selection.of_kind("place"):
            name_places(library)
        persons = partial(_contents_of_person, library, journal)
        tags = TagDecisions.beside(journal).name
        return set(library.select(selection, Lookups(persons=persons, tags=tags)))


def _vector(
    library: Library, words: str, embedder: TextEmbedder
) -> tuple[str, NDArray[np.float32]] | None:
    """The words as a vector beside those of the pictures; None, with the reason."""
    try:
        identity = embedder.identity
        if identity not in library.identities():
            say(f"Searching the captions alone: library.db has no vectors of {identity} yet")
            return None
        (vector,) = embedder.embed_texts([words])
    except FatalError as error:
        say(f"Searching the captions alone: {error}")
        return None
    return identity, vector


def _tell(found: Hits, selection: Selection, flags: SearchFlags, settings: Settings) -> None:
    hits, folder = found.photos, settings.photos_dir
    if flags.paths0:
        for hit in hits:
            whole = (folder / hit.rel_path).absolute() if folder else hit.rel_path
            show_as_it_is(str(whole), end=b"\0")
    elif flags.as_json:
        show_json([_as_mapping(hit, folder) for hit in hits])
    else:
        for hit in hits:
            show(hit.rel_path, hit.caption)
    if not hits:
        say(f"Nothing found for {selection}")
    elif selection.looked_for and not any(hit.all_words for hit in hits):
        say("No caption has all of these words; these have some of them")
    if found.gone and folder:
        _tell_gone(found, flags, folder)
    if found.replaced:
        say(
            f"{count(found.replaced, 'photo')} replaced since captioned left out: "
            f"{suggested(flags, 'run', '--stale=content')} captions what lies there now"
        )
    if found.folded:
        say(f"{count(found.folded, 'near-duplicate')} of these left out; --all shows them")
    if found.more and flags.limit is None:
        # Look-alikes among them are not told apart before they are shown.
        most = "" if flags.all_ else "Up to "
        say(f"{most}{count(found.more, 'more photo')}; --limit N shows more")


def _tell_gone(found: Hits, flags: SearchFlags, folder: Path) -> None:
    """Photos that were moved or deleted. A run comes first: it takes the captions along, unpaid."""
    ways = (
        f"'{suggested(flags, 'run')}' finds what was moved, then "
        f"'{suggested(flags, 'forget', '--gone')}' takes out what is gone"
    )
    if os.path.lexists(folder / found.photos[0].rel_path):
        say(f"{found.gone:,} that are not in {folder} left out (--all shows them): {ways}")
    else:
        say(f"None of these is in {folder}, which may be another library's: {ways}")


def _as_mapping(hit: Hit, folder: Path | None) -> dict[str, object]:
    return {
        "rel_path": hit.rel_path,
        "path": str((folder / hit.rel_path).absolute()) if folder else None,
        "score": hit.score,
        "why": hit.why,
        "captured_at": hit.captured_at.isoformat() if hit.captured_at else None,
        "caption": hit.caption or None,
    }


def open_report(out: Path, query: str) -> None:
    """Show the report in a browser, with the search filled in."""
    page = (out / REPORT_PAGE).absolute()
    if not page.is_file():
        raise ConfigurationError(
            f"no report at {page}: make one with 'cluster_report.py --out DIR', then name its "
            "folder here with --out DIR"
        )
    url = f"{page.as_uri()}#q={quote(query, safe='', errors='replace')}"
    if webbrowser.open(url):
        say(f"Opened {url}")
    else:
        say(f"No browser can be started from here; open {url}")
