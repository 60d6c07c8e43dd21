"""From a selection to photos: words, filters and vectors in one ranking.

Each word is looked for wherever something is written of a photo (word_search.py); it must have all,
one here and one there. Filters are one statement. Paths stay keys (bytes) until the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from picture_captioner.errors import UsageError
from picture_captioner.library import vectors
from picture_captioner.library.captions import caption_of
from picture_captioner.library.conditions import PersonContents, TagName, where
from picture_captioner.library.home import Connection
from picture_captioner.library.looks import Looks
from picture_captioner.library.schema import from_key, to_key
from picture_captioner.library.selection import WORDS, Selection, Term
from picture_captioner.library.told import day_alone, find_times, tell_pending
from picture_captioner.library.word_search import Scores, Written, look_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from picture_captioner.image_loader.images import Structure

_RANK_OFFSET = 60
"""Of the paper on fusing ranks; it keeps the first places from outweighing everything."""

_AT_ONCE = 500
"""Contents whose paths are asked for together: on a server each question is a round trip."""


@dataclass(frozen=True)
class Lookups:
    """What library.db itself does not know; None where nobody can say.

    Attributes:
        persons: the contents that show who is called so; a `UsageError` for a name nobody has.
        tags: what a stored tag is called now, None if it was deleted.
        words_vector: identity and vector of the words, in the space of stored pictures.
        is_there: whether a photo still lies where the library knows it.
    """

    persons: PersonContents | None = None
    tags: TagName | None = None
    words_vector: tuple[str, NDArray[np.float32]] | None = None
    is_there: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo that was found; `why` says by what. Scores compare within one search."""

    rel_path: str
    content_sha256: str | None
    score: float
    why: str
    all_words: bool
    captured_at: datetime | date | None
    caption: str


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found; `folded` look like others, `more` were beyond the limit.

    `gone` are not there any more: left out if any is there, else they are the photos. `replaced`
    have the words in a caption of another picture, which lay under their name before.
    """

    photos: Sequence[Hit] = ()
    folded: int = 0
    more: int = 0
    gone: int = 0
    replaced: int = 0


_NEAREST = 1000
"""How many pictures that are like the words or a photo are taken, copies among them, if not more
are asked for. Likeness has no end: what comes after the limit by it alone is not counted."""

_BESIDE = {"capture_times": "rel_path", "photos": "content", "captions": "rel_path"}
"""The tables that filters speak of, and by what they are joined: only those that are needed."""

_MANY = 300
"""From so many on, all rows are read at once."""


class _Row(NamedTuple):
    content: bytes | None = None
    taken_at: str | None = None
    hash: int | None = None
    captioned: bytes | None = None
    """The content of which the caption is."""


_ROWS = (
    "SELECT located.rel_path, located.content, capture_times.taken_at, perceptual_hash, "
    "captions.content FROM located "
    "LEFT JOIN photos ON photos.content = located.content "
    "LEFT JOIN capture_times ON capture_times.rel_path = located.rel_path "
    "LEFT JOIN captions ON captions.rel_path = located.rel_path"
)


class Search:
    """One selection, being looked up; `connection` is library.db's, inside a transaction.

    Raises, from its methods:
        UsageError: somebody or something is asked for that is not known here.
    """

    def __init__(
        self, connection: Connection, selection: Selection, lookups: Lookups | None
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._lookups = lookups or Lookups()
        self._terms = selection.looked_for
        self._written: dict[Term, Written] = {}
        self._seen: set[bytes] = set()
        self._endless: set[bytes] = set()
        self._rows: dict[bytes, _Row] = {}
        tell_pending(connection)

    def hits(self, limit: int | None, *, by_date: bool, fold: bool) -> Hits:
        """The best photos; look-alikes of better ones are left out if `fold`.

        Without words, and if `by_date`, the newest come first, those without a time last.
        """
        scores = self._ranked(max(limit or 0, _NEAREST))
        paths = list(scores)
        if by_date or not (self._terms or self._selection.of_kind("similar")):
            self._read_all_rows()
            paths.sort()
            paths.sort(key=lambda path: self._row(path).taken_at or "", reverse=True)
        if len(paths) > _MANY and (limit is None or limit > _MANY):
            self._read_all_rows()
        kept, found = self._unfolded(paths, limit, self._lookups.is_there, fold=fold)
        if found.gone and not kept:  # all were deleted, or it is another library's folder
            kept, without = self._unfolded(paths, limit, None, fold=fold)
            found = replace(without, gone=found.gone)
        return replace(found, photos=[self._hit(path, scores[path]) for path in kept])

    def rel_paths(self) -> Iterator[str]:
        """The paths of all photos for which everything holds."""
        found = self._with_all() if self._terms else None
        return (from_key(path) for path in sorted(self._allowed(found)))

    def _ranked(self, near: int) -> Scores:
        """All that are found, with their scores, best first."""
        if similar := self._selection.of_kind("similar"):
            allowed = self._allowed(self._with_all() if self._terms else None)
            queries = [_vector_of(self._connection, term.value) for term in similar]
            alike = fuse([self._like(*query, allowed, near) for query in queries])
            self._endless.update(alike)
            return alike
        if not self._terms:
            return dict.fromkeys(sorted(self._allowed(None)), 0.0)
        found = self._with_all() or self._with_some()
        allowed = self._allowed(found)
        best = sorted(allowed, key=lambda path: (-found[path], path))
        if self._lookups.words_vector is None:
            return {path: found[path] for path in best}
        identity, vector = self._lookups.words_vector
        pictures = self._like(identity, vector, self._allowed(None), near)
        self._seen.update(pictures)
        self._endless.update(set(pictures) - set(best))
        return fuse([best, pictures]) if pictures else {path: found[path] for path in best}

    def _with_all(self) -> Scores:
        """The photos that have all of the words."""
        found: Scores | None = None
        for term in self._terms:
            here = self._term(term).scores()
            if found is not None:
                here = {path: found[path] + here[path] for path in found.keys() & here.keys()}
            found = here
        return found or {}

    def _with_some(self) -> Scores:
        found: Scores = {}
        for term in self._terms:
            for path, score in self._term(term).scores().items():
                found[path] = found.get(path, 0.0) + score
        return found

    def _term(self, term: Term) -> Written:
        """The photos of which a term is written somewhere."""
        if term not in self._written:
            self._written[term] = look_for(self._connection, term, self._lookups.tags)
        return self._written[term]

    def _allowed(self, among: Collection[bytes] | None) -> Collection[bytes]:
        """Those (None: of all) for which the filters hold, without what is not wanted."""
        condition = where(
            self._connection, self._selection, self._lookups.persons, self._lookups.tags
        )
        unwanted: set[bytes] = set()
        for term in self._selection.terms:
            if term.negated and term.kind in WORDS:
                unwanted.update(self._term(term).scores())
        if condition is None and among is not None:
            return set(among) - unwanted
        timed = any(t.kind == "date" or t[:2] == ("has", "time") for t in self._selection.terms)
        if timed:
            find_times(self._connection)
        sql, values = condition or ("TRUE", ())
        beside = " ".join(
            f"LEFT JOIN {table} ON {table}.{key} = located.{key}"
            for table, key in _BESIDE.items()
            if f"{table}." in sql
        )
        rows = self._connection.look_through(
            f"SELECT located.rel_path FROM located {beside} WHERE {sql}",  # noqa: S608
            values,
        )
        found = {path for (path,) in rows} - unwanted
        return found if among is None else found.intersection(among)

    def _like(
        self,
        identity: str,
        vector: NDArray[np.float32],
        allowed: Collection[bytes],
        near: int,
    ) -> list[bytes]:
        """The allowed photos whose vectors are nearest."""
        nearest = vectors.nearest(self._connection, identity, vector)
        pieces = iter(lambda: [to_key(content) for content, _ in islice(nearest, _AT_ONCE)], [])
        ranking = (
            path
            for contents in pieces
            for path in _paths_of(self._connection, contents)
            if path in allowed
        )
        return list(islice(ranking, near))

    def _unfolded(
        self,
        paths: Sequence[bytes],
        limit: int | None,
        is_there: Callable[[str], bool] | None,
        *,
        fold: bool,
    ) -> tuple[list[bytes], Hits]:
        """The first of `paths` that do not look alike and are there, and how many are not shown."""
        kept: list[bytes] = []
        gone = replaced = 0
        looks = Looks(self._structure)
        for place, path in enumerate(paths):
            if len(kept) == limit:
                more = sum(path not in self._endless for path in paths[place:])
                folded = place - len(kept) - gone - replaced
                return kept, Hits((), folded, more, gone, replaced)
            if is_there and not is_there(from_key(path)):
                gone += 1
            elif self._is_of_another(path) and self._is_found_by_caption(path):
                replaced += 1
            else:
                row = self._row(path) if fold else None
                if row is None or not looks.known(row.content, row.hash):
                    kept.append(path)
        return kept, Hits((), len(paths) - len(kept) - gone - replaced, 0, gone, replaced)

    def _is_found_by_caption(self, path: bytes) -> bool:
        """Whether a word is written nowhere but in the caption."""
        return any(self._term(term).only_in_caption(path) for term in self._terms)

    def _is_of_another(self, path: bytes) -> bool:
        """Whether the caption is of another picture: one with a new rating looks as it did."""
        row = self._row(path)
        if row.content is None or row.captioned is None or row.content == row.captioned:
            return False
        if self._thumbnail(row.content) == self._thumbnail(row.captioned):
            return False  # to look at two takes 8 ms
        now, then = self._structure(row.content), self._structure(row.captioned)
        return now is not None and then is not None and not now.resembles(then)

    def _thumbnail(self, content: bytes) -> bytes | None:
        row = self._connection.execute(
            "SELECT webp FROM thumbnails WHERE content = ?", (content,)
        ).fetchone()
        return bytes(row[0]) if row is not None else None

    def _structure(self, content: bytes) -> Structure | None:
        thumbnail = self._thumbnail(content)
        if thumbnail is None:
            return None
        # Pillow takes a tenth of a command's time to import, and few searches find look-alikes.
        from picture_captioner.image_loader.images import structure_of

        return structure_of(thumbnail)

    def _read_all_rows(self) -> None:
        find_times(self._connection)
        rows = self._connection.look_through(_ROWS)
        self._rows = {path: _Row(*rest) for path, *rest in rows}

    def _row(self, path: bytes) -> _Row:
        if path not in self._rows:
            find_times(self._connection, path)
            row = self._connection.execute(
                f"{_ROWS} WHERE located.rel_path = ?", (path,)
            ).fetchone()
            # On a server another process may forget it.
            self._rows[path] = _Row(*(row or (path,))[1:])
        return self._rows[path]

    def _hit(self, path: bytes, score: float) -> Hit:
        rel_path, row = from_key(path), self._row(path)
        said = caption_of(self._connection, rel_path)
        return Hit(
            rel_path=rel_path,
            content_sha256=from_key(row.content) if row.content is not None else None,
            score=score,
            why="; ".join(self._why(path)),
            all_words=all(path in self._term(term) for term in self._terms),
            captured_at=self._captured_at(path, row.taken_at),
            caption=said.caption if said and not self._is_of_another(path) else "",
        )

    def _captured_at(self, path: bytes, taken_at: str | None) -> datetime | date | None:
        """When it was taken; the day where no more is known, for which noon is stored."""
        if taken_at is None:
            return None
        time = datetime.fromisoformat(taken_at)
        noon = taken_at.endswith("T12:00:00")
        return time.date() if noon and day_alone(self._connection, path) else time

    def _why(self, path: bytes) -> Iterator[str]:
        """By what a photo was found: words where they are written, pictures, filters."""
        said = [str(term) for term in self._terms if path in self._term(term).captions]
        written = [term.value for term in self._terms if path in self._term(term).pictures]
        told = [term.value for term in self._terms if path in self._term(term).told]
        given = [term.value for term in self._terms if path in self._term(term).tags]
        if said:
            yield f"caption: {' '.join(said)}"
        if written:
            yield f"text in the picture: {' '.join(written)}"
        if told:
            yield f"other programs: {' '.join(told)}"
        if given:
            yield f"tags: {' '.join(given)}"
        if path in self._seen:
            yield "looks like the words"
        filters = [t for t in self._selection.terms if t.kind not in WORDS and not t.negated]
        yield from map(str, filters)


def fuse(rankings: Iterable[Sequence[bytes]]) -> Scores:
    """The scores of what stands in several rankings, best first in each, best first here.

    Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    scores: Scores = {}
    for ranking in rankings:
        for place, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_RANK_OFFSET + place)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


