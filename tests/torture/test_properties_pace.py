"""How fast requests follow: never faster than the quota, and never not at all.

`RateLimiter` is asked with made-up times. `ConcurrencyLimiter` runs real threads against a clock
that passes 300 times as fast, so that an hour of quotas takes seconds; a thread that waits for ever
fails the test.
"""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.backends.rate_limits import MAX_SECONDS, Quota
from picture_captioner.pipeline.asking import concurrency
from picture_captioner.pipeline.asking.concurrency import (
    BURST_SECONDS,
    LEAST_PER_SECOND,
    SHARE,
    ConcurrencyLimiter,
    RateLimiter,
)

SPEED = 300.0
UNITS = st.sampled_from(["requests", "tokens", "input_tokens", "output_tokens"])
ANY_QUOTA = st.builds(
    Quota,
    unit=UNITS,
    limit=st.none() | st.floats(1e-9, 1e12),
    remaining=st.floats(0, 1e12),
    seconds=st.floats(1e-9, MAX_SECONDS),
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "start", "answer", "refused", "told", "used", "pause"]),
        st.floats(0, 30),
        ANY_QUOTA,
    ),
    max_size=60,
)


@pytest.mark.timeout(900)
def test_no_header_and_no_refusal_makes_a_request_wait_for_ever(share, tried):
    examples = share(150, 5_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(events=EVENTS)
    def check(events):
        rate, now = RateLimiter(), 100.0
        for what, seconds, quota in events:
            now += seconds if what == "pause" else 0.001
            match what:
                case "answer":
                    rate.answered(now)
                case "refused":
                    rate.refused(now)
                case "told":
                    rate.told([quota], now)
                case "used":
                    rate.used([{"input_tokens": int(quota.remaining), "output_tokens": 1}])
                case "start":
                    rate.started(now)
            assert rate.per_second(now) >= LEAST_PER_SECOND
            wait = rate.wait(now)
            behind = 1 + sum(1 for kind, _, _ in events if kind == "start")
            assert 0 <= wait <= behind / LEAST_PER_SECOND
            assert rate.wait(now + wait + 1e-6 * (1 + wait)) <= 1e-3 or what != "pause"

    check()
    tried("random headers, refusals and pauses", examples)


@pytest.mark.timeout(900)
def test_starts_never_exceed_the_quota_of_any_window(share, tried):
    examples = share(80, 2_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        limit=st.integers(1, 1_000),
        seconds=st.floats(0.5, 3_600),
        late=st.lists(st.floats(0, 2), min_size=1, max_size=8),
        requests=st.integers(2, 120),
    )
    def check(limit, seconds, late, requests):
        rate, now = RateLimiter(), 50.0
        rate.told([Quota("requests", limit, limit, seconds)], now)
        starts = []
        for _, delay in zip(range(requests), itertools.cycle(late), strict=False):
            now += rate.wait(now) + delay * seconds / limit
            if rate.wait(now) > 0:  # rounding: a moment more
                now += rate.wait(now) + 1e-9 * now
            rate.started(now)
            starts.append(now)
        each = max(SHARE * limit / seconds, LEAST_PER_SECOND)
        burst = max(each * BURST_SECONDS, 1.0)
        for first, last in itertools.combinations(range(requests), 2):
            window = starts[last] - starts[first]
            assert last - first + 1 <= each * window + burst + 1 + 1e-6

    check()
    tried("quotas with workers that wake late", examples)


class FastPace(ConcurrencyLimiter):
    """Waits for its clock as long as the fast one says."""

    def _watch_clock(self, seconds: float) -> None:
        super()._watch_clock(seconds / SPEED)


@pytest.fixture
def fast_clock(monkeypatch):
    real, start = time.monotonic, time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: start + (real() - start) * SPEED)
    monkeypatch.setattr(concurrency, "time", clock)


ANSWERS = st.lists(
    st.sampled_from(["good", "good", "good", "dead", "refused", "told", "hold"]),
    min_size=1, max_size=25,
)  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("fast_clock")
def test_every_thread_comes_through_whatever_the_service_answers(share, tried):
    examples = share(15, 400)
    stuck = 0

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        workers=st.integers(1, 16),
        threads=st.integers(1, 12),
        answers=ANSWERS,
        stop=st.none() | st.integers(0, 20),
    )
    def check(workers, threads, answers, stop):
        nonlocal stuck
        pace, inside, most, lock = FastPace(workers), 0, 0, threading.Lock()
        left = iter(answers * 2)

        def ask() -> None:
            nonlocal inside, most
            while True:
                with lock:
                    answer = next(left, None)
                if answer is None:
                    return
                with pace as let_through:
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    _answer(pace, answer, let_through)
                    with lock:
                        inside -= 1

        running = [threading.Thread(target=ask, daemon=True) for _ in range(threads)]
        for thread in running:
            thread.start()
        if stop is not None:
            time.sleep(stop / 1_000)
            pace.stop()
        for thread in running:
            thread.join(30)
        stuck += sum(thread.is_alive() for thread in running)
        assert not stuck
        assert most <= workers or stop is not None

    try:
        check()
    finally:
        tried("threads before a service that fails in random ways", examples, lost=stuck)


def _answer(pace: ConcurrencyLimiter, answer: str, let_through: float) -> None:
    """What a backend and the retrier tell the pace."""
    pace.answered()
    match answer:
        case "good":
            pace.succeeded([{"input_tokens": 100, "output_tokens": 10}])
        case "dead":
            pace.failed(let_through)
        case "refused":
            pace.refused(let_through)
        case "told":
            pace.told((Quota("requests", 60, 3, 60), Quota("tokens", 10_000, 0, 60)))
        case "hold":
            pace.hold(20)
