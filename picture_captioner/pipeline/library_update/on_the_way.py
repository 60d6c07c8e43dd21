"""What a run finds out of photos while it captions them: facts and thumbnails, for library.db.

The decoders have each photo in their hands anyway, and wait for the backend. What they find is
stored by one thread, in batches, so that the report does not open the photos again. Captions come
first: where the library fails the run goes on without it, and says so once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from picture_captioner.errors import LibraryError, LibraryUnreachableError, PhotoError
from picture_captioner.image_loader.images import ExaminedImage, LoadedImage, Traits
from picture_captioner.journal.durable import has_room
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.ledger import is_open
from picture_captioner.library.store import Library
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.library_update.kept_images import examine_kept, keep
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import StagePhoto
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage, save_facts
from picture_captioner.pipeline.work_queue import Buffer

T = TypeVar("T")
U = TypeVar("U")

_CUT_SECONDS = 1.0
"""A call that a server ends sooner was cut off, not waited for: the server may be restarting."""

_BATCH, _LINGER_SECONDS = 64, 1.0
_WAITING = 256
"""Photos that may wait to be stored: 4 MB of thumbnails."""


class _Found(NamedTuple):
    """What was found out of a photo: its facts, that it is a copy (no facts), or its failure."""

    photo: Photo
    content_sha256: str
    loaded: LoadedImage | None
    traits: Traits | None
    error: PhotoError | None
    seconds: float


class DispensableLibrary:
    """The library of a run, which does without it from its first failure on. Thread-safe.

    Args:
        notice: told once that it failed, and what that means.
        alone: this process fills it, and nobody else speaks of the server's failures.
    """

    WAIT_SECONDS = 5.0
    """A server that went away is waited for so long, once; a restart takes seconds."""

    def __init__(
        self, library: Library, notice: Callable[[str], None], *, alone: bool = True
    ) -> None:
        self.library = library
        self._notice = notice
        self._alone = alone
        self._lock = threading.Lock()
        self._gone = False

    @property
    def gone(self) -> bool:
        """Whether the library failed, and is asked no more in this run."""
        return self._gone

    def check_room(self) -> None:
        """See that the disk of library.db has more room than the journal needs.

        Raises:
            LibraryError: it has not.
        """
        path = self.library.database.path
        if path is not None and not has_room(path.parent):
            raise LibraryError(
                f"the disk of {path} is nearly full: what is left is for the journal"
            )

    def ask(self, work: Callable[[Library], T], otherwise: U) -> T | U:
        """What `work` returns; `otherwise` if the library fails or has failed before.

        `work` is called again if the server cut it off.
        """
        if self._gone:
            return otherwise
        began = time.monotonic()
        try:
            try:
                return work(self.library)
            except LibraryUnreachableError:
                if time.monotonic() - began > _CUT_SECONDS:
                    raise
                return work(self.library)
        except LibraryError as error:
            self._give_up(error)
            return otherwise

    def facts_of(self, rel_path: str, content_sha256: str) -> PhotoFacts | None:
        """As `Facts.of_content`; None without the library."""
        return self.ask(lambda library: library.facts.of_content(rel_path, content_sha256), None)

    def lines_read(self, content_sha256: str) -> list[str] | None:
        """What was read in a photo; None if nobody read it, or without the library."""
        lines = self.ask(lambda library: library.texts.of_content(content_sha256), None)
        return None if lines is None else [line.text for line in lines]

    def _give_up(self, error: LibraryError) -> None:
        with self._lock:
            told, self._gone = self._gone, True
        if told:
            return
        if self._alone:
            self._notice(f"{error}. Captioning goes on; the report will look at the photos itself")
            return
        left = "Facts of the photos from here on are left to 'caption.py process'"
        down = isinstance(error, LibraryUnreachableError)  # the worker itself says so
        self._notice(left if down else f"{error}. {left}")


class FactsOnTheWay:
    """Takes what decoders find, from any thread; `run` is for one thread and ends with `close`.

    `at_once`: what was found of a photo is stored before it is captioned, which needs it.
    """

    def __init__(self, library: DispensableLibrary, *, at_once: bool) -> None:
        self._library = library
        self._at_once = at_once
        self._stages = (NormalizeStage(), MetadataStage())
        self._found: Buffer[_Found] = Buffer(_WAITING)

    def wants(self, photo: Photo) -> bool:
        """Whether the facts of this file are to be found out: it is new, or was changed."""
        seen = (photo.rel_path, photo.size, photo.mtime_ns)
        rows = self._library.ask(lambda library: library.ledger.of_file(*seen), None)
        return rows is not None and any(
            is_open(rows, stage.name, stage.version) for stage in self._stages
        )

    @property
    def keeps(self) -> bool:
        """Whether clean images are kept."""
        return self._library.library.clean_images is not None and not self._library.gone

    def kept(
        self,
        decoder: Decoder,
        photo: Photo,
        edge: int,
        known: Container[str],
        jpeg_quality: int | None,
    ) -> LoadedImage | None:
        """A photo whose facts are known, by its clean image, as a backend wants it; or None."""
        if not self.keeps:
            return None
        wanted = (photo, edge, known, jpeg_quality)
        found = self._library.ask(
            lambda library: examine_kept(library, decoder, *wanted, for_backend=True), None
        )
        return found.loaded if found is not None else None

    def found(self, photo: Photo, examined: ExaminedImage, seconds: float) -> None:
        """Keep what was found; without traits it is at most a copy of what is known."""
        examined = keep(self._library.library, examined)
        loaded, traits = examined.loaded, examined.traits
        found = _Found(photo, loaded.content_sha256, loaded, traits, None, seconds)
        if self._at_once:
            self._library.ask(partial(self._store_all, [found]), None)
        else:
            self._put(found)

    def undecodable(self, photo: Photo, content_sha256: str, error: PhotoError) -> None:
        """Keep that there is nothing to be found out of these bytes."""
        self._put(_Found(photo, content_sha256, None, None, error, 0.0))

    def run(self) -> None:
        """Store batch after batch until nothing more comes."""
        while batch := self._found.take(_BATCH, _LINGER_SECONDS):
            self._library.ask(partial(self._store_all, batch), None)
            if self._library.gone:
                self._found.close(discard=True)
                return

    def close(self) -> None:
        """Nothing more comes; what is waiting is stored still."""
        self._found.close()

    def _put(self, found: _Found) -> None:
        if not self._library.gone:
            self._found.put(found)

    def _store_all(self, batch: Sequence[_Found], library: Library) -> None:
        self._library.check_room()
        with library.transaction():
            for found in batch:
                self._store(found, library)

    def _store(self, found: _Found, library: Library) -> None:
        photo, content = found.photo, found.content_sha256
        rows = library.ledger.of_content(content)
        open_stages = [s for s in self._stages if is_open(rows, s.name, s.version)]
        if found.loaded is not None and found.traits is not None:
            self._save(library, open_stages, photo, found.loaded, found.traits, found.seconds)
        elif found.error is not None:
            for stage in open_stages:
                library.ledger.note(content, stage.name, stage.version, error=found.error.code)
        elif open_stages:
            return  # its facts were not looked for: the report opens it
        size, mtime_ns = photo.size, photo.mtime_ns
        if found.loaded is not None:
            size, mtime_ns = found.loaded.size, found.loaded.mtime_ns
        library.facts.save_file(photo.rel_path, size, mtime_ns, content)

    def _save(
        self,
        library: Library,
        stages: Sequence[NormalizeStage | MetadataStage],
        photo: Photo,
        loaded: LoadedImage,
        traits: Traits,
        seconds: float,
    ) -> None:
        save_facts(library, StagePhoto(photo.rel_path, loaded, traits, None))
        library.save_thumbnail(loaded.content_sha256, traits.thumbnail)
        for stage in stages:
            took = seconds if stage.name == "normalize" else 0.0
            library.ledger.note(loaded.content_sha256, stage.name, stage.version, took=took)
