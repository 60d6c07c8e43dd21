"""One layer retries: bounded, in its own time, and never against the service's wish."""

import contextlib
import re
import threading
import time

import pytest

from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    BackendUnavailableError,
    CeilingReachedError,
    ModelError,
    TransientError,
    Usage,
)
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.pipeline.asking.circuit_breaker import CircuitBreaker
from picture_captioner.pipeline.asking.concurrency import ConcurrencyLimiter
from picture_captioner.pipeline.asking.retry import ATTEMPTS, Retrier, RunStopped
from picture_captioner.pipeline.asking.spending import Budget, Ceilings
from picture_captioner.pipeline.threads import Stop


class Requests:
    """A request that fails as told, then answers."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.times = []
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            self.times.append(time.monotonic())
            failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return "answer"


class Bench:
    """A retrier with its parts at hand and waits of a few milliseconds."""

    def __init__(self, workers=8, max_requests=None, patience=300):
        self.concurrency, self.breaker, self.stop, self.said = (
            ConcurrencyLimiter(workers),
            CircuitBreaker(patience),
            Stop(),
            [],
        )
        self.stop.on_stop(self.concurrency.stop)
        budget = Budget(Ceilings(max_requests=max_requests), JournalIndex())
        self.retrier = Retrier(
            self.concurrency, self.breaker, self.stop, self.said.append, budget, 0.001
        )


def down(retry_after=None):
    return TransientError("the server answered 503", code="http_503", retry_after=retry_after)


def test_what_passes_by_itself_is_tried_again():
    bench, request = Bench(), Requests(down(), down())
    asked = bench.retrier.ask(request)
    assert asked.answer == "answer"
    assert 0 <= asked.seconds < 1, "the time of the attempt that worked, not of the waits"
    assert asked.attempts == 3
    assert len(request.times) == 3


def test_a_permanent_failure_costs_exactly_the_attempts():
    bench, request = Bench(), Requests(*[down() for _ in range(50)])
    with pytest.raises(TransientError, match="503"):
        bench.retrier.ask(request)
    assert len(request.times) == ATTEMPTS == 5


@pytest.mark.parametrize("verdict", [ModelError("no"), AccessDeniedError("no"), KeyError("bug")])
def test_verdicts_fatal_errors_and_bugs_are_not_tried_again(verdict):
    bench, request = Bench(), Requests(verdict)
    with pytest.raises(type(verdict)):
        bench.retrier.ask(request)
    assert len(request.times) == 1


def test_a_pause_that_the_service_asks_for_holds_for_every_worker(in_threads):
    bench = Bench()
    for _ in range(8):
        bench.concurrency.succeeded()
    first = Requests(down(retry_after=0.4))
    others = Requests()
    asked = threading.Event()

    def told_to_wait():
        threading.Timer(0.05, asked.set).start()
        bench.retrier.ask(first)

    def other():
        asked.wait(5)
        bench.retrier.ask(others)

    in_threads(told_to_wait, *[other] * 4)
    earliest = min(first.times[1], *others.times)
    assert earliest - first.times[0] >= 0.4


def test_a_long_pause_is_told():
    bench = Bench()
    bench.stop.on_stop(lambda: None)
    threading.Timer(0.1, bench.stop.request).start()
    with pytest.raises(RunStopped):
        bench.retrier.ask(Requests(down(retry_after=3600)))
    [said] = bench.said
    asked = (
        r"The service asks for a pause of 3600 s, until [-\d ]*\d\d:\d\d: the server answered 503"
    )
    assert re.fullmatch(asked, said)


@pytest.mark.parametrize(
    ("seconds", "when"), [(3601, r"until [-\d ]*\d\d:\d\d"), (1e18, "for more than a year")]
)
def test_a_pause_of_more_than_an_hour_ends_the_run_and_says_when_to_come_back(seconds, when):
    bench, request = Bench(), Requests(slow_down(), slow_down(retry_after=seconds))
    with pytest.raises(BackendUnavailableError, match=f"{when}, .* slow down.* again"):
        bench.retrier.ask(request)
    with pytest.raises(BackendUnavailableError):
        bench.retrier.ask(Requests())
    assert bench.said == []


def test_patience_is_how_long_a_pause_may_be():
    bench = Bench(patience=10_000)
    threading.Timer(0.1, bench.stop.request).start()
    with pytest.raises(RunStopped):
        bench.retrier.ask(Requests(down(retry_after=9_000)))
    assert "a pause of 9000 s" in bench.said[0]


def test_pauses_in_a_row_are_no_more_than_an_hour_together():
    now = [0.0]
    breaker = CircuitBreaker(clock=lambda: now[0])
    for _ in range(2):
        breaker.check_pause(down(1500), 1500)
        breaker.request_failed(down(1500))
        now[0] += 1500
    with pytest.raises(BackendUnavailableError):
        breaker.check_pause(down(1500), 1500)


def test_a_pause_that_many_are_asked_for_is_said_once(in_threads):
    bench = Bench()
    for _ in range(8):
        bench.concurrency.succeeded()
    together = threading.Barrier(4)

    def work():
        def refused():
            together.wait(5)
            raise down(retry_after=30)

        with pytest.raises(RunStopped):
            bench.retrier.ask(refused)

    threading.Timer(1, bench.stop.request).start()
    in_threads(*[work] * 4)
    assert sum("asks for a pause" in said for said in bench.said) == 1


def test_a_stop_ends_the_waits(in_threads):
    bench = Bench()
    started = time.monotonic()

    def work():
        with pytest.raises(RunStopped):
            bench.retrier.ask(Requests(down(retry_after=60)))

    threading.Timer(0.2, bench.stop.request).start()
    in_threads(*[work] * 4)
    assert time.monotonic() - started < 2


def test_nothing_that_succeeds_ends_the_run_whoever_failed_and_is_said_before(in_threads):
    bench = Bench(patience=1.5)
    raised = []

    def work():
        try:
            while True:
                with contextlib.suppress(TransientError):
                    bench.retrier.ask(Requests(*[down() for _ in range(100)]))
        except BackendUnavailableError as error:
            raised.append(error)
            bench.stop.fail(error)
        except RunStopped:
            pass

    started = time.monotonic()
    in_threads(*[work] * 8)
    assert raised
    assert 1.5 <= time.monotonic() - started < 8
    assert "it is asked again for up to 2 s (--patience)" in bench.said[0]


def proof_of(bench, answered):
    asked = []

    def proof():
        asked.append(len(asked))
        if not answered:
            raise down()
        return Usage(input_tokens=7, requests=1)

    return proof, asked


def test_a_picture_of_ours_that_is_answered_proves_that_it_is_the_photo():
    bench = Bench()
    proof, asked = proof_of(bench, answered=True)
    request = Requests(*[TransientError("broken", code="http_500") for _ in range(9)])
    with pytest.raises(ApiError, match="broken") as verdict:
        bench.retrier.ask(request, proof)
    assert (len(request.times), len(asked)) == (3, 1)
    assert verdict.value.usage == {"input_tokens": 7, "requests": 4}
    assert (verdict.value.code, bench.said) == ("http_500", [])


def test_a_picture_of_ours_that_fails_too_says_nothing_about_the_photo():
    bench = Bench()
    proof, asked = proof_of(bench, answered=False)
    request = Requests(*[down() for _ in range(9)])
    with pytest.raises(TransientError):
        bench.retrier.ask(request, proof)
    assert (len(request.times), len(asked)) == (ATTEMPTS, 1)


def test_a_service_that_was_up_before_is_given_time():
    bench = Bench()
    bench.breaker.succeeded()
    request = Requests(*[down() for _ in range(4)])
    started = time.monotonic()
    assert bench.retrier.ask(request)[0] == "answer"
    assert time.monotonic() - started >= 1 + 2 + 4, "the pauses double from the second failure on"


def test_a_request_that_fails_while_others_succeed_is_the_photos_own_fault():
    bench = Bench()

    def request():
        bench.breaker.succeeded()  # as other workers do meanwhile
        raise down()

    with pytest.raises(ApiError, match="503") as told:
        bench.retrier.ask(request)
    assert told.value.code == "http_503"


def test_a_ceiling_counts_the_repeated_requests_too():
    bench, request = Bench(max_requests=3), Requests(*[down() for _ in range(10)])
    with pytest.raises(CeilingReachedError, match="--max-requests 3"):
        bench.retrier.ask(request)
    assert len(request.times) == 3


def slow_down(retry_after=None):
    return TransientError("slow down", code="rate_limit", retry_after=retry_after)


def test_refusals_of_requests_that_were_under_way_together_count_as_one(in_threads):
    bench = Bench(workers=40)
    for _ in range(40):
        bench.concurrency.answered()
        bench.concurrency.succeeded()
    together = threading.Barrier(40)
    good = Requests()

    def work():
        tried = []

        def request():
            tried.append(1)
            if len(tried) == 1:
                together.wait(10)
                raise slow_down()
            return good()

        bench.retrier.ask(request)

    in_threads(*[work] * 40)
    assert len(good.times) == 40, "forty refusals are not twenty failures in a row"


def test_a_service_that_refuses_for_ever_ends_the_run(in_threads, monkeypatch):
    monkeypatch.setattr("picture_captioner.pipeline.asking.concurrency.REFUSALS_APART_SECONDS", 0.0)
    monkeypatch.setattr("picture_captioner.pipeline.asking.concurrency.FIRST_PER_SECOND", 1000.0)
    bench, request = Bench(patience=1), Requests(*[slow_down() for _ in range(1000)])
    ended = []

    def work():
        while not ended:
            try:
                bench.retrier.ask(request)
            except BackendUnavailableError as error:
                ended.append(error)
            except TransientError:
                continue

    in_threads(*[work] * 4)
    assert ended
