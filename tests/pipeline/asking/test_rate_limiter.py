"""How much of a quota is used, and how often it is exceeded, against simulated services.

The services keep time by the same made-up clock as the rate, so minutes take milliseconds.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field

import pytest

from picture_captioner.backends.rate_limits import Quota
from picture_captioner.pipeline.asking.concurrency import (
    BETA,
    LEAST_PER_SECOND,
    RateLimiter,
    Recovery,
)

QUOTA = 100.0


@dataclass
class Bucket:
    """Holds `size` requests and fills at `QUOTA` a second; it begins full."""

    size: float
    left: float = field(init=False)
    then: float = 0.0

    def __post_init__(self):
        self.left = self.size

    def ask(self, now):
        """Whether a request is let in, how many more would be, and when all would."""
        self.left, self.then = min(self.size, self.left + (now - self.then) * QUOTA), now
        good = self.left >= 1
        self.left -= good
        return good, math.floor(self.left), (self.size - self.left) / QUOTA


@dataclass
class Window:
    """Lets `size` requests in until the next full period."""

    size: float
    number: int = -1
    left: float = 0.0

    def ask(self, now):
        period = self.size / QUOTA
        number = int(now / period)
        if number != self.number:
            self.number, self.left = number, self.size
        good = self.left >= 1
        self.left -= good
        return good, self.left, (number + 1) * period - now


@dataclass
class Sliding:
    """Lets in what keeps the last period at `size`, and names the whole period as its reset."""

    size: float
    let_in: list[float] = field(default_factory=list)

    def ask(self, now):
        period = self.size / QUOTA
        self.let_in = [then for then in self.let_in if then > now - period]
        good = len(self.let_in) < self.size
        if good:
            self.let_in.append(now)
        return good, self.size - len(self.let_in), period


class Simulation:
    """Workers that ask as `ConcurrencyLimiter` lets them: one more after each success."""

    def __init__(self, service, workers, latency, *, told, retry_after=0.0, whole_seconds=False):
        self.service, self.workers, self.latency = service, workers, latency
        self.told, self.retry_after, self.whole_seconds = told, retry_after, whole_seconds
        self.rate, self.random = RateLimiter(), random.Random(1)
        self.allowed, self.active, self.free = 1, 0, workers
        self.held_until, self.refused_at = 0.0, -1.0
        self.asked, self.events, self.ids = [], [], itertools.count()

    def at(self, when, event, *about):
        heapq.heappush(self.events, (when, next(self.ids), event, about))

    def run(self, seconds, since=10.0):
        """The shares of the quota that was used and of requests that were refused, in percent."""
        self.at(0.0, self.nothing)
        while self.events and self.events[0][0] < seconds:
            now, _, event, about = heapq.heappop(self.events)
            event(now, *about)
            self.start(now)
        counted = [good for when, good in self.asked if when >= since]
        return 100 * sum(counted) / (QUOTA * (seconds - since)), 100 * counted.count(False) / max(
            len(counted), 1
        )

    def nothing(self, now):
        pass

    def start(self, now):
        while self.free and self.active < self.allowed:
            wait = max(self.held_until - now, self.rate.wait(now))
            if wait > 1e-9:
                late = self.random.uniform(0, 0.002)
                if not any(event == self.nothing for _, _, event, _ in self.events):
                    self.at(now + wait + late, self.nothing)
                return
            self.rate.started(now)
            self.free -= 1
            self.active += 1
            self.at(now + self.latency / 10, self.arrive, now)

    def arrive(self, now, started):
        good, left, reset = self.service.ask(now)
        self.asked.append((now, good))
        if self.whole_seconds:
            reset = math.ceil(reset)
        took = self.latency * self.random.uniform(0.8, 1.0) if good else 0.02
        self.at(now + took, self.answer, started, good, left, reset)

    def answer(self, now, started, good, left, reset):
        self.active -= 1
        if self.told and reset > 0:
            self.rate.told([Quota("requests", self.service.size, left, reset)], now)
        if good:
            self.rate.answered(now)
            self.allowed = min(self.allowed + 1, self.workers)
            self.free += 1
            return
        if started >= self.refused_at and self.rate.refused(now):
            self.refused_at = now
        self.held_until = max(self.held_until, now + self.retry_after)
        self.at(now + self.random.uniform(0, 1), self.come_back)

    def come_back(self, now):
        self.free += 1


SERVICES = [
    pytest.param(lambda: Bucket(100), id="bucket of a second"),
    pytest.param(lambda: Bucket(6000), id="bucket of a minute"),
    pytest.param(lambda: Window(100), id="window of a second"),
    pytest.param(lambda: Window(6000), id="window of a minute"),
    pytest.param(lambda: Sliding(100), id="sliding second"),
]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("workers", [8, 64, 500])
@pytest.mark.parametrize("whole_seconds", [False, True])
def test_with_headers_nearly_all_of_the_quota_is_used_and_hardly_ever_exceeded(
    service, workers, whole_seconds
):
    used, refused = Simulation(
        service(), workers, 0.05, told=True, whole_seconds=whole_seconds
    ).run(60)
    assert used >= 93
    assert refused <= 0.5


@pytest.mark.parametrize("service", [SERVICES[0], SERVICES[1], SERVICES[2]])
@pytest.mark.parametrize("latency", [0.2, 1.0])
def test_a_slow_service_with_headers_is_used_well_too(service, latency):
    used, refused = Simulation(service(), 500, latency, told=True).run(120, since=30)
    assert used >= 90
    assert refused <= 0.5


@pytest.mark.parametrize("service", [SERVICES[0], SERVICES[2], SERVICES[4]])
@pytest.mark.parametrize("workers", [8, 64, 500])
@pytest.mark.parametrize("retry_after", [0.0, 1.0])
def test_without_headers_most_of_the_quota_is_found_in_ten_seconds(service, workers, retry_after):
    used, refused = Simulation(service(), workers, 0.05, told=False, retry_after=retry_after).run(
        60
    )
    assert used >= 80
    assert refused <= 2


def test_after_a_refusal_the_rate_returns_lingers_and_goes_beyond():
    recovery = Recovery()
    assert math.isinf(recovery.rate(5.0))
    assert recovery.refused(100.0, 5.0)
    assert recovery.rate(5.0) == pytest.approx(BETA * 100)
    rates = [recovery.rate(5.0 + t) for t in range(40)]
    assert rates == sorted(rates)
    assert recovery.rate(15.0) == pytest.approx(100)
    assert recovery.rate(17.0) < 101
    assert recovery.rate(35.0) > 200, "a quota that was raised is found"


def test_refusals_within_a_second_count_once_and_one_cut_is_never_deep():
    recovery = Recovery()
    assert recovery.refused(100.0, 0.0)
    assert not recovery.refused(1.0, 0.5)
    assert recovery.refused(1.0, 1.0)
    assert recovery.rate(1.0) > 40


def test_a_service_that_refuses_everything_is_asked_steadily():
    rate = RateLimiter()
    for second in range(100):
        rate.refused(float(second))
    assert 1 < rate.per_second(100.0) < 3


def test_tokens_are_divided_by_their_mean_per_request():
    rate = RateLimiter()
    rate.told([Quota("tokens", 60_000, 59_000, 60), Quota("input_tokens", 6_000, 5_000, 60)], 0.0)
    assert math.isinf(rate.per_second(0.0)), "as long as no answer said what it costs"
    rate.used([{"input_tokens": 90, "output_tokens": 10}, {"input_tokens": 110}])
    assert rate.per_second(0.0) == pytest.approx(0.95 * 100 / 100)


def test_a_nearly_spent_quota_slows_down_and_a_quota_without_a_limit_is_spread():
    rate = RateLimiter()
    rate.told([Quota("requests", 600, 3, 60)], 0.0)
    assert rate.per_second(0.0) == pytest.approx(0.95)
    rate.told([Quota("requests", None, 30, 60)], 0.0)
    assert 0.04 < rate.per_second(0.0) < 0.5


@pytest.mark.parametrize(
    "quota", [Quota("requests", 1e-9, 0, 3e7), Quota("requests", None, 0, 3e7)]
)
def test_no_header_stops_the_run(quota):
    rate = RateLimiter()
    rate.started(0.0)
    rate.told([quota], 0.0)
    assert rate.per_second(0.0) == LEAST_PER_SECOND
    assert rate.wait(0.0) <= 60


def test_starts_that_were_missed_are_made_up_for_but_not_many():
    rate = RateLimiter()
    rate.told([Quota("requests", 100, 50, 1)], 0.0)
    rate.started(0.0)
    started = 0
    while rate.wait(5.0) == 0:
        rate.started(5.0)
        started += 1
    assert 8 <= started <= 10, "a tenth of a second's worth"
