"""A run: decoders and backend threads around one feed, until all is settled or it is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from journal import InFlight, Journal
from pipeline.budget import Budget, Ceilings
from pipeline.buffer import Buffer
from pipeline.captioning import Captioning
from pipeline.chain import Chain
from pipeline.content import ContentIndex
from pipeline.crew import GRACE_SECONDS, Crew
from pipeline.deaths import Deaths
from pipeline.decoding import Decoded, Decoding
from pipeline.feed import Feed
from pipeline.hints import Hints
from pipeline.recorder import Recorder
from pipeline.retrying import MAX_PATIENCE_SECONDS, MAX_PATIENCE_WITH_FALLBACK
from pipeline.selection import (
    SelectionRules,
    Source,
    Sources,
    only_content_may_differ,
)
from pipeline.service import Link, Service
from pipeline.stopping import Stop
from pipeline.tally import Tally
from pipeline.trials import Trials
from pipeline.walk import FileId, Photo

MAX_DECODERS = 16


def default_decoders() -> int:
    """As many worker processes as there are processors for this process, at most 16."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_DECODERS)
    return min(os.cpu_count() or 1, MAX_DECODERS)


@dataclass(frozen=True)
class RunOptions:
    """How a run works; which photos it takes is decided before.

    `root` is what `photos_dir` was when they were found: until the first one is opened a model may
    have been loaded for minutes.
    """

    photos_dir: Path
    workers: int
    decoders: int
    edge: int
    dry_run: bool = False
    accept_truncated: bool = False
    grace_seconds: float = GRACE_SECONDS
    root: FileId | None = None


class CaptionRun:
    """Captions the pending photos, with the first of `links` or whoever is next in line.

    `in_flight` is told what the backends have; what `deaths` says of earlier runs decides who is
    tried alone.

    `abandoned` is True afterwards if something under way did not finish within the grace period:
    the process should then be left without waiting for it.

    Memory does not grow with the library: each decoder holds one picture, the buffer a few, each
    backend thread one batch.
    """

    def __init__(
        self,
        links: Sequence[Link],
        journal: Journal,
        pending: Sequence[Photo],
        sources: Sources,
        rules: SelectionRules,
        options: RunOptions,
        tally: Tally,
        ceilings: Ceilings,
        hints: Hints,
        in_flight: InFlight,
        deaths: Deaths,
    ) -> None:
        self._options = options
        self.stop = Stop()
        budget = Budget(ceilings, journal.index)
        self.abandoned = False
        self._feed = Feed(
            [photo for photo in pending if not deaths.on_trial(photo)],
            [photo for photo in pending if deaths.on_trial(photo)],
        )
        content = ContentIndex(sources, () if rules.identity.placeholder else pending)
        self._recorder = Recorder(journal, content, self._feed, tally, dry_run=options.dry_run)
        first = links[0].backend
        batch = first.batch_limit
        self._workers = first.batch_threads if batch > 1 else options.workers
        self._ready: Buffer[Decoded] = Buffer(max(2 * batch, options.decoders, 4))
        self._services = [
            Service(
                link,
                min(self._workers, max(link.backend.max_workers, link.backend.batch_threads)),
                budget,
                self.stop,
                tally.notice,
                MAX_PATIENCE_SECONDS if link is links[-1] else MAX_PATIENCE_WITH_FALLBACK,
            )
            for link in links
        ]
        self._decoding = Decoding(
            options.photos_dir,
            options.edge,
            self._feed,
            content,
            self._recorder,
            self._ready,
            _unchanged_if(pending, journal, rules),
            _ready_jpeg(links),
            allow_reduced=not options.dry_run and _stays_here(links),
            accept_truncated=options.accept_truncated,
            root=options.root,
        )
        chain = Chain(self._services, tally.notice)
        trials = Trials(deaths, in_flight, self._feed, content, self._recorder, rules.identity)
        self._captioning = Captioning(
            chain, hints, self._ready, self._recorder, tally, trials, lambda: first.batch_now
        )
        self.stop.on_stop(self._feed.stop)
        self.stop.on_stop(lambda: self._ready.close(discard=True))

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Work until all is settled, or until `interrupted`, asked ten times a second, says so.

        Raises:
            FatalError: what stopped the run.
        """
        crew = Crew(self.stop, interrupted, self._options.grace_seconds)
        decoders = crew.start(self._decoding.run, self._options.decoders)
        backends = crew.start(self._captioning.run, self._workers)
        ended = crew.wait(decoders)
        self._ready.close()
        self.abandoned = not (crew.wait(backends) and ended)
        self._finish()
        if self.stop.error is not None:
            raise self.stop.error

    def _finish(self) -> None:
        """The last verdicts: written when the run came to its end, else left for the next one."""
        for service in self._services:
            verdicts, unproved = service.health.finish()
            if self.stop.requested:
                self._recorder.dropped(verdicts)
            else:
                self._recorder.failed(verdicts)
            self._recorder.dropped(unproved)


def _ready_jpeg(links: Sequence[Link]) -> int | None:
    """The quality in which the decoders encode, if all backends want the same."""
    wanted = {link.backend.ready_jpeg for link in links}
    return wanted.pop() if len(wanted) == 1 else None


def _stays_here(links: Sequence[Link]) -> bool:
    """No photo leaves this machine: nor would a copy that shows what was retouched away since."""
    return all(link.backend.destination is None for link in links)


def _unchanged_if(
    pending: Sequence[Photo], journal: Journal, rules: SelectionRules
) -> dict[str, Source]:
    """Photos whose file looks changed, with the record that still holds if its bytes did not."""
    found: dict[str, Source] = {}
    for photo in pending:
        entry = journal.index.entries.get(photo.rel_path)
        if entry is not None and only_content_may_differ(entry, rules):
            found[photo.rel_path] = Source(entry, moved=False)
    return found
