"""One request first, one more with every success, half after a failure; fast, never too fast."""

import threading
import time

import pytest

from picture_captioner.backends.rate_limits import Quota
from picture_captioner.pipeline.asking.concurrency import ConcurrencyLimiter


class Service:
    """Counts how many are inside at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.most = self.answered = 0
        self.violations = []

    def request(self, concurrency, *, limit, good=True):
        with concurrency:
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                if self.inside > min(limit, 1 + self.answered):
                    self.violations.append((self.inside, self.answered))
            time.sleep(0.0005)
            with self.lock:
                self.inside -= 1
                self.answered += good  # before `succeeded`, so the bound above is never too strict
        if good:
            concurrency.succeeded()


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_requests_ramp_up_to_the_limit_and_no_worker_is_left_waiting(in_threads, limit):
    concurrency, service = ConcurrencyLimiter(limit), Service()

    def work():
        for _ in range(40):
            service.request(concurrency, limit=limit)

    in_threads(*[work] * 12)
    assert service.answered == 12 * 40
    assert service.violations == []
    assert service.most == limit


def test_a_service_that_is_down_meets_one_request_at_a_time(in_threads):
    concurrency, service = ConcurrencyLimiter(100), Service()

    def work():
        for _ in range(5):
            service.request(concurrency, limit=100, good=False)

    in_threads(*[work] * 10)
    assert service.most == 1


def test_stop_lets_everybody_through(in_threads):
    concurrency, through = ConcurrencyLimiter(1), []

    def work():
        with concurrency:
            through.append(1)

    def stop():
        time.sleep(0.05)
        assert through == []
        concurrency.stop()

    concurrency.__enter__()  # the only place is taken and never given back
    in_threads(*[work] * 5, stop)
    assert len(through) == 5


def test_an_error_inside_gives_the_place_back():
    concurrency = ConcurrencyLimiter(1)
    for _ in range(3):
        with pytest.raises(KeyError), concurrency:
            raise KeyError


def allowed(concurrency, most=40):
    """How many requests the gate lets through at the same time, now."""
    inside = 0
    pace_is_open = threading.Event()

    def enter():
        nonlocal inside
        with concurrency:
            inside += 1
            pace_is_open.wait(10)

    threads = [threading.Thread(target=enter, daemon=True) for _ in range(most)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    found = inside
    pace_is_open.set()
    for thread in threads:
        thread.join(10)
    return found


def test_a_failure_halves_once_for_all_that_were_under_way():
    concurrency = ConcurrencyLimiter(32)
    for _ in range(31):
        concurrency.succeeded()
    assert allowed(concurrency) == 32
    with concurrency as earlier:
        pass
    concurrency.failed(earlier)
    concurrency.failed(earlier)
    assert allowed(concurrency) == 16
    for _ in range(15):
        concurrency.succeeded()
    assert allowed(concurrency) == 16, (
        "after a failure it grows by one for a whole round of successes"
    )
    for _ in range(5):
        concurrency.succeeded()
    assert allowed(concurrency) == 17


def test_a_pause_holds_for_everybody_and_ends(in_threads):
    concurrency, through = ConcurrencyLimiter(8), []
    for _ in range(8):
        concurrency.succeeded()
    started = time.monotonic()
    concurrency.hold(0.3)
    concurrency.hold(0.1)  # a shorter one does not shorten it

    def work():
        with concurrency:
            through.append(time.monotonic() - started)

    in_threads(*[work] * 8)
    assert min(through) >= 0.3
    assert max(through) < 2


def ready(workers):
    """A gate that lets all of its workers through at once."""
    concurrency = ConcurrencyLimiter(workers)
    for _ in range(workers):
        concurrency.succeeded()
    return concurrency


def starts(concurrency, workers, seconds, in_threads):
    """When requests of no duration started, as told by the gate, until it was stopped."""
    times, end = [], time.monotonic() + seconds
    threading.Timer(seconds, concurrency.stop).start()

    def work():
        while time.monotonic() < end:
            with concurrency as let_through:
                times.append(let_through)

    in_threads(*[work] * workers)
    return sorted(t for t in times if t < end - 0.05)


@pytest.mark.parametrize("workers", [2, 500])
def test_quotas_set_the_rate_at_which_requests_start(in_threads, workers):
    concurrency = ready(workers)
    concurrency.told((Quota("requests", 100, 100, 1),))
    times = starts(concurrency, workers, 2.0, in_threads)
    # The floor is low: other tests run at the same time, and 500 threads need their turns.
    assert 0.3 * 95 * 1.9 <= len(times) <= 95 * (times[-1] - times[0]) + 11


def test_a_better_quota_is_used_at_once(in_threads):
    concurrency = ready(4)
    concurrency.told((Quota("requests", 60, 0, 3600),))
    through = []

    def work():
        for _ in range(5):
            with concurrency:
                through.append(1)

    def better():
        time.sleep(0.2)
        assert len(through) <= 1
        concurrency.told((Quota("requests", None, 1000, 0.1),))

    started = time.monotonic()
    in_threads(*[work] * 4, better)
    assert time.monotonic() - started < 5


def test_a_refusal_slows_down_without_fewer_under_way(in_threads):
    concurrency = ready(32)
    with concurrency as early:
        concurrency.answered()
    assert concurrency.refused(early)
    assert not concurrency.refused(early), "what was under way with it says nothing new"
    times = starts(concurrency, 32, 1.0, in_threads)
    assert len(times) < 20, "one answer in a quarter of a second was all that was measured"


def test_stop_lets_those_through_who_wait_for_their_moment(in_threads):
    concurrency = ready(50)
    concurrency.told((Quota("requests", 60, 0, 3600),))
    threading.Timer(0.1, concurrency.stop).start()
    started = time.monotonic()

    def work():
        with concurrency:
            pass

    in_threads(*[work] * 50)
    assert time.monotonic() - started < 5


def test_a_pause_of_a_hundred_years_can_still_be_stopped(in_threads):
    concurrency = ready(2)
    concurrency.hold(1e12)
    threading.Timer(0.1, concurrency.stop).start()

    def work():
        with concurrency:
            pass

    in_threads(work, work)
