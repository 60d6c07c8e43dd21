"""`Library`: what is known of each photo besides its caption, in a file or on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from picture_captioner.journal.forgetting import Traces
from picture_captioner.journal.rows import TagDecisions, tag_key
from picture_captioner.library import (
    captions,
    carrying,
    facts,
    forgetting,
    ledger,
    tags,
    texts,
    told,
    vectors,
)
from picture_captioner.library.captions import Followed
from picture_captioner.library.clean_images import CleanImages
from picture_captioner.library.database import FileDatabase, Notice
from picture_captioner.library.face_runs import FaceRuns
from picture_captioner.library.faces import Faces
from picture_captioner.library.facts import PhotoFacts, Place
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.ledger import StageHistory, StageRow
from picture_captioner.library.schema import from_key, to_key
from picture_captioner.library.searching import Hits, Lookups, Search
from picture_captioner.library.selection import Selection
from picture_captioner.library.syncing import index_words, sync
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.told import NamedFace
from picture_captioner.settings import ServerAddress

RESTART_SECONDS = 30.0
"""How long a server that went away is waited for; a restart takes seconds."""

T = TypeVar("T")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Library:
    """The library, open. Thread-safe. A cache: nothing in it cannot be computed again.

    Each call is one transaction, unless it is made inside `with library.transaction()`. What
    every call may raise: `LibraryError`, `LibraryLockedError`.
    """

    def __init__(
        self, database: Database, notice: Notice, clean_images: CleanImages | None = None
    ) -> None:
        self.clean_images = clean_images
        self._notice = notice
        self.database = database
        self.faces = Faces(database)
        self.face_runs = FaceRuns(database)

    @classmethod
    def open(
        cls,
        home: Path | ServerAddress,
        notice: Notice,
        clean_images: CleanImages | None = None,
        *,
        restart_seconds: float = RESTART_SECONDS,
    ) -> Self:
        """Open the file or the collection on a server, made if there is none.

        `notice` is told when a file that is broken, foreign or of another version was moved aside,
        and when a collection is begun. Passes over the photos use and fill `clean_images`. A server
        that goes away is waited for `restart_seconds`.

        Raises:
            LibraryError: it cannot be opened or made.
        """
        if isinstance(home, Path):
            return cls(FileDatabase(home, notice), notice, clean_images)
        from picture_captioner.library.postgresql import PostgresDatabase

        return cls(PostgresDatabase(home, notice, restart_seconds), notice, clean_images)

    @classmethod
    def in_memory(cls, notice: Notice) -> Self:
        """A library that is forgotten when it is closed."""
        return cls(FileDatabase(None, notice), notice)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def transaction(self) -> AbstractContextManager[object]:
        """What is saved in this block is kept as a whole, or not at all."""
        return self.database.transaction()

    def facts(self, rel_path: str, size: int, mtime_ns: int) -> PhotoFacts | None:
        """What is known of a file that has not changed since it was looked at.

        A capture time that EXIF does not state is taken from the file's name.
        """
        with self.database.reading() as connection:
            return facts.of_file(connection, rel_path, size, mtime_ns)

    def facts_of(self, rel_path: str, content_sha256: str) -> PhotoFacts | None:
        """What is known of a file that has this content, whenever it was looked at."""
        with self.database.reading() as connection:
            return facts.of_content(connection, rel_path, content_sha256)

    def save_facts(self, rel_path: str, size: int, mtime_ns: int, found: PhotoFacts) -> None:
        """Keep the facts of the content, and that this file has it."""
        with self.database.transaction() as connection:
            facts.save(connection, found)
            self.save_file(rel_path, size, mtime_ns, found.content_sha256)

    def save_file(self, rel_path: str, size: int, mtime_ns: int, content_sha256: str) -> None:
        """Keep that this file has content that is known from another one."""
        row = (to_key(rel_path), size, mtime_ns, to_key(content_sha256))
        with self.database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def carry(
        self, rel_path: str, old_sha256: str, new_sha256: str, size: int, mtime_ns: int
    ) -> None:
        """The file has other metadata now: what is known of its picture goes along."""
        with self.database.transaction() as connection:
            carrying.carry(connection, rel_path, old_sha256, new_sha256)
            self.save_file(rel_path, size, mtime_ns, new_sha256)

    def stages_of_file(self, rel_path: str, size: int, mtime_ns: int) -> list[StageRow]:
        """What was done to the content of a file that has not changed since it was looked at."""
        with self.database.reading() as connection:
            return ledger.of_file(connection, rel_path, size, mtime_ns)

    def stages_of_content(self, content_sha256: str) -> list[StageRow]:
        """What was done to this content, wherever it lies."""
        with self.database.reading() as connection:
            return ledger.of_content(connection, content_sha256)

    def note_stage(
        self,
        content_sha256: str,
        stage: str,
        version: str,
        *,
        error: str | None = None,
        took: float | None = None,
    ) -> None:
        """Keep that a stage is done, or with an `error` that it failed once more.

        Belongs into the transaction that saves what the stage brought.
        """
        with self.database.transaction() as connection:
            ledger.note(connection, content_sha256, stage, version, error, took)

    def stage_history(self) -> dict[str, StageHistory]:
        """Of each stage that ever ran here its latest version, and how long a photo took."""
        with self.database.reading() as connection:
            return ledger.history(connection)

    def paths_of(self, content_sha256: str) -> list[str]:
        """The files that had this content when they were looked at or captioned last."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT rel_path FROM files WHERE content = :content "
                "UNION SELECT rel_path FROM captions WHERE content = :content ORDER BY rel_path",
                {"content": to_key(content_sha256)},
            )
            return [from_key(row[0]) for row in rows]

    def content_of(self, rel_path: str) -> str | None:
        """What a file had as content when it was looked at or captioned last."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT content FROM located WHERE rel_path = ?", (to_key(rel_path),)
            ).fetchone()
        return from_key(row[0]) if row is not None and row[0] is not None else None

    def known_files(self) -> dict[str, str]:
        """Every file that was looked at, and the hash of its bytes."""
        rows = forgetting.known_files(self.database)
        return {from_key(path): from_key(content) for path, content in rows}

    def drop_files(self, paths: Iterable[str]) -> None:
        """Forget that there were files of these names; what is known of their contents stays."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM files WHERE rel_path = ?", [(to_key(path),) for path in paths]
            )

    def thumbnail(self, content_sha256: str) -> bytes | None:
        """The WebP thumbnail of a photo, 320 pixels on its longer side."""
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT webp FROM thumbnails WHERE content = ?", (to_key(content_sha256),)
            ).fetchone()
        return bytes(row[0]) if row is not None else None

    def save_thumbnail(self, content_sha256: str, webp: bytes) -> None:
        """Keep a photo's thumbnail."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", (to_key(content_sha256), webp)
            )

    def identities(self) -> dict[str, int]:
        """The embedders whose vectors are here, and how many they made."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT identity, (SELECT count(*) FROM vectors WHERE model = models.id) "
                "FROM models ORDER BY identity"
            )
            return {str(identity): int(number) for identity, number in rows}

    def vectors(
        self, identity: str, keys: Sequence[str]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which keys have a vector, shape (n,), and the vectors, (n, dim), zeros for the others.

        A key is the SHA-256 (hexadecimal) of what was embedded: a photo's bytes, or a caption's
        UTF-8 text. `dim` is 0 if nothing of that embedder is here.
        """
        with self.database.reading() as connection:
            return vectors.load(connection, identity, keys)

    def save_vectors(
        self, identity: str, keys: Sequence[str], array: NDArray[np.floating[Any]]
    ) -> None:
        """Keep vectors, array (n, dim), as float16.

        An identity whose dimension changed loses its older vectors, and `notice` is told.

        Raises:
            ValueError: not one finite vector for each key.
        """
        if not keys:
            return
        with self.database.transaction() as connection:
            replaced = vectors.save(connection, identity, keys, array)
            if replaced:
                ledger.drop(connection, identity)
        if replaced:
            self._notice(f"the vectors of {identity} had another dimension: computed again")

    def follow_journal(self, journal: Path) -> Followed:
        """Let the full-text index take in what was added to the journal.

        Raises:
            JournalError: the journal cannot be read.
        """
        if isinstance(self.database, FileDatabase):
            return captions.follow(self.database, journal)
        synced = sync(self.run, journal)
        self.run(partial(index_words, tags=TagDecisions.beside(journal)))
        return Followed(synced.records, synced.damaged)

    def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, in one transaction."""
        with self.database.transaction() as connection:
            return work(connection)

    def search(
        self,
        selection: Selection,
        limit: int | None,
        lookups: Lookups | None = None,
        *,
        by_date: bool = False,
        fold: bool = True,
    ) -> Hits:
        """The photos of a selection, best first; near-duplicates of better ones are folded away.

        If no photo has all words, those with some of them are found.

        Raises:
            UsageError: somebody or something is asked for that is not known here.
        """
        with self.database.transaction() as connection:
            return Search(connection, selection, lookups).hits(limit, by_date=by_date, fold=fold)

    def select(self, selection: Selection, lookups: Lookups | None = None) -> Iterator[str]:
        """The paths of all photos for which everything in the selection holds, sorted.

        Raises:
            UsageError: somebody or something is asked for that is not known here.
        """
        with self.database.transaction() as connection:
            return Search(connection, selection, lookups).rel_paths()

    def save_text(
        self,
        content_sha256: str,
        reader: str,
        lines: Sequence[tuple[str, float, tuple[tuple[float, float], ...]]],
    ) -> None:
        """Keep the lines (text, confidence, corners) that a reader found in a photo."""
        with self.database.transaction() as connection:
            texts.save(connection, content_sha256, reader, lines)

    def text_of(self, content_sha256: str) -> list[texts.StoredLine] | None:
        """The lines that were read in a photo; None if nobody has read it."""
        with self.database.reading() as connection:
            return texts.load(connection, content_sha256)

    def stamp_beside(self, folder: str) -> str | None:
        """What the files beside a folder's photos were when they were read; None if never."""
        with self.database.reading() as connection:
            return told.stamp_of(connection, folder)

    def save_beside(self, folder: str, stamp: str, found: Mapping[str, Metadata]) -> None:
        """Keep what files beside a folder's photos say of each, by its path."""
        with self.database.transaction() as connection:
            told.save_beside(connection, folder, stamp, found)

    def named_faces(self) -> dict[str, list[NamedFace]]:
        """The faces that other programs named in photos with faces of ours, in upright pixels."""
        with self.database.reading() as connection:
            return told.named_faces(connection)

    def name_places(
        self, names: Callable[[Sequence[tuple[float, float]]], Sequence[Place | None]]
    ) -> None:
        """Let searches know the places of photos with a position; asked for new ones only."""
        with self.database.transaction() as connection:
            facts.name_places(connection, names)

    def names_of(self, kind: str) -> list[str]:
        """The cities (`place`) or cameras (`camera`) of photos, the most frequent first."""
        with self.database.reading() as connection:
            return facts.names_of(connection, kind)

    def words(self) -> texts.Words:
        """Tags, texts and places of the pictures themselves, by content."""
        with self.database.reading() as connection:
            return texts.words(connection)

    def tag_counts(self, name: Callable[[str], str | None] = str) -> list[tuple[str, int]]:
        """How many photos have each tag, called as `name` says (None: not at all)."""
        with self.database.transaction() as connection:
            told.tell_pending(connection)
            return tags.counts(connection, name, tag_key)

    def tags_pending(self, identity: str, version: str | None) -> list[str]:
        """The contents with a vector of this embedder that lack tags of this version.

        `version` None: all with a vector.
        """
        with self.database.reading() as connection:
            return tags.pending(connection, identity, version)

    def save_tags(
        self, identity: str, version: str, found: Mapping[str, Sequence[tags.GivenTag]]
    ) -> None:
        """Keep the tags that a model gave these contents, in place of those they had."""
        with self.database.transaction() as connection:
            tags.save(connection, identity, version, found)

    def given_tags(self) -> dict[str, list[tags.GivenTag]]:
        """The tags that a model gave the pictures, by content, the surest first."""
        with self.database.reading() as connection:
            return tags.given(connection)

    def add_traces(self, traces: Traces, forgets: Callable[[str], bool]) -> None:
        """Add what is known of photos to be forgotten, and of those that stay."""
        known = list(self.known_files().items())
        found = {path: content for path, content in known if forgets(path)}
        traces.paths.update(found)
        traces.hashes.update(found.values())
        kept = (content for path, content in known if path not in found)
        traces.kept_hashes |= traces.hashes.intersection(kept)

    def forget(self, paths: Iterable[str], hashes: Iterable[str], captions: Iterable[str]) -> None:
        """Delete all that is known of these photos, and leave nothing of it in the file."""
        forgetting.forget(self.database, paths, hashes, captions)