def _paths_of(connection: Connection, contents: Sequence[bytes]) -> list[bytes]:
    """The paths of each, in the contents' order."""
    marks = ", ".join("?" * len(contents))
    rows = connection.execute(
        f"SELECT content, rel_path FROM located WHERE content IN ({marks}) ORDER BY rel_path",  # noqa: S608
        contents,
    )
    paths = defaultdict(list)
    for content, path in rows:
        paths[content].append(path)
    return [path for content in contents for path in paths[content]]


def _vector_of(connection: Connection, rel_path: str) -> tuple[str, NDArray[np.float32]]:
    """The vector of a photo, of the embedder that came last, with its identity."""
    row = connection.execute(
        "SELECT models.identity, located.content FROM located "
        "JOIN vectors ON vectors.key = located.content JOIN models ON models.id = vectors.model "
        "WHERE located.rel_path = ? ORDER BY models.id DESC",
        (to_key(rel_path),),
    ).fetchone()
    if row is None:
        raise UsageError(
            f"nothing is known that {rel_path} could be compared by: name a photo of the library, "
            "after 'caption.py process --stage embed'"
        )
    identity, content = row
    _, array = vectors.load(connection, identity, [from_key(content)])
    return identity, array[0] / max(float((array[0] ** 2).sum()) ** 0.5, 1e-12)
