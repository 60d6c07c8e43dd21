"""`search`: find photos by the words of their captions, and by their pictures where that can be."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from picture_captioner.cli.search_flags import SearchFlags
from picture_captioner.cli.terminal import count, say, show
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ConfigurationError,
    ExitCode,
    FatalError,
    LibraryError,
    UsageError,
)
from picture_captioner.library import CaptionHit, Library, fuse, has_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPORT_PAGE = "cluster_report.html"


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
    """Print the photos that match, best first; finding none is no error.

    Raises:
        UsageError: there is no word to search for.
        JournalError: the journal cannot be read.
        ConfigurationError: the report that was to be opened is not there.
    """
    query = " ".join(words).strip()
    if not has_words(query):
        raise UsageError("nothing to search for: give a word, such as search 'children on a beach'")
    settings = flags.settings()
    if not settings.captions_jsonl.exists():
        say(f"{settings.captions_jsonl} holds no records yet")
        hits: list[CaptionHit] = []
    else:
        hits = _search(settings, query, flags, embedder)
    _tell(hits, query, as_json=flags.as_json)
    if flags.open_report:
        open_report(flags.out, query)
    return ExitCode.DONE


def _search(
    settings: Settings, query: str, flags: SearchFlags, embedder: TextEmbedder | None
) -> list[CaptionHit]:
    """Search in library.db or, if that cannot be used, in an index made for this once."""
    journal, limit = settings.captions_jsonl, flags.limit
    try:
        with Library.open(settings.library_path, say) as library:
            flags = replace(flags, models_dir=settings.models_dir)
            embedder = embedder or joint_embedder(library, flags)
            return _find(library, journal, query, limit, embedder)
    except LibraryError as error:
        say(f"{error}")
        say("Searching without it this time, which takes longer")
        with Library.in_memory(say) as library:
            return _find(library, journal, query, limit, None)


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
                embedder.check()
                return embedder
        except FatalError as error:
            say(f"Searching without {name}: {error}")
    return None


def _find(
    library: Library, journal: Path, query: str, limit: int, embedder: TextEmbedder | None
) -> list[CaptionHit]:
    followed = library.follow_journal(journal)
    if followed.damaged:
        say(
            f"{journal.name}: passed over {count(followed.damaged, 'damaged line')}; "
            "see 'journal check'"
        )
    by_words = library.search_captions(query, limit)
    by_picture = _by_picture(library, query, limit, embedder) if embedder is not None else []
    return fuse([by_words, by_picture], limit) if by_picture else by_words


def _by_picture(
    library: Library, query: str, limit: int, embedder: TextEmbedder
) -> list[CaptionHit]:
    """Photos whose vectors are nearest to the text's; none, with the reason, if that cannot be."""
    try:
        identity = embedder.identity
        if identity not in library.identities():
            say(f"Searching the captions alone: library.db has no vectors of {identity} yet")
            return []
        (vector,) = embedder.embed_texts([query])
    except FatalError as error:
        say(f"Searching the captions alone: {error}")
        return []
    return [
        library.caption_of(rel_path) or CaptionHit.without_caption(rel_path, content)
        for content, _ in library.nearest(identity, vector, limit)
        for rel_path in library.paths_of(content)
    ]


def _tell(hits: Sequence[CaptionHit], query: str, *, as_json: bool) -> None:
    if as_json:
        show(json.dumps([_as_mapping(hit) for hit in hits]))
    else:
        for hit in hits:
            show(hit.rel_path, hit.caption)
    if not hits:
        say(f"Nothing found for {query}")
    elif not any(hit.all_words for hit in hits):
        say(f"No caption has all of these words; {count(len(hits))} with some of them")


def _as_mapping(hit: CaptionHit) -> dict[str, object]:
    return {
        "rel_path": hit.rel_path,
        "caption": hit.caption,
        "title": hit.title,
        "tags": list(hit.tags),
        "placeholder": hit.placeholder,
        "score": hit.score,
        "all_words": hit.all_words,
    }


def open_report(out: Path, query: str) -> None:
    """Show the report in a browser, with the search filled in.

    Raises:
        ConfigurationError: there is no report.
    """
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
