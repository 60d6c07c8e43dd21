"""A run: decoders and backend threads around one feed, until all is settled or it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.captioning import Captioning, FallbackChain
from picture_captioner.pipeline.asking.circuit_breaker import PATIENCE_SECONDS
from picture_captioner.pipeline.asking.reask import Read
from picture_captioner.pipeline.asking.service import BackendService, ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.decoding.decode_ahead import Decoding, MakeDecoder, decoder_here
from picture_captioner.pipeline.library_update.on_the_way import FactsOnTheWay
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.photos_root import FileId
from picture_captioner.pipeline.selecting.selection import (
    SelectionRules,
    Sources,
)
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.threads import GRACE_SECONDS, Stop, ThreadGroup
from picture_captioner.pipeline.work_queue import BatchBuffer, Buffer, DecodedPhoto, WorkQueue

LOOK_AHEAD = 32
"""Decoded photos beyond two batches among which photos that go well together are looked for: 60 MB
of 900 x 670 pixels."""

PATIENCE_WITH_FALLBACK = 60.0
"""Seconds without a success where another can be asked."""


@dataclass(frozen=True)
class RunOptions:
    """How a run works; which photos it takes is decided before.

    `root` is what `photos_dir` was when they were found: until the first one is opened a model may
    have been loaded for minutes. `facts` takes what else is found out of the photos. Links out of
    `photos_dir` are followed only with `follow_links`. `shots` says of RAW files which photo was
    taken with them, whose caption is theirs. `read`
    knows the lines that were read in a content; None if nobody read it. `feed` hands the photos of
    the run out bit by bit, in a thread of its own, until it returns; without it all are pending.
    `make_decoder` makes what each decoder thread decodes with. No record is dated before
    `not_before`.
    """

    photos_dir: Path
    workers: int
    decoders: int
    edge: int
    dry_run: bool = False
    accept_truncated: bool = False
    patience: float = PATIENCE_SECONDS
    grace_seconds: float = GRACE_SECONDS
    root: FileId | None = None
    facts: FactsOnTheWay | None = None
    follow_links: bool = False
    shots: Mapping[str, Photo] = field(default_factory=dict)
    read: Callable[[str], Read] = lambda _: None
    feed: Callable[[WorkQueue], None] | None = None
    make_decoder: MakeDecoder = decoder_here
    not_before: datetime | None = None


class CaptionRun:
    """Captions the pending photos, with the first of `links` or whoever is next in line.

    `abandoned` is True afterwards if something under way did not finish within the grace period:
    the process should then be left without waiting for it.

    Memory does not grow with the library: each decoder holds one picture, the buffer a few, each
    backend thread one batch.
    """

    def __init__(
        self,
        chosen_backends: Sequence[ChosenBackend],
        journal: Journal,
        pending: Sequence[Photo],
        sources: Sources,
        rules: SelectionRules,
        options: RunOptions,
        outcomes: Outcomes,
        budget: Budget,
        hints: Hints,
    ) -> None:
        self._options = options
        self.stop = Stop()
        self.abandoned = False
        fed = options.feed is not None
        queue = WorkQueue(() if fed else pending, _leading(options.shots, pending), fed=fed)
        first = chosen_backends[0].backend
        batch = first.batch_limit
        self._workers = first.batch_threads if batch > 1 else options.workers
        ready: Buffer[DecodedPhoto] = Buffer(max(options.decoders, 4))
        if batch > 1:
            room = max(2 * batch + LOOK_AHEAD, options.decoders)
            ready = BatchBuffer(room, lambda photo: first.batch_kind(photo.image.size))
        self._services = [
            BackendService(
                chosen,
                min(self._workers, max(chosen.backend.max_workers, chosen.backend.batch_threads)),
                budget,
                self.stop,
                outcomes.notice,
                options.patience
                if chosen is chosen_backends[-1]
                else min(options.patience, PATIENCE_WITH_FALLBACK),
            )
            for chosen in chosen_backends
        ]
        self._decoding = decoding = Decoding(
            queue,
            pending,
            sources,
            chosen_backends,
            journal,
            rules,
            options,
            outcomes,
            ready,
        )
        self._captioning = Captioning(
            FallbackChain(self._services, outcomes.notice),
            hints,
            ready,
            decoding.recorder,
            outcomes,
            first,
            options.read,
        )
        self.stop.on_stop(queue.stop)
        self.stop.on_stop(lambda: ready.close(discard=True))

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Work until all is settled, or until `interrupted`, asked ten times a second, says so.

        Raises:
            FatalError: what stopped the run.
        """
        group = ThreadGroup(self.stop, interrupted, self._options.grace_seconds)
        feed = self._feed if self._options.feed is not None else None
        ended = self._decoding.run_with(group, self._captioning.run, self._workers, feed)
        self.abandoned = not ended
        self._finish()
        if self.stop.error is not None:
            raise self.stop.error

    def share_rate(self, processes: int) -> None:
        """So many processes, this one among them, ask the same services."""
        for service in self._services:
            service.concurrency.share(processes)

    def _feed(self) -> None:
        if self._options.feed is not None:
            self._options.feed(self._decoding.queue)
        self._decoding.queue.end()

    def _finish(self) -> None:
        """The last verdicts: written when the run came to its end, else left for the next one."""
        recorder = self._decoding.recorder
        for service in self._services:
            if not self.stop.requested:
                service.prove()
            verdicts, unproved = service.breaker.finish()
            if self.stop.requested:
                recorder.dropped(verdicts)
            else:
                recorder.failed(verdicts)
            recorder.dropped(unproved)


def _leading(shots: Mapping[str, Photo], pending: Sequence[Photo]) -> frozenset[str]:
    """The photos of this run whose captions RAW files wait for."""
    return frozenset(leader.rel_path for leader in shots.values()).intersection(
        photo.rel_path for photo in pending
    )
