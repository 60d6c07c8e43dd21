"""The embedding flow: facts, thumbnail and vector of every photo, each computed once.

    walk -> in the library? -> [worker process: read once, hash, decode, measure, thumbnail]
         -> same content known? -> buffer -> embedder, in batches -> library (one transaction)

A photo that is in the library under its path, size and time is not opened. One whose bytes are
known, because it was moved or is a copy, is read and not decoded. What a batch brought is stored
before the next one begins, so a killed run repeats what was in flight and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from library import Library
from pipeline.buffer import Buffer
from pipeline.crew import GRACE_SECONDS, Crew
from pipeline.disk_watch import DiskWatch
from pipeline.examining import Examining
from pipeline.feed import Feed
from pipeline.keeping import EmbedImages, Examined, Keeper
from pipeline.runner import default_decoders
from pipeline.sharing import SharedContent
from pipeline.stopping import Stop
from pipeline.tally import Reporter, Tally

if TYPE_CHECKING:
    from pipeline.walk import Photo

BATCH_SIZE = 32


@dataclass(frozen=True)
class EmbeddingResult:
    """How the flow ended.

    `known` photos were not opened; `tally` counts the others. `stopped` says that it was
    interrupted, `abandoned` that something did not finish within the grace period: the process
    should then be left without waiting for it.
    """

    known: int
    tally: Tally
    stopped: bool
    abandoned: bool


def embed_photos(
    photos_dir: Path,
    photos: Sequence[Photo],
    library: Library,
    embed_images: EmbedImages | None,
    identity: str | None,
    edge: int,
    reporter: Reporter,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    batch_size: int = BATCH_SIZE,
    decoders: int = 0,
    grace_seconds: float = GRACE_SECONDS,
) -> EmbeddingResult:
    """Bring the library up to date with these photos.

    Args:
        embed_images: images, longer side at most `edge` pixels, to an array (n, dim) of float32;
            None for facts and thumbnails alone. It sees pixels and nothing else.
        identity: the embedder's, under which its vectors are kept.
        interrupted: asked ten times a second; True ends the flow after what is under way.
        batch_size: images handed over at once, and photos in a transaction.
        decoders: worker processes; 0: one per processor.

    Photos that cannot be decoded or read are counted, with their reason, and passed over.

    Raises:
        NoPhotosError: the photos directory went away, or 20 in a row could not be read.
        LibraryError: library.db cannot be written.
        FatalError: what the embedder raised.
    """
    if (embed_images is None) != (identity is None):
        raise ValueError("an embedder comes with its identity")
    pending = [
        photo
        for photo in photos
        if not library.has_file(photo.rel_path, photo.size, photo.mtime_ns, identity)
    ]
    known = len(photos) - len(pending)
    if not pending:
        return EmbeddingResult(known, Tally(reporter), stopped=False, abandoned=False)
    flow = _Flow(photos_dir, pending, library, embed_images, identity, edge, reporter, batch_size)
    reporter.start(len(pending))
    workers = min(decoders or default_decoders(), len(pending))
    abandoned = flow.run(Crew(flow.stop, interrupted, grace_seconds), workers)
    if flow.stop.error is not None:
        raise flow.stop.error
    return EmbeddingResult(known, flow.tally, flow.stop.requested, abandoned)


class _Flow:
    """The parts of one flow.

    Memory does not grow with the library: the buffer holds two batches, each decoder one picture.
    """

    def __init__(
        self,
        photos_dir: Path,
        pending: Sequence[Photo],
        library: Library,
        embed_images: EmbedImages | None,
        identity: str | None,
        edge: int,
        reporter: Reporter,
        batch_size: int,
    ) -> None:
        self.stop = Stop()
        self.tally = Tally(reporter)
        feed = Feed(pending)
        shared = SharedContent(lambda sha256: library.has_content(sha256, identity))
        self._ready: Buffer[Examined] = Buffer(max(2 * batch_size, 4))
        self._keeper = Keeper(
            library, embed_images, identity, feed, shared, self.tally, self._ready, batch_size
        )
        wanted = None if embed_images is None else edge
        watch = DiskWatch(photos_dir)
        self._examining = Examining(
            photos_dir, wanted, feed, shared, self._keeper, watch, self._ready
        )
        self.stop.on_stop(feed.stop)
        self.stop.on_stop(lambda: self._ready.close(discard=True))

    def run(self, crew: Crew, decoders: int) -> bool:
        """Work until all is settled or it is stopped; True if a thread had to be left behind."""
        examiners = crew.start(self._examining.run, decoders)
        keepers = crew.start(self._keeper.run, 1)
        ended = crew.wait(examiners)
        self._ready.close()
        return not (crew.wait(keepers) and ended)
