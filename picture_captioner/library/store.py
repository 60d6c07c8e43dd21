"""`Library`: what is known of each photo besides its caption, in a file or on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from picture_captioner.journal.forgetting import Traces
from picture_captioner.library import captions, carrying, forgetting, vectors
from picture_captioner.library.captions import Followed
from picture_captioner.library.clean_images import CleanImages
from picture_captioner.library.database import FileDatabase, Notice
from picture_captioner.library.face_runs import FaceRuns
from picture_captioner.library.faces import Faces
from picture_captioner.library.facts import Facts
from picture_captioner.library.home import Connection, Database
from picture_captioner.library.ledger import Ledger
from picture_captioner.library.schema import from_key, to_key
from picture_captioner.library.searching import Hits, Lookups, Search
from picture_captioner.library.selection import Selection
from picture_captioner.library.syncing import index_words, sync
from picture_captioner.library.tags import Tags
from picture_captioner.library.texts import Texts
from picture_captioner.library.told import Others
from picture_captioner.settings import ServerAddress

RESTART_SECONDS = 30.0
"""How long a server that went away is waited for; a restart takes seconds."""

T = TypeVar("T")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Library:
    """The library, open. Thread-safe. A cache: nothing in it cannot be computed again.

    What is kept of one subject has an attribute: `facts`, `ledger`, `tags`, `texts`, `others`,
    `faces`, `face_runs`. Each call is one transaction, unless it is made inside
    `with library.transaction()`. What every call may raise: `LibraryError`, `LibraryLockedError`.
    """

    def __init__(
        self, database: Database, notice: Notice, clean_images: CleanImages | None = None
    ) -> None:
        self.clean_images = clean_images
        self._notice = notice
        self.database = database
        self.faces = Faces(database)
        self.face_runs = FaceRuns(database)
        self.facts = Facts(database)
        self.ledger = Ledger(database)
        self.others = Others(database)
        self.tags = Tags(database, self.ledger)
        self.texts = Texts(database, self.tags)

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

    def carry(
        self, rel_path: str, old_sha256: str, new_sha256: str, size: int, mtime_ns: int
    ) -> None:
        """The file has other metadata now: what is known of its picture goes along."""
        with self.database.transaction() as connection:
            carrying.carry(connection, self.texts, rel_path, old_sha256, new_sha256)
            self.facts.save_file(rel_path, size, mtime_ns, new_sha256)

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
        with self.database.reading() as connection:
            rows = connection.execute("SELECT rel_path, content FROM files")
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
                self.ledger.drop(identity)
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
        index_words(self.run, journal)
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
