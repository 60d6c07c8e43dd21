"""The one layer that retries: the vendors' own retries are off, since layers multiply."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import tenacity

from picture_captioner.errors import ApiError, CaptionerError, TransientError
from picture_captioner.pipeline.asking.circuit_breaker import CircuitBreaker
from picture_captioner.pipeline.asking.concurrency import ConcurrencyLimiter
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.stopping import Stop

_log = logging.getLogger("caption.request")

ATTEMPTS = 5
MAX_WAIT_SECONDS = 60.0
MAX_PATIENCE_SECONDS = 30.0
"""Longest pause for all after a failure of a service that was up before: the 20 failures in a row
that end a run then take eight minutes, and a router has restarted by then."""

MAX_PATIENCE_WITH_FALLBACK = 5.0
"""The same where another can be asked: a minute and a half."""

LONG_PAUSE_SECONDS = 20.0
"""From here on, a pause that the service asks for is worth a line."""

RATE_LIMIT = "rate_limit"
"""The code of a 429: the service is up, and requests come too fast."""

T = TypeVar("T")


class Asked(NamedTuple, Generic[T]):
    """An answer, how long the request that brought it took, and how many were sent for it."""

    answer: T
    seconds: float
    attempts: int


class RunStopped(CaptionerError):
    """The run is being stopped: the request was not sent."""


class Retrier(Generic[T]):
    """Sends requests at the pace allowed and repeats those that may pass by themselves.

    A request is tried up to 5 times, after random waits that double (full jitter, up to 60 s), and
    never sooner than the service asked for. What it asked for holds for all workers.
    """

    def __init__(
        self,
        concurrency: ConcurrencyLimiter,
        breaker: CircuitBreaker,
        stop: Stop,
        notice: Callable[[str], None],
        budget: Budget,
        first_wait: float = 1.0,
        patience: float = MAX_PATIENCE_SECONDS,
    ) -> None:
        self._patience = patience
        self._concurrency = concurrency
        self._breaker = breaker
        self._stop = stop
        self._notice = notice
        self._budget = budget
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_random_exponential(first_wait, max=MAX_WAIT_SECONDS),
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=stop.wait,
            reraise=True,
        )

    def ask(self, request: Callable[[], T]) -> Asked[T]:
        """The answer to a request that is repeated where that may help.

        Raises:
            ApiError: every attempt failed, while others succeeded: it is this photo's fault.
            TransientError: every attempt failed, and so may the service have.
            RunStopped: the run is being stopped.
            FatalError: as the request raises it, or too many requests failed in a row.
        """
        failures: list[int] = []
        try:
            answer, seconds = self._retrying(self._attempt, request, failures)
        except TransientError as error:
            if self._breaker.successes > failures[0]:
                raise ApiError(str(error), code=error.code) from error
            raise
        return Asked(answer, seconds, len(failures) + 1)

    def _attempt(self, request: Callable[[], T], failures: list[int]) -> tuple[T, float]:
        """One request; a failure notes how many others had succeeded by then."""
        with self._concurrency as let_through:
            if self._stop.requested:
                raise RunStopped("the run is being stopped")
            self._breaker.ensure_up()
            self._budget.take_request()
            try:
                answer = request()
            except TransientError as error:
                failures.append(self._breaker.successes)
                self._failed(error, let_through)
                raise
            self._concurrency.answered()
            return answer, time.monotonic() - let_through

    def _failed(self, error: TransientError, let_through: float) -> None:
        _log.warning(
            "request failed",
            extra={"event": "request_failed", "error": {"code": error.code, "message": str(error)}},
        )
        if error.retry_after is not None:
            self._concurrency.hold(error.retry_after)
            if error.retry_after >= LONG_PAUSE_SECONDS:
                self._notice(f"The service asks for a pause of {error.retry_after:.0f} s: {error}")
        if error.code != RATE_LIMIT:
            self._concurrency.failed(let_through)
        elif not self._concurrency.refused(let_through):
            return  # hundreds may have been under way: they count as one failure in a row
        in_a_row = self._breaker.request_failed(error)
        if self._breaker.successes and in_a_row > 1:
            self._concurrency.hold(min(2.0 ** (in_a_row - 2), self._patience))
