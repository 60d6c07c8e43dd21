"""One request first, one more with every success, half after a failure, none during a pause."""

import threading
import time

import pytest

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
