"""When requests start: how many are under way at a time, how fast they follow, and when none may.

How fast is decided in rate_limiter.py; here threads wait for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from picture_captioner.backends.rate_limits import Quota
from picture_captioner.errors import Usage
from picture_captioner.pipeline.asking.rate_limiter import RateLimiter

LONGEST_HOLD_SECONDS = 86_400.0
"""A service that asks for more is asked again after a day."""


class ConcurrencyLimiter:
    """A gate around requests; a context manager that gives the time at which it let one through.

    It starts with one request and allows one more with every success: a service that is down or
    refuses the key meets one request, not hundreds, and a good one has all workers busy after a
    few round trips. A failure halves what is allowed; from there on it grows by one for each round
    of successes (additive increase, multiplicative decrease, as TCP does; Chiu and Jain 1989).
    Quotas and refusals (429) limit the rate at which requests start instead.

    With 500 workers only one of those who wait watches the clock. Whoever comes in wakes the next.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._allowed = 1.0
        self._slow_start_until = float(limit)
        self._active = 0
        self._rate_limiter = RateLimiter()
        self._held_until = 0.0
        self._halved_at = 0.0
        self._refused_at = 0.0
        self._stopped = False
        lock = threading.Lock()
        self._turn = threading.Condition(lock)
        self._clock = threading.Condition(lock)
        self._watched = False

    def __enter__(self) -> float:
        with self._turn:
            while not self._stopped:
                if self._watched or self._active >= int(self._allowed):
                    self._turn.wait()
                elif (seconds := self._closed_for(time.monotonic())) > 0:
                    self._watch_clock(seconds)
                else:
                    break
            now = time.monotonic()
            self._active += 1
            self._rate_limiter.started(now)
            self._turn.notify()
            return now

    def _closed_for(self, now: float) -> float:
        return max(self._held_until - now, self._rate_limiter.wait(now))

    def _watch_clock(self, seconds: float) -> None:
        self._watched = True
        self._clock.wait(seconds)
        self._watched = False

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._active -= 1
            self._turn.notify()

    def answered(self) -> None:
        """The service answered a request, with whatever."""
        with self._turn:
            self._rate_limiter.answered(time.monotonic())

    def succeeded(self, usages: Iterable[Usage] = ()) -> None:
        """A request brought captions, which cost this: more may be under way."""
        with self._turn:
            self._rate_limiter.used(usages)
            step = 1.0 if self._allowed < self._slow_start_until else 1.0 / self._allowed
            self._allowed = min(self._allowed + step, float(self._limit))
            self._turn.notify()

    def failed(self, let_through: float) -> None:
        """A request that was let through at this time met an overloaded or dead service.

        Requests that were under way together say the same thing: they halve once.
        """
        with self._turn:
            if let_through >= self._halved_at:
                self._allowed = max(self._allowed / 2, 1.0)
                self._slow_start_until = self._allowed
                self._halved_at = time.monotonic()

    def refused(self, let_through: float) -> bool:
        """A request that was let through at this time came too soon (429).

        Returns False if others that were under way with it have said so already.
        """
        with self._turn:
            now = time.monotonic()
            if let_through < self._refused_at or not self._rate_limiter.refused(now):
                return False
            self._refused_at = now
            return True

    def told(self, quotas: tuple[Quota, ...]) -> None:
        """An answer said how much of the provider's quotas is left."""
        with self._turn:
            self._rate_limiter.told(quotas, time.monotonic())
            self._clock.notify()

    def share(self, processes: int) -> None:
        """So many processes, this one among them, use the quotas that answers tell of."""
        with self._turn:
            self._rate_limiter.shared_by = processes

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long, whoever's request it was that brought this about."""
        with self._turn:
            until = time.monotonic() + min(seconds, LONGEST_HOLD_SECONDS)
            self._held_until = max(self._held_until, until)

    def stop(self) -> None:
        """Let everybody who waits through, so that they see that the run stops."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
            self._clock.notify_all()
