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

from picture_captioner.library import Library
from picture_captioner.pipeline.decoding.disk_watch import DiskWatch
from picture_captioner.pipeline.dedup import SharedContent
from picture_captioner.pipeline.library_update.examining import Examining
from picture_captioner.pipeline.library_update.storing import EmbedImages, ExaminedPhoto, Keeper
from picture_captioner.pipeline.recording.outcomes import Outcomes, Reporter
from picture_captioner.pipeline.runner import default_decoders
from picture_captioner.pipeline.stopping import Stop
from picture_captioner.pipeline.threads import GRACE_SECONDS, ThreadGroup
from picture_captioner.pipeline.work_queue import Buffer, WorkQueue

if TYPE_CHECKING:
    from picture_captioner.pipeline.selecting.walk import Photo

BATCH_SIZE = 32


@dataclass(frozen=True)
class EmbeddingResult:
    """How the flow ended.

    `known` photos were not opened; `tally` counts the others. `stopped` says that it was
    interrupted, `abandoned` that something did not finish within the grace period: the process
    should then be left without waiting for it.
    """

    known: int
    outcomes: Outcomes
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
        return EmbeddingResult(known, Outcomes(reporter), stopped=False, abandoned=False)
    flow = _Flow(photos_dir, pending, library, embed_images, identity, edge, reporter, batch_size)
    reporter.start(len(pending))
    workers = min(decoders or default_decoders(), len(pending))
    abandoned = flow.run(ThreadGroup(flow.stop, interrupted, grace_seconds), workers)
    if flow.stop.error is not None:
        raise flow.stop.error
    return EmbeddingResult(known, flow.outcomes, flow.stop.requested, abandoned)


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
        self.outcomes = Outcomes(reporter)
        queue = WorkQueue(pending)
        shared = SharedContent(lambda sha256: library.has_content(sha256, identity))
        self._ready: Buffer[ExaminedPhoto] = Buffer(max(2 * batch_size, 4))
        self._keeper = Keeper(
            library, embed_images, identity, queue, shared, self.outcomes, self._ready, batch_size
        )
        wanted = None if embed_images is None else edge
        watch = DiskWatch(photos_dir)
        self._examining = Examining(
            photos_dir, wanted, queue, shared, self._keeper, watch, self._ready
        )
        self.stop.on_stop(queue.stop)
        self.stop.on_stop(lambda: self._ready.close(discard=True))

    def run(self, group: ThreadGroup, decoders: int) -> bool:
        """Work until all is settled or it is stopped; True if a thread had to be left behind."""
        examiners = group.start(self._examining.run, decoders)
        keepers = group.start(self._keeper.run, 1)
        ended = group.wait(examiners)
        self._ready.close()
        return not (group.wait(keepers) and ended)
