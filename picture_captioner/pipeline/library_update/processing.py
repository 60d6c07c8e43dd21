"""One pass of stages over the photos: each photo decoded once for all that is pending of it.

    walk -> all done? -> [worker process: read once, hash, decode, measure, thumbnail]
         -> same content known? -> buffer -> stages, in batches -> library (one transaction)

A photo whose stages are done under its path, size and time is not opened. One whose bytes are
known, because it was moved or is a copy, is read and not decoded. What a batch brought is stored
with the ledger's rows before the next one begins, so a killed pass repeats what was in flight and
no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.library.store import Library
from picture_captioner.library.syncing import InTransaction
from picture_captioner.pipeline.decoding.decoder import default_decoders
from picture_captioner.pipeline.decoding.opening import DiskWatch
from picture_captioner.pipeline.dedup import SharedContent
from picture_captioner.pipeline.library_update.storing import (
    ExaminedPhoto,
    Examining,
    Keeper,
    OpenStages,
)
from picture_captioner.pipeline.recording.outcomes import Outcomes, Reporter
from picture_captioner.pipeline.stages.base import Stage
from picture_captioner.pipeline.threads import GRACE_SECONDS, Stop, ThreadGroup
from picture_captioner.pipeline.work_queue import Buffer, WorkQueue

if TYPE_CHECKING:
    from picture_captioner.pipeline.selecting.walk import Photo

BATCH_SIZE = 32


@dataclass(frozen=True)
class ProcessingResult:
    """How the pass ended.

    `known` photos were not opened, `left` neither, because of a limit; `outcomes` counts the
    others. `stopped` says that it was interrupted, `abandoned` that something did not finish
    within the grace period: the process should then be left without waiting for it.
    """

    known: int
    outcomes: Outcomes
    stopped: bool
    abandoned: bool
    left: int = 0


def process_photos(
    photos_dir: Path,
    photos: Sequence[Photo],
    library: Library,
    stages: Sequence[Stage],
    reporter: Reporter,
    *,
    force: bool = False,
    limit: int | None = None,
    follow_links: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
    batch_size: int = BATCH_SIZE,
    decoders: int = 0,
    grace_seconds: float = GRACE_SECONDS,
    feed: Callable[[WorkQueue, Outcomes], None] | None = None,
    in_transaction: InTransaction | None = None,
) -> ProcessingResult:
    """Do what the stages have not done yet with these photos.

    Args:
        stages: checked, in an order in which each comes after those that it needs.
        force: do it again where it was done.
        limit: open at most so many photos.
        follow_links: open photos outside of `photos_dir`, too, where links lead there.
        interrupted: asked ten times a second; True ends the pass after what is under way.
        batch_size: photos in a transaction.
        decoders: worker processes; 0: one per processor.
        feed: hands the photos out bit by bit, until it returns; without it all that are open are.
        in_transaction: has a server's cuts ridden out: what was computed waits, and is stored then.

    Photos that cannot be decoded or read are counted, with their reason, and passed over.

    Raises:
        NoPhotosError: the photos directory went away, or 20 in a row could not be read.
        LibraryError: library.db cannot be written.
        FatalError: what a stage raised.
    """
    in_transaction = in_transaction or library.run
    still_open = OpenStages(library, stages, in_transaction, force=force)
    pending = list(photos)
    if feed is None:
        pending = [photo for photo in photos if still_open.of_file(photo)]
    known, left = len(photos) - len(pending), 0
    if limit is not None:
        pending, left = pending[:limit], max(0, len(pending) - limit)
    if not pending:
        return ProcessingResult(
            known, Outcomes(reporter), stopped=False, abandoned=False, left=left
        )
    flow = _Flow(
        photos_dir,
        pending,
        library,
        in_transaction,
        stages,
        still_open,
        reporter,
        batch_size,
        follow_links=follow_links,
        feed=feed,
    )
    reporter.start(len(pending))
    workers = min(decoders or default_decoders(), len(pending))
    abandoned = flow.run(ThreadGroup(flow.stop, interrupted, grace_seconds), workers)
    if flow.stop.error is not None:
        raise flow.stop.error
    return ProcessingResult(known, flow.outcomes, flow.stop.requested, abandoned, left)


class _Flow:
    """The parts of one pass.

    Memory does not grow with the library: the buffer holds two batches, each decoder one picture.
    """

    def __init__(
        self,
        photos_dir: Path,
        pending: Sequence[Photo],
        library: Library,
        in_transaction: InTransaction,
        stages: Sequence[Stage],
        still_open: OpenStages,
        reporter: Reporter,
        batch_size: int,
        *,
        follow_links: bool,
        feed: Callable[[WorkQueue, Outcomes], None] | None,
    ) -> None:
        self.stop = Stop()
        self.outcomes = Outcomes(reporter)
        self._feed = feed
        self._queue = queue = WorkQueue(pending if feed is None else (), fed=feed is not None)
        shared = SharedContent(lambda sha256: not still_open.of_content(sha256))
        self._ready: Buffer[ExaminedPhoto] = Buffer(max(2 * batch_size, 4))
        self._keeper = Keeper(
            library,
            in_transaction,
            stages,
            still_open,
            queue,
            shared,
            self.outcomes,
            self._ready,
            batch_size,
        )
        edge = max((stage.edge for stage in stages if stage.edge), default=None)
        watch = DiskWatch(photos_dir)
        self._examining = Examining(
            photos_dir,
            edge,
            queue,
            shared,
            self._keeper,
            library,
            watch,
            self._ready,
            follow_links=follow_links,
        )
        self.stop.on_stop(queue.stop)
        self.stop.on_stop(lambda: self._ready.close(discard=True))

    def run(self, group: ThreadGroup, decoders: int) -> bool:
        """Work until all is settled or it is stopped; True if a thread had to be left behind."""
        feeding = group.start(self._hand_out, 1) if self._feed is not None else []
        examiners = group.start(self._examining.run, decoders)
        keepers = group.start(self._keeper.run, 1)
        fed = group.wait(feeding)
        ended = group.wait(examiners) and fed
        self._ready.close()
        return not (group.wait(keepers) and ended)

    def _hand_out(self) -> None:
        if self._feed is not None:
            self._feed(self._queue, self.outcomes)
        self._queue.end()
