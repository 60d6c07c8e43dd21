"""When requests start: how many are under way at a time, how fast they follow, and when none may.

How many per second a service takes has two sources, and the lower one counts:

- Answers that carry quotas. A quota comes back within the longest time to its reset that was ever
  named, be it a window, a sliding one or a bucket that fills: 95 % of it is spread over that time.
- Refusals (429). Requests go on at 80 % of the rate that was answered until then, return to it
  along a cubic curve, linger there, and only then feel their way beyond (CUBIC: Ha, Rhee and Xu
  2008, RFC 9438; the adaptive retry mode of the AWS SDKs does so with request rates).

`RateLimiter` neither waits nor looks at a clock: `ConcurrencyLimiter` does. The constants were
chosen in a simulation of buckets, fixed and sliding windows at 1 and 100 requests per second
(tests/pipeline/asking/test_rate_limiter.py).
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from picture_captioner.backends.rate_limits import Quota, Unit
from picture_captioner.errors import Usage

SHARE = 0.95
"""Of a quota that is asked for: clocks differ, and what is under way is not counted yet."""

LOW = 0.05
"""With less than this share of a quota left, requests slow down in proportion: others use it too,
or a window was half spent when the run began."""

LEAST_PER_SECOND = 1 / 60
"""Whatever is said or refused: a strange header must not stop a run for the night."""

BURST_SECONDS = 0.1
"""Starts that were missed, because a thread woke up late, are made up for within this time."""

BETA = 0.8
"""What is left of the rate after a refusal."""

RECOVERY_SECONDS = 10.0
RECOVERY_REQUESTS = 100.0
LONGEST_RECOVERY_SECONDS = 120.0
"""The refused rate is back after 10 s, but not before 100 requests: so refusals stay at about 1 %
of them, at one request per second as at a hundred."""

REFUSALS_APART_SECONDS = 1.0
"""Refusals that follow sooner tell of the same overload: a window of a second stays used up."""

LARGEST_CUT = 0.7
MEASURED_SECONDS = 2.0
MEASURED_ANSWERS = 20
FIRST_PER_SECOND = 2.0


@dataclass
class _Told:
    """What answers said about one quota, in units per second."""

    longest: float = 0.0
    whole: float = math.inf
    brake: float = 1.0

    def update(self, quota: Quota) -> None:
        self.longest = max(self.longest, quota.seconds)
        if quota.limit is None:
            self.whole = SHARE * max(quota.remaining, 1.0) / quota.seconds
        else:
            self.whole = SHARE * quota.limit / self.longest
            self.brake = min(max(quota.remaining, 1.0) / (LOW * quota.limit), 1.0)


class Recovery:
    """The rate after refusals: infinite before the first."""

    def __init__(self) -> None:
        self._refused_rate = math.inf
        self._refused_at = -math.inf

    def rate(self, now: float) -> float:
        """Requests per second."""
        refused = self._refused_rate
        if math.isinf(refused):
            return refused
        seconds = max(RECOVERY_SECONDS, RECOVERY_REQUESTS / refused)
        missing = 1 - (now - self._refused_at) / min(seconds, LONGEST_RECOVERY_SECONDS)
        return refused * (1 - (1 - BETA) * missing**3)

    def refused(self, answered: float | None, now: float) -> bool:
        """A request was refused while so many per second were answered; False if that is no news.

        None: nothing has been answered yet, so nothing is known and slower need not be better.
        The rate of answers misleads after a pause (too high) and in an empty window (too low), so
        what is remembered lies between 70 % and all of the present rate.
        """
        if now < self._refused_at + REFUSALS_APART_SECONDS:
            return False
        current = self.rate(now)
        if answered is None:
            answered = FIRST_PER_SECOND
        elif math.isfinite(current):
            answered = min(max(answered, LARGEST_CUT * current), current)
        self._refused_rate, self._refused_at = max(answered, LEAST_PER_SECOND), now
        return True


class RateLimiter:
    """A token bucket that is filled at the rate found. Times are seconds on one clock.

    Not thread-safe: its owner has a lock.
    """

    def __init__(self) -> None:
        self.shared_by = 1
        """How many processes, this one among them, use the quotas that answers tell of."""
        self._told: dict[Unit, _Told] = {}
        self._recovery = Recovery()
        self._answers: deque[float] = deque(maxlen=10_000)
        self._tokens: dict[Unit, int] = {"input_tokens": 0, "output_tokens": 0}
        self._counted = 0
        self._credit = 1.0
        self._credited_at = 0.0

    def per_second(self, now: float) -> float:
        """Requests that may start per second; infinite while nothing speaks against it."""
        told = (t.whole * t.brake / self._mean(unit) for unit, t in self._told.items())
        quotas = min(*told, math.inf, math.inf) / self.shared_by
        return max(min(self._recovery.rate(now), quotas), LEAST_PER_SECOND)

    def wait(self, now: float) -> float:
        """Seconds until the next request may start."""
        rate = self.per_second(now)
        self._earn(rate, now)
        return max((1 - self._credit) / rate, 0.0)

    def started(self, now: float) -> None:
        """A request starts."""
        self._earn(self.per_second(now), now)
        self._credit -= 1

    def answered(self, now: float) -> None:
        """A request was answered, with whatever."""
        self._answers.append(now)

    def used(self, usages: Iterable[Usage]) -> None:
        """What answers cost; a quota in tokens is divided by their mean."""
        for usage in usages:
            self._counted += 1
            self._tokens["input_tokens"] += usage.get("input_tokens", 0)
            self._tokens["output_tokens"] += usage.get("output_tokens", 0)

    def told(self, quotas: Iterable[Quota], now: float) -> None:
        """An answer named these quotas."""
        self._earn(self.per_second(now), now)
        for quota in quotas:
            self._told.setdefault(quota.unit, _Told()).update(quota)

    def refused(self, now: float) -> bool:
        """A request was refused for coming too soon; False if that is no news."""
        self._earn(self.per_second(now), now)
        return self._recovery.refused(self._answered_per_second(now), now)

    def _mean(self, unit: Unit) -> float:
        """Of one request, in this unit; infinitely little while it is unknown."""
        if unit == "requests":
            return 1.0
        total = sum(self._tokens.values()) if unit == "tokens" else self._tokens[unit]
        return total / self._counted if total else math.ulp(0.0)

    def _answered_per_second(self, now: float) -> float | None:
        answers = self._answers
        while len(answers) > MEASURED_ANSWERS and answers[0] < now - MEASURED_SECONDS:
            answers.popleft()
        if len(answers) < MEASURED_ANSWERS and self._told:
            told = min(t.whole / self._mean(unit) for unit, t in self._told.items())
            if math.isfinite(told):
                return told
        if not answers:
            return None
        return len(answers) / max(now - answers[0], 0.25)

    def _earn(self, rate: float, now: float) -> None:
        """Fill the bucket for the time that has passed."""
        if math.isinf(rate):
            self._credit = 1.0
        else:
            most = max(rate * BURST_SECONDS, 1.0)
            self._credit = min(self._credit + (now - self._credited_at) * rate, most)
        self._credited_at = now


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
        self._clock.wait(min(seconds, threading.TIMEOUT_MAX))
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

    def hold(self, seconds: float) -> float:
        """Let nobody through for so long, whoever's request it was that brought this about.

        Returns by how many seconds that prolongs the pause which is under way, if one is.
        """
        with self._turn:
            now = time.monotonic()
            before = max(self._held_until, now)
            self._held_until = max(before, now + seconds)
            return self._held_until - before

    def stop(self) -> None:
        """Let everybody who waits through, so that they see that the run stops."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
            self._clock.notify_all()
