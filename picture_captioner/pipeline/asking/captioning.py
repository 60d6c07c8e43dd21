"""The backends' side of a run: ask one after the other (`--fallback`), record what came of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from picture_captioner.backends.base import Caption, CaptionBackend, Told
from picture_captioner.backends.fields import OUTSIDE
from picture_captioner.backends.usage import added
from picture_captioner.errors import (
    BackendUnavailableError,
    CeilingReachedError,
    PhotoError,
    TransientError,
    Usage,
)
from picture_captioner.journal.record import Record
from picture_captioner.pipeline.asking.circuit_breaker import Withheld
from picture_captioner.pipeline.asking.reask import Answer, Read
from picture_captioner.pipeline.asking.retry import RunStopped
from picture_captioner.pipeline.asking.service import Answered, BackendService, ChosenBackend
from picture_captioner.pipeline.recording.outcomes import Outcomes
from picture_captioner.pipeline.recording.recorder import (
    Captioned,
    Recorder,
    failure_record,
    success_record,
)
from picture_captioner.pipeline.selecting.hints import Hints, Tags
from picture_captioner.pipeline.work_queue import Buffer, DecodedPhoto

_log = logging.getLogger("caption.backend")


class FallbackChain:
    """Who is asked next. Thread-safe.

    A service that is down is put aside aloud for the rest of the run, as long as another is left;
    without one it ends the run. A rejected key and an empty account always end it.
    """

    def __init__(self, services: Sequence[BackendService], notice: Callable[[str], None]) -> None:
        self._services = list(services)
        self._notice = notice
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[BackendService]:
        """Those that are not put aside, first choice first; also while one of them is."""
        tried: set[int] = set()
        while (service := self._next(tried)) is not None:
            tried.add(id(service))
            yield service

    def put_aside(self, service: BackendService, error: BackendUnavailableError) -> None:
        """Ask this one no more.

        Raises:
            BackendUnavailableError: `error`, if nobody else is left.
        """
        with self._lock:
            if service not in self._services:
                return
            if len(self._services) == 1:
                raise error
            self._services.remove(service)
            heir = self._services[0]
        _log.warning("backend put aside", extra={"event": "put_aside", "error": str(error)})
        self._notice(f"{service.chosen} is put aside: {error}. Going on with {heir.chosen}")

    def ensure_going(self) -> None:
        """To be asked once a photo is recorded: something may have come up while it was mended.

        Raises:
            FatalError: what ends the run.
        """
        for service in self:
            if service.ended is not None:
                raise service.ended

    def _next(self, tried: set[int]) -> BackendService | None:
        with self._lock:
            return next((s for s in self._services if id(s) not in tried), None)


BATCH_LINGER_SECONDS = 0.25
"""How long a batch waits for more photos once it has one."""


@dataclass
class Case:
    """A photo that is asked about; `spent` is what it has cost so far, whoever was asked."""

    decoded: DecodedPhoto
    tags: Tags
    answer: Answer | None = None
    latency_ms: int = 0
    spent: Usage = field(default_factory=Usage)

    def take(self, answer: Answer, latency_ms: int) -> None:
        """Note an answer, and add what it cost to what was spent before."""
        self.answer, self.latency_ms = answer, latency_ms
        if isinstance(answer, Caption):
            before, self.spent = self.spent, added(self.spent, answer.usage)
            self.answer = replace(answer, **self.spent) if before else answer
        elif isinstance(answer, PhotoError):
            self.spent = added(self.spent, answer.usage)


class Captioning:
    """What each backend thread does."""

    def __init__(
        self,
        chain: FallbackChain,
        hints: Hints,
        ready: Buffer[DecodedPhoto],
        recorder: Recorder,
        outcomes: Outcomes,
        first: CaptionBackend,
        read: Callable[[str], Read],
    ) -> None:
        self._chain = chain
        self._hints = hints
        self._ready = ready
        self._recorder = recorder
        self._outcomes = outcomes
        self._first = first
        self._read = read

    def run(self) -> None:
        """Caption until the buffer is closed and empty, or the run is stopped."""
        while batch := self._ready.take(self._first.batch_now, BATCH_LINGER_SECONDS):
            try:
                self._caption([self._case(decoded) for decoded in batch])
                self._chain.ensure_going()
            except RunStopped:
                return

    def _case(self, decoded: DecodedPhoto) -> Case:
        rel_path = decoded.item.photo.rel_path
        tags = self._hints.tags(rel_path, decoded.loaded.content_sha256)
        return Case(decoded, (*tags, *self._hints.reason(rel_path)))

    def _lines(self, cases: Sequence[Case]) -> list[Read]:
        """What was read in each photo: a caption may name that."""
        return [self._read(case.decoded.loaded.content_sha256) for case in cases]

    def _caption(self, cases: list[Case]) -> None:
        """Ask the first backend, then the next about the photos that it failed, and so on."""
        asked: BackendService | None = None
        for service in self._chain:
            if asked is not None:
                self._hand_on(asked, cases)
            try:
                images = [case.decoded.image for case in cases]
                photo = cases[0].decoded.loaded.content_sha256
                heard = [told(service.chosen, case.tags) for case in cases]
                lines = () if service.chosen.identity.placeholder else self._lines(cases)
                answers = service.ask(images, heard, photo, lines)
            except BackendUnavailableError as error:
                self._chain.put_aside(service, error)
                continue
            except CeilingReachedError:
                if asked is not None:
                    self._give_up(asked, cases)  # what these cost must not be forgotten
                raise
            for case, answered in zip(cases, answers, strict=True):
                case.take(*answered)
            runaway = _runaway(service, cases, answers)
            try:
                self._record_captions(service, cases)
            except BackendUnavailableError as error:
                self._recorder.withdraw(service.repeats.take_stored())
                self._chain.put_aside(service, error)
                continue
            cases = [case for case in cases if not isinstance(case.answer, Caption)]
            if runaway is not None:
                self._give_up(service, cases, proved=True)
                raise runaway
            if not cases:
                return
            asked = service
        if asked is not None:
            self._give_up(asked, cases)

    def _hand_on(self, service: BackendService, cases: Sequence[Case]) -> None:
        """Another backend is asked: this one failed the photos all the same."""
        failures = [c.answer for c in cases if isinstance(c.answer, PhotoError | TransientError)]
        for error in failures:
            said = {"code": getattr(error, "code", ""), "message": str(error)}
            _log.warning("photo handed on", extra={"event": "handed_on", "error": said})
        try:
            service.breaker.handed_on(failures)
        except BackendUnavailableError as error:
            self._chain.put_aside(service, error)

    def _record_captions(self, service: BackendService, cases: Sequence[Case]) -> None:
        """Write the captions.

        Raises:
            BackendUnavailableError: they say the same of photos that differ; nothing is written.
        """
        for case in cases:
            if isinstance(case.answer, Caption):
                service.repeats.see(case.answer, case.decoded.image)
        captioned = [
            Captioned(c.decoded.item, c.decoded.loaded, _success(service, c, c.answer))
            for c in cases
            if isinstance(c.answer, Caption)
        ]
        if captioned:
            self._recorder.captioned(captioned)
            service.concurrency.succeeded(c.spent for c in cases if isinstance(c.answer, Caption))
            self._recorder.failed(service.breaker.succeeded())
            requests = [c.record.requests or 1 for c in captioned]
            self._outcomes.answered(str(service.chosen), requests)
            for case in cases:
                if isinstance(case.answer, Caption):
                    self._outcomes.count_outside(case.answer.fields.get(OUTSIDE, ()))
            found_out = [c.record for c in captioned if service.repeats.stored(c.record)]
            self._recorder.withdraw(found_out)

    def _give_up(
        self, service: BackendService, cases: Sequence[Case], *, proved: bool = False
    ) -> None:
        """Nobody is left to ask: the verdict of the last one counts.

        Args:
            proved: the service sent a bill, so it is up and the verdicts need not be withheld.
        """
        later = [c for c in cases if isinstance(c.answer, TransientError) and not c.spent]
        self._recorder.deferred([(c.decoded.item, c.decoded.loaded) for c in later])
        cases = [c for c in cases if c not in later]
        if not cases:
            return
        failed = [
            Withheld(c.decoded.item, _failure(service, c, c.answer), c.answer)
            for c in cases
            if isinstance(c.answer, PhotoError | TransientError)
        ]
        self._recorder.release(failed)
        proved = proved or service.chosen.identity.placeholder
        self._recorder.failed(failed if proved else service.breaker.failed(failed))


def told(chosen: ChosenBackend, tags: Tags) -> Tags:
    """The tags, and the facts where the backend may hear them."""
    if chosen.hears_context:
        return tags
    return tuple(tag for tag in tags if not isinstance(tag, Told))


def _runaway(
    service: BackendService, cases: Sequence[Case], answers: Sequence[Answered]
) -> CeilingReachedError | None:
    """The first bill among these answers that is out of all proportion."""
    for case, (answer, _) in zip(cases, answers, strict=True):
        usage = Usage() if isinstance(answer, TransientError) else answer.usage
        rel_path, sent = case.decoded.item.photo.rel_path, case.decoded.image.size
        if error := service.bills.verdict(rel_path, sent, usage):
            return error
    return None


def _success(service: BackendService, case: Case, caption: Caption) -> Record:
    item, loaded, _ = case.decoded
    return success_record(item.photo, loaded, caption, service.chosen.identity, case.latency_ms)


def _failure(service: BackendService, case: Case, error: PhotoError | TransientError) -> Record:
    item, loaded, _ = case.decoded
    identity = service.chosen.identity
    return failure_record(item.photo, loaded, error, identity, case.latency_ms, case.spent)
