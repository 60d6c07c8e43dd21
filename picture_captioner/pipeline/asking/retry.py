"""The one layer that retries: the vendors' own retries are off, since layers multiply."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import tenacity

from picture_captioner.backends.usage import added
from picture_captioner.errors import ApiError, CaptionerError, TransientError, Usage
from picture_captioner.pipeline.asking.circuit_breaker import CircuitBreaker, until
from picture_captioner.pipeline.asking.concurrency import ConcurrencyLimiter
from picture_captioner.pipeline.asking.spending import Budget
from picture_captioner.pipeline.threads import Stop

_log = logging.getLogger("caption.request")

ATTEMPTS = 5
ATTEMPTS_IF_THE_PHOTO_IS_TO_BLAME = 3
"""For failures that a service which is up repeats: an internal error, or that it never ends."""

MAX_WAIT_SECONDS = 60.0
MAX_PAUSE_SECONDS = 10.0
"""Longest pause for all after a failure: a service that is back is found so soon."""

TELL_AFTER = 4
"""Failures in a row, from which on the person is told that the service is waited for."""

LONG_PAUSE_SECONDS = 20.0
"""From here on, a pause that the service asks for is worth a line."""

RATE_LIMIT = "rate_limit"
"""The code of a 429: the service is up, and requests come too fast."""

_REPEATS = frozenset({"http_500", "timeout"})

T = TypeVar("T")


class Asked(NamedTuple, Generic[T]):
    """An answer, how long the request that brought it took, and how many were sent for it.

    `proofs` is what pictures of ours cost that were shown to the service meanwhile.
    """

    answer: T
    seconds: float
    attempts: int
    proofs: Usage


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
    ) -> None:
        self._concurrency = concurrency
        self._breaker = breaker
        self._stop = stop
        self._notice = notice
        self._budget = budget
        self._retrying = tenacity.Retrying(
            stop=lambda state: self._is_final(state.args[1]),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=stop.wait,
            reraise=True,
        )
        self._random_wait = tenacity.wait_random_exponential(first_wait, max=MAX_WAIT_SECONDS)
        self._proving = threading.Lock()
        self._told = False

    def ask(
        self,
        request: Callable[[], T],
        proof: Callable[[], Usage] | None = None,
        photo: str = "",
    ) -> Asked[T]:
        """The answer to a request that is repeated where that may help.

        Args:
            request: what is asked about the photo.
            proof: shows the service a picture of ours, gives the cost: if that is answered while
                the photo is not, the photo is to blame, also where no other is under way.
            photo: tells this photo from others.

        Raises:
            ApiError: every attempt failed, while others succeeded: it is this photo's fault. Its
                `usage` has all requests, those with pictures of ours included.
            TransientError: every attempt failed, and so may the service have.
            RunStopped: the run is being stopped.
            FatalError: as the request raises it, or nothing succeeded for too long.
        """
        attempts = _Attempts(proof, photo)
        try:
            answer, seconds = self._retrying(self._attempt, request, attempts)
        except TransientError as error:
            if attempts.photo_is_to_blame and error.code != RATE_LIMIT:
                sent = Usage(requests=len(attempts.failures))
                usage = added(attempts.proofs, sent)
                raise ApiError(str(error), code=error.code, usage=usage) from error
            raise
        return Asked(answer, seconds, len(attempts.failures) + 1, attempts.proofs)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Random, doubling; none if somebody was answered since: that tells photo from service."""
        attempts: _Attempts = state.args[1]
        if attempts.code in _REPEATS and self._breaker.successes > attempts.failures[-1]:
            return 0.0
        return self._random_wait(state)

    def _attempt(self, request: Callable[[], T], attempts: _Attempts) -> tuple[T, float]:
        with self._concurrency as let_through:
            if self._stop.requested:
                raise RunStopped("the run is being stopped")
            self._breaker.ensure_up()
            self._budget.take_request()
            try:
                answer = request()
            except TransientError as error:
                attempts.code = error.code
                attempts.failures.append(self._breaker.successes)
                self._failed(error, let_through, attempts)
                raise
            self._concurrency.answered()
            if self._told:
                self._told = False
                self._notice("The service answers again")
            return answer, time.monotonic() - let_through

    def _failed(self, error: TransientError, let_through: float, attempts: _Attempts) -> None:
        _log.warning(
            "request failed",
            extra={"event": "request_failed", "error": {"code": error.code, "message": str(error)}},
        )
        if error.retry_after is not None:
            self._breaker.check_pause(error, error.retry_after)
            prolonged = self._concurrency.hold(error.retry_after)
            if error.retry_after >= LONG_PAUSE_SECONDS and prolonged >= LONG_PAUSE_SECONDS:
                asked = f"a pause of {error.retry_after:.0f} s, {until(error.retry_after)}"
                self._notice(f"The service asks for {asked}: {error}")
        if error.code != RATE_LIMIT:
            self._concurrency.failed(let_through)
        elif not self._concurrency.refused(let_through):
            return  # hundreds may have been under way: they count as one failure in a row
        in_a_row = self._breaker.request_failed(error, attempts.photo)
        if self._can_be_proved(error, in_a_row, attempts) and self._prove(attempts):
            return
        if self._is_final(attempts) and attempts.photo_is_to_blame:
            return
        patience = self._breaker.patience_with(error)
        if in_a_row > 1:
            longest = min(MAX_PAUSE_SECONDS, patience / 5)
            self._concurrency.hold(min(2.0 ** min(in_a_row - 2, 9), longest))
        if in_a_row == TELL_AFTER:
            self._told = True
            self._notice(
                f"The service fails ({error}); it is asked again for up to {patience:.0f} s "
                "(--patience)"
            )

    def _can_be_proved(self, error: TransientError, in_a_row: int, attempts: _Attempts) -> bool:
        """Whether a picture of ours can tell the photo from the service.

        From the second failure on, be it this photo's or of photos one after the other; where the
        service may be busy, before the last attempt only. One that asks to be left alone, or that
        nobody can reach, is shown nothing.
        """
        left_alone = error.code == RATE_LIMIT or error.retry_after is not None
        if left_alone or self._breaker.refused(error) or self._is_final(attempts):
            return False
        if error.code in _REPEATS:
            return in_a_row > 1 or len(attempts.failures) > 1
        return len(attempts.failures) == ATTEMPTS - 1

    def _is_final(self, attempts: _Attempts) -> bool:
        """Whether the photo is asked about no more."""
        repeats = attempts.code in _REPEATS and attempts.photo_is_to_blame
        most = ATTEMPTS_IF_THE_PHOTO_IS_TO_BLAME if repeats else ATTEMPTS
        return len(attempts.failures) >= most

    def _prove(self, attempts: _Attempts) -> bool:
        """Show the service a picture of ours; whether it, or somebody meanwhile, was answered.

        This keeps the failed request's place: others wait for the outcome, and need no proof then.
        """
        if attempts.proof is None:
            return False
        with self._proving:
            if self._breaker.successes > attempts.failures[-1]:
                return True
            if self._stop.requested:
                raise RunStopped("the run is being stopped")
            self._budget.take_request()
            try:
                usage = attempts.proof()
            except TransientError:
                return False  # that it fails too is no news
            attempts.proofs = added(attempts.proofs, usage)
            self._breaker.proved_up()
            return True


class _Attempts:
    """What is known of one photo's requests."""

    def __init__(self, proof: Callable[[], Usage] | None, photo: str) -> None:
        self.proof = proof
        self.photo = photo
        self.code = ""
        """Of the last failure."""
        self.failures: list[int] = []
        """How many requests had been answered in this run, whoever sent them, at each failure."""
        self.proofs = Usage()

    @property
    def photo_is_to_blame(self) -> bool:
        """Whether the service answered somebody between the last two failures."""
        return len(self.failures) > 1 and self.failures[-1] > self.failures[-2]
