"""A run: decoders and backend threads around one feed, until all is settled or it is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from picture_captioner.journal import Journal
from picture_captioner.pipeline.asking.captioning import Captioning, FallbackChain
from picture_captioner.pipeline.asking.circuit_breaker import PATIENCE_SECONDS
from picture_captioner.pipeline.asking.reask import Read
from picture_captioner.pipeline.asking.service import BackendService, ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.decoding.decode_ahead import (
    DecodedPhoto,
    Decoding,
    MakeDecoder,
    decoder_here,
)
from picture_captioner.pipeline.dedup import ContentIndex, SameShots
from picture_captioner.pipeline.library_update.on_the_way import FactsOnTheWay
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.pipeline.recording.recorder import Recorder
from picture_captioner.pipeline.selecting.hints import Hints
from picture_captioner.pipeline.selecting.photos_root import FileId
from picture_captioner.pipeline.selecting.selection import (
    SelectionRules,
    Source,
    Sources,
    only_content_may_differ,
)
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.threads import GRACE_SECONDS, Stop, ThreadGroup
from picture_captioner.pipeline.work_queue import BatchBuffer, Buffer, WorkQueue

MAX_DECODERS = 16

LOOK_AHEAD = 32
"""Decoded photos beyond two batches among which photos that go well together are looked for: 60 MB
of 900 x 670 pixels."""

PATIENCE_WITH_FALLBACK = 60.0
"""Seconds without a success where another can be asked."""


def default_decoders() -> int:
    """As many worker processes as there are processors for this process, at most 16."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_DECODERS)
    return min(os.cpu_count() or 1, MAX_DECODERS)


@dataclass(frozen=True)
class RunOptions:
    """How a run works; which photos it takes is decided before.

    `root` is what `photos_dir` was when they were found: until the first one is opened a model may
    have been loaded for minutes. `facts` takes what else is found out of the photos. Links out of
    `photos_dir` are followed only with `follow_links`. `shots` says of RAW files which photo was
    taken with them, whose caption is theirs. `read`
    knows the lines that were read in a content; None if nobody read it. `feed` hands the photos of
    the run out bit by bit, in a thread of its own, until it returns; without it all are pending.
    `make_decoder` makes what each decoder thread decodes with.
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
        self._queue = WorkQueue(
            pending if options.feed is None else (),
            _leading(options.shots, pending),
            fed=options.feed is not None,
        )
        content = ContentIndex(sources, () if rules.identity.placeholder else pending)
        self._recorder = Recorder(journal, content, self._queue, outcomes, dry_run=options.dry_run)
        first = chosen_backends[0].backend
        batch = first.batch_limit
        self._workers = first.batch_threads if batch > 1 else options.workers
        self._ready: Buffer[DecodedPhoto] = Buffer(max(options.decoders, 4))
        if batch > 1:
            room = max(2 * batch + LOOK_AHEAD, options.decoders)
            self._ready = BatchBuffer(room, lambda photo: first.batch_kind(photo.image.size))
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
        self._decoding = decoding_of(
            pending,
            chosen_backends,
            journal,
            rules,
            options,
            self._queue,
            content,
            self._recorder,
            self._ready,
        )
        chain = FallbackChain(self._services, outcomes.notice)
        self._captioning = Captioning(
            chain,
            hints,
            self._ready,
            self._recorder,
            outcomes,
            lambda: first.batch_now,
            options.read,
        )
        self.stop.on_stop(self._queue.stop)
        self.stop.on_stop(lambda: self._ready.close(discard=True))

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Work until all is settled, or until `interrupted`, asked ten times a second, says so.

        Raises:
            FatalError: what stopped the run.
        """
        group = ThreadGroup(self.stop, interrupted, self._options.grace_seconds)
        feeding = group.start(self._feed, 1) if self._options.feed is not None else []
        decoders = group.start(self._decoding.run, self._options.decoders)
        backends = group.start(self._captioning.run, self._workers)
        facts = self._options.facts
        storing = group.start(facts.run, 1) if facts is not None else []
        fed = group.wait(feeding)
        ended = group.wait(decoders) and fed
        self._ready.close()
        if facts is not None:
            facts.close()
        self.abandoned = not (group.wait(backends) and group.wait(storing) and ended)
        self._finish()
        if self.stop.error is not None:
            raise self.stop.error

    def share_rate(self, processes: int) -> None:
        """So many processes, this one among them, ask the same services."""
        for service in self._services:
            service.concurrency.share(processes)

    def _feed(self) -> None:
        if self._options.feed is not None:
            self._options.feed(self._queue)
        self._queue.end()

    def _finish(self) -> None:
        """The last verdicts: written when the run came to its end, else left for the next one."""
        for service in self._services:
            if not self.stop.requested:
                service.prove()
            verdicts, unproved = service.breaker.finish()
            if self.stop.requested:
                self._recorder.dropped(verdicts)
            else:
                self._recorder.failed(verdicts)
            self._recorder.dropped(unproved)


def _leading(shots: Mapping[str, Photo], pending: Sequence[Photo]) -> frozenset[str]:
    """The photos of this run whose captions RAW files wait for."""
    return frozenset(leader.rel_path for leader in shots.values()).intersection(
        photo.rel_path for photo in pending
    )


def decoding_of(
    pending: Sequence[Photo],
    chosen_backends: Sequence[ChosenBackend],
    journal: Journal,
    rules: SelectionRules,
    options: RunOptions,
    queue: WorkQueue,
    content: ContentIndex,
    recorder: Recorder,
    ready: Buffer[DecodedPhoto],
) -> Decoding:
    """The decoders' side of a run, or of a batch job that is filled, for these backends."""
    return Decoding(
        options.photos_dir,
        options.edge,
        queue,
        content,
        recorder,
        ready,
        _unchanged_if(pending, journal, rules),
        _ready_jpeg(chosen_backends),
        allow_reduced=not options.dry_run and _stays_here(chosen_backends),
        accept_truncated=options.accept_truncated,
        root=options.root,
        facts=options.facts,
        follow_links=options.follow_links,
        shots=SameShots(options.shots, journal.index, rules),
        make_decoder=options.make_decoder,
    )


def _ready_jpeg(chosen_backends: Sequence[ChosenBackend]) -> int | None:
    """The quality in which the decoders encode, if all backends want the same."""
    wanted = {chosen.backend.ready_jpeg for chosen in chosen_backends}
    return wanted.pop() if len(wanted) == 1 else None


def _stays_here(chosen_backends: Sequence[ChosenBackend]) -> bool:
    """No photo leaves this machine: nor would a copy that shows what was retouched away since."""
    return all(chosen.backend.destination is None for chosen in chosen_backends)


def _unchanged_if(
    pending: Sequence[Photo], journal: Journal, rules: SelectionRules
) -> dict[str, Source]:
    """Photos whose file looks changed, with the record that still holds if its bytes did not."""
    found: dict[str, Source] = {}
    for photo in pending:
        if entry := only_content_may_differ(journal.index.fold(photo.rel_path), rules):
            found[photo.rel_path] = Source(entry, moved=False)
    return found
