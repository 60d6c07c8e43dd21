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
from functools import partial
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


@dataclass(frozen=True)
class PassOptions:
    """How a pass goes over the photos that it is given.

    Attributes:
        force: do it again where it was done.
        limit: open at most so many photos.
        follow_links: open photos outside of the photos directory, too, where links lead there.
        interrupted: asked ten times a second; True ends the pass after what is under way.
        batch_size: photos in a transaction.
        decoders: worker processes; 0: one per processor.
        feed: hands the photos out bit by bit, until it returns; without it all that are open are.
        in_transaction: has a server's cuts ridden out: what was computed waits, and is stored then.
    """

    force: bool = False
    limit: int | None = None
    follow_links: bool = False
    interrupted: Callable[[], bool] = lambda: False
    batch_size: int = BATCH_SIZE
    decoders: int = 0
    grace_seconds: float = GRACE_SECONDS
    feed: Callable[[WorkQueue, Outcomes], None] | None = None
    in_transaction: InTransaction | None = None


def process_photos(
    photos_dir: Path,
    photos: Sequence[Photo],
    library: Library,
    stages: Sequence[Stage],
    reporter: Reporter,
    options: PassOptions,
) -> ProcessingResult:
    """Do what the stages, checked and each after those that it needs, have not done yet.

    Photos that cannot be decoded or read are counted, with their reason, and passed over.

    Raises:
        NoPhotosError: the photos directory went away, or 20 in a row could not be read.
        LibraryError: library.db cannot be written.
        FatalError: what a stage raised.
    """
    in_transaction, feed = options.in_transaction or library.run, options.feed
    still_open = OpenStages(library, stages, in_transaction, force=options.force)
    pending = list(photos)
    if feed is None:
        pending = [photo for photo in photos if still_open.of_file(photo)]
    known, left = len(photos) - len(pending), 0
    if options.limit is not None:
        pending, left = pending[: options.limit], max(0, len(pending) - options.limit)
    stop, outcomes = Stop(), Outcomes(reporter)
    if not pending:
        return ProcessingResult(known, outcomes, stopped=False, abandoned=False, left=left)
    queue = WorkQueue(pending if feed is None else (), fed=feed is not None)
    shared = SharedContent(lambda sha256: not still_open.of_content(sha256))
    # Memory does not grow with the library: two batches here, one picture in each decoder.
    batch_size = options.batch_size
    ready: Buffer[ExaminedPhoto] = Buffer(max(2 * batch_size, 4))
    stop.on_stop(queue.stop)
    stop.on_stop(lambda: ready.close(discard=True))
    keeper = Keeper(
        library, in_transaction, stages, still_open, queue, shared, outcomes, ready, batch_size
    )
    edge = max((stage.edge for stage in stages if stage.edge), default=None)
    watch, follow_links = DiskWatch(photos_dir), options.follow_links
    examining = Examining(
        photos_dir, edge, queue, shared, keeper, library, watch, ready, follow_links
    )
    reporter.start(len(pending))
    group = ThreadGroup(stop, options.interrupted, options.grace_seconds)
    feeding = group.start(partial(_hand_out, feed, queue, outcomes), 1) if feed is not None else []
    decoders = min(options.decoders or default_decoders(), len(pending))
    examiners = group.start(examining.run, decoders)
    keepers = group.start(keeper.run, 1)
    fed = group.wait(feeding)
    ended = group.wait(examiners) and fed
    ready.close()
    abandoned = not (group.wait(keepers) and ended)
    if stop.error is not None:
        raise stop.error
    return ProcessingResult(known, outcomes, stop.requested, abandoned, left)


def _hand_out(
    feed: Callable[[WorkQueue, Outcomes], None], queue: WorkQueue, outcomes: Outcomes
) -> None:
    feed(queue, outcomes)
    queue.end()
