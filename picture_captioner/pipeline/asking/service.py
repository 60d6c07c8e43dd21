"""One backend of a run: asked at its pace, retried, and its answers judged and priced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from PIL import Image

from picture_captioner.backends.base import Caption, CaptionBackend, Fault, takes_fault
from picture_captioner.errors import (
    ApiError,
    BackendUnavailableError,
    CaptionerError,
    FatalError,
    ModelError,
    PhotoError,
    TransientError,
    Usage,
)
from picture_captioner.foreign_text import clean
from picture_captioner.pipeline.asking.circuit_breaker import (
    PATIENCE_SECONDS,
    UNKNOWN,
    CircuitBreaker,
    RepeatWatch,
)
from picture_captioner.pipeline.asking.concurrency import ConcurrencyLimiter
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.reask import Answer, Read, Reasker, with_cost
from picture_captioner.pipeline.asking.retry import Retrier
from picture_captioner.pipeline.asking.spending import BillGuard, Budget
from picture_captioner.pipeline.recording.answers import judge_answer
from picture_captioner.pipeline.selecting.hints import Tags
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.threads import Stop

_log = logging.getLogger("caption.backend")

_MAX_TOLD = 400

PLAIN_EDGE = 256
"""Pixels of the picture that proves a service: small, because a photo may be guilty of its size."""


@dataclass(frozen=True)
class ChosenBackend:
    """A backend in the order in which backends are asked, with what its records say of it.

    `hears_context`: it may be told the facts of `--context`, which were named for one host.
    """

    backend: CaptionBackend
    identity: Identity
    prices: Prices
    hears_context: bool = True

    def __str__(self) -> str:
        return f"{self.backend.name}, model {self.backend.settings.model}"


class Answered(NamedTuple):
    """What became of one photo, and its share of the time that the request took."""

    answer: Answer
    latency_ms: int


class BackendService:
    """Asks one backend. Thread-safe; one with a `batch_size` is asked by one thread at a time.

    `ended` is the error that ends the run if one came up while a photo was asked about again: it is
    raised after the answers are recorded, since they were billed.
    """

    def __init__(
        self,
        chosen: ChosenBackend,
        workers: int,
        budget: Budget,
        stop: Stop,
        notice: Callable[[str], None],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.chosen = chosen
        self._backend = chosen.backend
        self.concurrency = ConcurrencyLimiter(1 if chosen.backend.batch_size > 1 else workers)
        self.breaker = CircuitBreaker(patience)
        self.repeats = RepeatWatch(chosen.backend)
        self.ended: FatalError | None = None
        self._proves = chosen.backend.destination is not None
        self._asked = chosen.backend.settings.asked
        self._takes_fault = takes_fault(chosen.backend)
        self.bills = BillGuard(chosen.backend, chosen.prices, budget.max_photo_cost)
        self._budget = budget
        self._model = (chosen.identity.backend, chosen.identity.model)
        self._edge = chosen.backend.edge
        budget.will_ask(self._model, self._most_usd)
        self._retrier: Retrier[list[Answer]] = Retrier(
            self.concurrency, self.breaker, stop, notice, budget
        )
        self._reasker = Reasker(self._backend, self._retrier, self._ask_again, self._billed)
        chosen.backend.on_rate_limit = self.concurrency.told
        stop.on_stop(self.concurrency.stop)
        stop.on_stop(chosen.backend.stop)

    def ask(
        self,
        images: Sequence[Image.Image],
        hints: Sequence[Tags],
        photo: str = "",
        read: Sequence[Read] = (),
    ) -> list[Answered]:
        """The answers in the order of the images, after whatever retries and repairs could mend.

        `photo` tells the first of them from other photos; `read` are the lines that were read in
        each, if any were.

        Raises:
            RunStopped: the run is being stopped.
            FatalError: this backend captions no photo.
        """
        self._edge = max(self._edge, *(max(image.size) for image in images))
        try:
            answers, seconds, attempts, proofs = self._retrier.ask(
                partial(self._ask, images, hints),
                self._ask_about_ours if self._proves else None,
                photo,
            )
        except (ApiError, TransientError) as error:  # its usage has every request
            answers, seconds, attempts, proofs = [error] * len(images), 0.0, 1, Usage()
        answers = [self._billed(answer, attempts) for answer in answers]
        answers[0] = with_cost(answers[0], proofs)
        mended = self._reasker.reask(images, hints, answers)
        if not self._backend.placeholder:
            lines = read or [None] * len(images)
            mended = self._reasker.check_names(images, hints, mended, lines)
        if not isinstance(mended.fatal, BackendUnavailableError):  # that one `health` remembers
            self.ended = self.ended or mended.fatal
        latency_ms = round((seconds + mended.seconds) * 1000 / len(images))
        return [Answered(answer, latency_ms) for answer in mended.answers]

    def _most_usd(self) -> float | None:
        return self.bills.most((self._edge, self._edge), self._backend.answer_room)

    def prove(self) -> None:
        """Tell a photo that fails from a model that does, if the last ones failed unexplained.

        A model on this machine is shown a picture of ours; for one elsewhere that would be a bill.
        """
        if self.breaker.identical and self._backend.destination is None:
            with suppress(CaptionerError):
                answer = self._ask_one(_plain(), ())
                if getattr(answer, "code", None) == UNKNOWN:
                    self.breaker.fails_ours()
                else:
                    self.breaker.proved_up()

    def _ask_about_ours(self) -> Usage:
        """Show the backend a plain picture, which it has no reason to fail; gives the cost."""
        answer = self._ask_one(_plain(), ())
        usage = Usage() if isinstance(answer, TransientError) else answer.usage
        return self._counted(self.chosen.prices.billed(usage, 1))

    def _billed(self, answer: Answer, attempts: int) -> Answer:
        """The answer with what it cost; requests that failed on the way to it are counted."""
        if isinstance(answer, TransientError) or self._backend.destination is None:
            return answer
        if isinstance(answer, PhotoError):
            answer.usage = self.chosen.prices.billed(answer.usage, attempts)
            if isinstance(answer, ModelError) or "input_tokens" in answer.usage:
                answer.usage = self._counted(answer.usage)
            return answer
        usage = self.chosen.prices.billed(answer.usage, attempts, answer.model_version)
        return replace(answer, **self._counted(usage))

    def _counted(self, usage: Usage) -> Usage:
        """What an answer took, with the requests that have no price, once the budget knows it."""
        self._budget.answered(self._model, usage)
        if "cost_usd" not in usage and not self._backend.placeholder:
            usage["unpriced_requests"] = usage.get("requests", 1)
        return usage

    def _ask(self, images: Sequence[Image.Image], hints: Sequence[Tags]) -> list[Answer]:
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
        return [self._judged(answer, image) for answer, image in zip(answers, images, strict=True)]

    def _ask_one(self, image: Image.Image, tags: Tags) -> Answer:
        return self._answer(lambda: self._judge(self._backend.caption(image, tags), image))

    def _ask_again(self, image: Image.Image, tags: Tags, fault: Fault) -> Answer:
        answer = partial(self._backend.caption, image, tags)
        if self._takes_fault:
            answer = partial(answer, fault)
        return self._answer(lambda: self._judge(answer(), image, asked_before=True))

    def _answer(self, ask: Callable[[], Caption]) -> Answer:
        try:
            return ask()
        except (FatalError, TransientError):
            raise
        except PhotoError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a backend's bug costs one record, not the night
            _log.exception("backend failed", extra={"event": "backend_failed"})
            key = self._backend.settings.api_key.get_secret_value()
            return ModelError(
                f"{type(error).__name__}: {clean(str(error), _MAX_TOLD, key)}", code=UNKNOWN
            )

    def _judged(self, answer: object, image: Image.Image) -> Answer:
        if isinstance(answer, PhotoError):
            return answer
        return self._answer(lambda: self._judge(answer, image))

    def _judge(self, answer: object, image: Image.Image, *, asked_before: bool = False) -> Caption:
        return judge_answer(
            answer,
            self._asked,
            asked_before=asked_before,
            max_tokens=self._backend.settings.max_tokens,
            image=image,
            prompt=self._backend.settings.prompt,
            language=self._backend.settings.language,
        )


def _plain() -> Image.Image:
    return Image.linear_gradient("L").resize((PLAIN_EDGE, PLAIN_EDGE)).convert("RGB")
