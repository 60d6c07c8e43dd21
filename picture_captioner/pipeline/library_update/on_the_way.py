"""What a run finds out of photos while it captions them: facts and thumbnails, for library.db.

The decoders have each photo in their hands anyway, and wait for the backend. What they find is
stored by one thread, in batches, so that the report does not open the photos again. Captions come
first: where library.db cannot be written the run goes on without it, and says so once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from picture_captioner.errors import LibraryError, PhotoError
from picture_captioner.image_loader import ExaminedImage, LoadedImage, Traits
from picture_captioner.journal import has_room
from picture_captioner.library import Library, is_open
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.kept import examine_kept, keep
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.stages.base import StagePhoto
from picture_captioner.pipeline.stages.facts import MetadataStage, NormalizeStage
from picture_captioner.pipeline.work_queue import Buffer

_BATCH, _LINGER_SECONDS = 64, 1.0
_WAITING = 256
"""Photos that may wait to be stored: 4 MB of thumbnails."""


def check_room(library: Library) -> None:
    """See that the disk of library.db has more room than the journal needs.

    Raises:
        LibraryError: it has not.
    """
    path = library.database.path
    if path is not None and not has_room(path.parent):
        raise LibraryError(f"the disk of {path} is nearly full: what is left is for the journal")


class _Found(NamedTuple):
    """What was found out of a photo: its facts, that it is a copy (no facts), or its failure."""

    photo: Photo
    content_sha256: str
    loaded: LoadedImage | None
    traits: Traits | None
    error: PhotoError | None
    seconds: float


class FactsOnTheWay:
    """Takes what decoders find, from any thread; `run` is for one thread and ends with `close`.

    `at_once`: what was found of a photo is stored before it is captioned, which needs it.
    """

    def __init__(
        self, library: Library, notice: Callable[[str], None], *, at_once: bool = False
    ) -> None:
        self._library = library
        self._at_once = at_once
        self._notice = notice
        self._stages = (NormalizeStage(), MetadataStage())
        self._found: Buffer[_Found] = Buffer(_WAITING)
        self._given_up = threading.Event()

    def wants(self, photo: Photo) -> bool:
        """Whether the facts of this file are to be found out: it is new, or was changed."""
        if self._given_up.is_set():
            return False
        try:
            rows = self._library.stages_of_file(photo.rel_path, photo.size, photo.mtime_ns)
        except LibraryError as error:
            self._give_up(error)
            return False
        return any(is_open(rows, stage.name, stage.version) for stage in self._stages)

    @property
    def keeps(self) -> bool:
        """Whether clean images are kept."""
        return self._library.clean_images is not None and not self._given_up.is_set()

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
        try:
            found = examine_kept(self._library, decoder, *wanted, for_backend=True)
        except LibraryError as error:
            self._give_up(error)
            return None
        return found.loaded if found is not None else None

    def found(self, photo: Photo, examined: ExaminedImage, seconds: float) -> None:
        """Keep what was found; without traits it is at most a copy of what is known."""
        examined = keep(self._library, examined)
        loaded, traits = examined.loaded, examined.traits
        found = _Found(photo, loaded.content_sha256, loaded, traits, None, seconds)
        if not self._at_once or self._given_up.is_set():
            self._put(found)
            return
        try:
            check_room(self._library)
            with self._library.transaction():
                self._store(found)
        except LibraryError as error:
            self._give_up(error)

    def undecodable(self, photo: Photo, content_sha256: str, error: PhotoError) -> None:
        """Keep that there is nothing to be found out of these bytes."""
        self._put(_Found(photo, content_sha256, None, None, error, 0.0))

    def run(self) -> None:
        """Store batch after batch until nothing more comes."""
        while batch := self._found.take(_BATCH, _LINGER_SECONDS):
            try:
                check_room(self._library)
                with self._library.transaction():
                    for found in batch:
                        self._store(found)
            except LibraryError as error:
                self._give_up(error)
                return

    def close(self) -> None:
        """Nothing more comes; what is waiting is stored still."""
        self._found.close()

    def _put(self, found: _Found) -> None:
        if not self._given_up.is_set():
            self._found.put(found)

    def _store(self, found: _Found) -> None:
        photo, content = found.photo, found.content_sha256
        rows = self._library.stages_of_content(content)
        open_stages = [s for s in self._stages if is_open(rows, s.name, s.version)]
        if found.loaded is not None and found.traits is not None:
            self._save(open_stages, photo, found.loaded, found.traits, found.seconds)
        elif found.error is not None:
            for stage in open_stages:
                self._library.note_stage(content, stage.name, stage.version, error=found.error.code)
        elif open_stages:
            return  # its facts were not looked for: the report opens it
        size, mtime_ns = photo.size, photo.mtime_ns
        if found.loaded is not None:
            size, mtime_ns = found.loaded.size, found.loaded.mtime_ns
        self._library.save_file(photo.rel_path, size, mtime_ns, content)

    def _save(
        self,
        stages: Sequence[NormalizeStage | MetadataStage],
        photo: Photo,
        loaded: LoadedImage,
        traits: Traits,
        seconds: float,
    ) -> None:
        seen = StagePhoto(photo.rel_path, loaded, traits, None)
        for stage in stages:
            stage.store(self._library, seen, traits)
            took = seconds if stage.name == "normalize" else 0.0
            self._library.note_stage(loaded.content_sha256, stage.name, stage.version, took=took)

    def _give_up(self, error: LibraryError) -> None:
        if not self._given_up.is_set():
            self._given_up.set()
            self._found.close(discard=True)
            self._notice(f"{error}. Captioning goes on; the report will look at the photos itself")
