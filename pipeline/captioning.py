"""The backend's side of a run: ask, time, judge, and record."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from PIL.Image import Image

from backends.base import Caption, CaptionBackend
from errors import ApiError, FatalError, ModelError, PhotoError, TransientError
from pipeline.buffer import Buffer
from pipeline.decoding import Decoded
from pipeline.health import ServiceHealth, Withheld
from pipeline.judge import failure_record, judge_answer, success_record
from pipeline.pace import Pace
from pipeline.prices import Prices, usage_of
from pipeline.recorder import Captioned, Recorder
from pipeline.retrying import ATTEMPTS, Retrier, RunStopped
from pipeline.selection import Identity

_log = logging.getLogger("caption.backend")

BATCH_LINGER_SECONDS = 0.25
"""How long a batch waits for more photos once it has one."""

Answer: TypeAlias = Caption | PhotoError | TransientError


class Captioning:
    """What each backend thread does."""

    def __init__(
        self,
        backend: CaptionBackend,
        identity: Identity,
        ready: Buffer[Decoded],
        recorder: Recorder,
        pace: Pace,
        health: ServiceHealth,
        retrier: Retrier[list[Answer]],
        prices: Prices,
    ) -> None:
        self._backend = backend
        self._identity = identity
        self._ready = ready
        self._recorder = recorder
        self._pace = pace
        self._health = health
        self._retrier = retrier
        self._prices = prices

    def run(self) -> None:
        """Caption until the buffer is closed and empty, or the run is stopped."""
        while batch := self._ready.take(self._backend.batch_size, BATCH_LINGER_SECONDS):
            images = [decoded.image for decoded in batch]
            try:
                answers, seconds, attempts = self._retrier.ask(partial(self._ask, images))
            except RunStopped:
                return
            except (ApiError, TransientError) as error:
                answers, seconds, attempts = [error] * len(batch), 0.0, ATTEMPTS
            answers = [self._billed(answer, attempts) for answer in answers]
            self._record(batch, answers, round(seconds * 1000 / len(batch)))

    def _billed(self, answer: Answer, attempts: int) -> Answer:
        """The answer with what it cost; requests that failed on the way to it are counted."""
        if isinstance(answer, TransientError) or self._backend.destination is None:
            return answer
        if isinstance(answer, PhotoError):
            answer.usage = self._prices.billed(answer.usage, attempts)
            return answer
        return replace(answer, **self._prices.billed(usage_of(answer), attempts))

    def _ask(self, images: Sequence[Image]) -> list[Answer]:
        if len(images) == 1:
            return [self._ask_one(images[0])]
        try:
            answers = self._backend.caption_batch(images, [()] * len(images))
        except (FatalError, TransientError):
            raise
        except Exception:  # noqa: BLE001 - the photos are tried one by one below
            _log.exception("batch failed", extra={"event": "batch_failed"})
            answers = []
        if len(answers) != len(images):  # blame only the photo that is at fault
            return [self._ask_one(image) for image in images]
        return [_judged(answer) for answer in answers]

    def _ask_one(self, image: Image) -> Answer:
        try:
            return judge_answer(self._backend.caption(image, ()))
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

    def _record(self, batch: Sequence[Decoded], answers: Sequence[Answer], latency_ms: int) -> None:
        captioned: list[Captioned] = []
        failed: list[Withheld] = []
        for (item, loaded, _), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Caption):
                record = success_record(item.photo, loaded, answer, self._identity, latency_ms)
                captioned.append(Captioned(item, loaded, record))
            else:
                record = failure_record(item.photo, loaded, answer, self._identity, latency_ms)
                failed.append(Withheld(item, record, answer))
        if captioned:
            self._recorder.captioned(captioned)
            self._pace.succeeded()
            self._recorder.failed(self._health.succeeded())
        if failed:
            self._recorder.release(failed)
            self._recorder.failed(self._ruled(failed))

    def _ruled(self, failed: list[Withheld]) -> list[Withheld]:
        return failed if self._identity.placeholder else self._health.failed(failed)


def _judged(answer: object) -> Answer:
    if isinstance(answer, PhotoError):
        return answer
    try:
        return judge_answer(answer)
    except ModelError as error:
        return error
