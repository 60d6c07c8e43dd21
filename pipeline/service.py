"""One backend of a run: asked at its pace, retried, and its answers judged and priced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from PIL.Image import Image

from backends.base import Caption, CaptionBackend, Fault
from errors import (
    ApiError,
    BackendUnavailableError,
    FatalError,
    ModelError,
    PhotoError,
    TransientError,
)
from pipeline.budget import Budget
from pipeline.health import ServiceHealth
from pipeline.hints import Tags
from pipeline.judge import judge_answer
from pipeline.pace import Pace
from pipeline.prices import Prices, usage_of
from pipeline.repair import Answer, Repairs
from pipeline.retrying import ATTEMPTS, MAX_PATIENCE_SECONDS, Retrier
from pipeline.runaway import BillGuard
from pipeline.selection import Identity
from pipeline.stopping import Stop

_log = logging.getLogger("caption.backend")


@dataclass(frozen=True)
class Link:
    """A backend in the order in which backends are asked, with what its records say of it."""

    backend: CaptionBackend
    identity: Identity
    prices: Prices

    def __str__(self) -> str:
        return f"{self.backend.name}, model {self.backend.settings.model}"


class Answered(NamedTuple):
    """What became of one photo, and its share of the time that the request took."""

    answer: Answer
    latency_ms: int


class Service:
    """Asks one backend. Thread-safe; one with a `batch_size` is asked by one thread at a time.

    `ended` is the error that ends the run if one came up while a photo was asked about again: it is
    raised after the answers are recorded, since they were billed.
    """

    def __init__(
        self,
        link: Link,
        workers: int,
        budget: Budget,
        stop: Stop,
        notice: Callable[[str], None],
        patience: float = MAX_PATIENCE_SECONDS,
    ) -> None:
        self.link = link
        self._backend = link.backend
        self.pace = Pace(1 if link.backend.batch_size > 1 else workers)
        self.health = ServiceHealth()
        self.ended: FatalError | None = None
        self._asked = link.backend.settings.asked
        self.bills = BillGuard(link.backend, link.prices, budget.max_photo_cost)
        self._retrier: Retrier[list[Answer]] = Retrier(
            self.pace, self.health, stop, notice, budget, patience=patience
        )
        self._repairs = Repairs(self._backend, self._retrier, self._ask_again, self._billed)
        link.backend.on_rate_limit = self.pace.told
        stop.on_stop(self.pace.stop)

    def ask(self, images: Sequence[Image], hints: Sequence[Tags]) -> list[Answered]:
        """The answers in the order of the images, after whatever retries and repairs could mend.

        Raises:
            RunStopped: the run is being stopped.
            FatalError: this backend captions no photo.
        """
        try:
            answers, seconds, attempts = self._retrier.ask(partial(self._ask, images, hints))
        except (ApiError, TransientError) as error:
            answers, seconds, attempts = [error] * len(images), 0.0, ATTEMPTS
        answers = [self._billed(answer, attempts) for answer in answers]
        mended = self._repairs.mend(images, hints, answers)
        if not isinstance(mended.fatal, BackendUnavailableError):  # that one `health` remembers
            self.ended = self.ended or mended.fatal
        latency_ms = round((seconds + mended.seconds) * 1000 / len(images))
        return [Answered(answer, latency_ms) for answer in mended.answers]

    def _billed(self, answer: Answer, attempts: int) -> Answer:
        """The answer with what it cost; requests that failed on the way to it are counted."""
        if isinstance(answer, TransientError) or self._backend.destination is None:
            return answer
        if isinstance(answer, PhotoError):
            answer.usage = self.link.prices.billed(answer.usage, attempts)
            return answer
        return replace(answer, **self.link.prices.billed(usage_of(answer), attempts))

    def _ask(self, images: Sequence[Image], hints: Sequence[Tags]) -> list[Answer]:
        if len(images) == 1:
            return [self._ask_one(images[0], hints[0])]
        try:
            answers = self._backend.caption_batch(images, hints)
        except (FatalError, TransientError):
            raise
        except Exception:  # noqa: BLE001 - the photos are tried one by one below
            _log.exception("batch failed", extra={"event": "batch_failed"})
            answers = []
        if len(answers) != len(images):  # blame only the photo that is at fault
            return [self._ask_one(image, tags) for image, tags in zip(images, hints, strict=True)]
        return [self._judged(answer) for answer in answers]

    def _ask_one(self, image: Image, tags: Tags) -> Answer:
        return self._answer(lambda: judge_answer(self._backend.caption(image, tags), self._asked))

    def _ask_again(self, image: Image, tags: Tags, fault: Fault) -> Answer:
        answer = partial(self._backend.caption_again, image, tags, fault)
        return self._answer(lambda: judge_answer(answer(), self._asked, asked_before=True))

    def _answer(self, ask: Callable[[], Caption]) -> Answer:
        try:
            return ask()
        except (FatalError, TransientError):
            raise
        except PhotoError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a backend's bug costs one record, not the night
            _log.exception("backend failed", extra={"event": "backend_failed"})
            return ModelError(f"{type(error).__name__}: {self._keyless(error)}", code="exception")

    def _keyless(self, error: Exception) -> str:
        key = self._backend.settings.api_key.get_secret_value()
        return str(error).replace(key, "[redacted]") if key else str(error)

    def _judged(self, answer: object) -> Answer:
        if isinstance(answer, PhotoError):
            return answer
        return self._answer(lambda: judge_answer(answer, self._asked))
