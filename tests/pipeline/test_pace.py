"""One request first, one more with every success, half after a failure; fast, never too fast."""

import threading
import time

import pytest

from backends.rate_limits import Quota
from pipeline.pace import Pace


class Service:
    """Counts how many are inside at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.most = self.answered = 0
        self.violations = []

    def request(self, pace, *, limit, good=True):
        with pace:
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
            pace.succeeded()


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_requests_ramp_up_to_the_limit_and_no_worker_is_left_waiting(in_threads, limit):
    pace, service = Pace(limit), Service()

    def work():
        for _ in range(40):
            service.request(pace, limit=limit)

    in_threads(*[work] * 12)
    assert service.answered == 12 * 40
    assert service.violations == []
    assert service.most == limit


def test_a_service_that_is_down_meets_one_request_at_a_time(in_threads):
    pace, service = Pace(100), Service()

    def work():
        for _ in range(5):
            service.request(pace, limit=100, good=False)

    in_threads(*[work] * 10)
    assert service.most == 1


def test_stop_lets_everybody_through(in_threads):
    pace, through = Pace(1), []

    def work():
        with pace:
            through.append(1)

    def stop():
        time.sleep(0.05)
        assert through == []
        pace.stop()

    pace.__enter__()  # the only place is taken and never given back
    in_threads(*[work] * 5, stop)
    assert len(through) == 5


def test_an_error_inside_gives_the_place_back():
    pace = Pace(1)
    for _ in range(3):
        with pytest.raises(KeyError), pace:
            raise KeyError


def allowed(pace, most=40):
    """How many requests the gate lets through at the same time, now."""
    inside = 0
    pace_is_open = threading.Event()

    def enter():
        nonlocal inside
        with pace:
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
    pace = Pace(32)
    for _ in range(31):
        pace.succeeded()
    assert allowed(pace) == 32
    with pace as earlier:
        pass
    pace.failed(earlier)
    pace.failed(earlier)
    assert allowed(pace) == 16
    for _ in range(15):
        pace.succeeded()
    assert allowed(pace) == 16, "after a failure it grows by one for a whole round of successes"
    for _ in range(5):
        pace.succeeded()
    assert allowed(pace) == 17


def test_a_pause_holds_for_everybody_and_ends(in_threads):
    pace, through = Pace(8), []
    for _ in range(8):
        pace.succeeded()
    started = time.monotonic()
    pace.hold(0.3)
    pace.hold(0.1)  # a shorter one does not shorten it

    def work():
        with pace:
            through.append(time.monotonic() - started)

    in_threads(*[work] * 8)
    assert min(through) >= 0.3
    assert max(through) < 2


def ready(workers):
    """A gate that lets all of its workers through at once."""
    pace = Pace(workers)
    for _ in range(workers):
        pace.succeeded()
    return pace


def starts(pace, workers, seconds, in_threads):
    """When requests of no duration started, as told by the gate, until it was stopped."""
    times, end = [], time.monotonic() + seconds
    threading.Timer(seconds, pace.stop).start()

    def work():
        while time.monotonic() < end:
            with pace as let_through:
                times.append(let_through)

    in_threads(*[work] * workers)
    return sorted(t for t in times if t < end - 0.05)


@pytest.mark.parametrize("workers", [2, 500])
def test_quotas_set_the_rate_at_which_requests_start(in_threads, workers):
    pace = ready(workers)
    pace.told((Quota("requests", 100, 100, 1),))
    times = starts(pace, workers, 2.0, in_threads)
    # The floor is low: other tests run at the same time, and 500 threads need their turns.
    assert 0.3 * 95 * 1.9 <= len(times) <= 95 * (times[-1] - times[0]) + 11


def test_a_better_quota_is_used_at_once(in_threads):
    pace = ready(4)
    pace.told((Quota("requests", 60, 0, 3600),))
    through = []

    def work():
        for _ in range(5):
            with pace:
                through.append(1)

    def better():
        time.sleep(0.2)
        assert len(through) <= 1
        pace.told((Quota("requests", None, 1000, 0.1),))

    started = time.monotonic()
    in_threads(*[work] * 4, better)
    assert time.monotonic() - started < 5


def test_a_refusal_slows_down_without_fewer_under_way(in_threads):
    pace = ready(32)
    with pace as early:
        pace.answered()
    assert pace.refused(early)
    assert not pace.refused(early), "what was under way with it says nothing new"
    times = starts(pace, 32, 1.0, in_threads)
    assert len(times) < 20, "one answer in a quarter of a second was all that was measured"


def test_stop_lets_those_through_who_wait_for_their_moment(in_threads):
    pace = ready(50)
    pace.told((Quota("requests", 60, 0, 3600),))
    threading.Timer(0.1, pace.stop).start()
    started = time.monotonic()

    def work():
        with pace:
            pass

    in_threads(*[work] * 50)
    assert time.monotonic() - started < 5


def test_a_pause_of_a_hundred_years_can_still_be_stopped(in_threads):
    pace = ready(2)
    pace.hold(1e12)
    threading.Timer(0.1, pace.stop).start()

    def work():
        with pace:
            pass

    in_threads(work, work)
