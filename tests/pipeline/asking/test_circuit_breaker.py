"""A verdict is written when it blames the photo, and withheld while it may blame the service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import ApiError, BackendUnavailableError, ModelError, TransientError
from picture_captioner.pipeline.asking.circuit_breaker import MAX_IN_A_ROW, CircuitBreaker, Withheld
from picture_captioner.pipeline.recording.recorder import failure_record
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.pipeline.work_queue import Item

ERRORS = {
    "down": TransientError("connection refused", code="connection"),
    "refused": ModelError("no", code="refused"),
    "empty": ModelError("nothing", code="empty"),
    "policy": ApiError("against the rules", code="policy"),
}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="session")
def verdict(identity, loaded):
    def make(kind, number=0):
        photo = Photo(f"{number}.jpg", 1, 1)
        error = ERRORS[kind]
        return Withheld(Item(photo), failure_record(photo, loaded, error, identity, 1), error)

    return make


RUNS = st.lists(
    st.tuples(st.sampled_from(["ok", *ERRORS]), st.integers(1, MAX_IN_A_ROW + 2)), max_size=8
)


def first_stop(events):
    """The rule, told plainly: the number of the event that ends the run, if one does.

    A request that fails takes a second, patience is 15 s, and each is about another photo.
    """
    down = 0
    early = []
    for number, event in enumerate(events):
        down = 0 if event == "ok" else down + (event == "down")
        if down == 16:
            return number
        if event not in {"ok", "down"} and "ok" not in events[:number]:
            early.append(event)
            if len(early) == 20 and len(set(early)) == 1:
                return number
    return None


@given(runs=RUNS)
def test_the_run_stops_exactly_when_it_should_and_no_verdict_is_lost_or_told_twice(runs, verdict):
    events = [event for event, times in runs for _ in range(times)]
    clock = Clock()
    breaker, written, stopped = CircuitBreaker(15, clock), [], None
    for number, event in enumerate(events):
        if event == "ok":
            written += breaker.succeeded()
            continue
        failed = verdict(event, number)
        try:
            if event == "down":
                clock.now += 1
                breaker.request_failed(failed.error, number)
            now = breaker.failed([failed])
        except BackendUnavailableError:
            stopped = number
            break
        assert ERRORS["down"] not in [v.error for v in now], "nothing proved that it is up"
        written += now
    assert stopped == first_stop(events)
    to_write, to_drop = breaker.finish()
    assert {v.error for v in to_drop} <= {ERRORS["down"]}
    assert ERRORS["down"] not in [v.error for v in to_write]
    names = {int(v.record.rel_path[:-4]) for v in (*written, *to_write, *to_drop)}
    assert len(names) == len(written) + len(to_write) + len(to_drop)
    seen = {number for number, event in enumerate(events) if event != "ok"}
    ended = {stopped} if stopped is not None else set()
    before = {number for number in seen if stopped is None or number < stopped}
    assert before <= names <= before | ended, "what ends the run may be told by its error alone"


def test_a_verdict_that_was_withheld_is_released_by_the_next_success(verdict):
    breaker = CircuitBreaker()
    downs = [verdict("down", number) for number in range(MAX_IN_A_ROW - 1)]
    assert [breaker.failed([down]) for down in downs] == [[]] * len(downs)
    assert breaker.succeeded() == downs
    assert breaker.succeeded() == []


BUSY = TransientError("answers HTTP 503", code="http_503")


@pytest.mark.parametrize(("error", "seconds"), [(BUSY, 300), (ERRORS["down"], 30)])
def test_no_success_for_as_long_as_patience_ends_the_run_and_a_success_starts_anew(error, seconds):
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    for photo in range(3):
        for _ in range(50):
            breaker.request_failed(error, photo)
            clock.now += (seconds - 1) / 150
    breaker.succeeded()
    for photo in range(3):
        assert breaker.request_failed(error, photo) == photo + 1
    clock.now += seconds
    with pytest.raises(BackendUnavailableError, match=rf"no request .* {seconds} s") as stopped:
        breaker.request_failed(error, 3)
    assert stopped.value.exit_code == 69
    with pytest.raises(BackendUnavailableError):
        breaker.ensure_up()
    assert breaker.finish()[0] == []


def test_one_photo_alone_ends_no_run_before_twice_the_time():
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    breaker.request_failed(BUSY, 7)
    clock.now = 599
    breaker.request_failed(BUSY, 8)
    clock.now = 600
    with pytest.raises(BackendUnavailableError):
        breaker.request_failed(BUSY, 7)


def test_an_answer_about_a_picture_of_ours_proves_the_service():
    breaker = CircuitBreaker()
    breaker.request_failed(BUSY, 7)
    breaker.proved_up()
    assert (breaker.successes, breaker.request_failed(BUSY, 7)) == (1, 1)


def test_the_first_photos_failing_alike_are_the_models_fault(verdict):
    breaker = CircuitBreaker()
    for _ in range(MAX_IN_A_ROW - 1):
        assert breaker.failed([verdict("refused")]) == []
    with pytest.raises(BackendUnavailableError, match=r"all failed the same way \(refused\)"):
        breaker.failed([verdict("refused")])


def test_first_photos_that_fail_differently_are_verdicts(verdict):
    breaker = CircuitBreaker()
    early = [verdict("refused") for _ in range(MAX_IN_A_ROW - 1)] + [verdict("empty")]
    assert [breaker.failed([v]) for v in early[:-1]] == [[]] * (MAX_IN_A_ROW - 1)
    assert breaker.failed(early[-1:]) == early
    one_more = verdict("refused")
    assert breaker.failed([one_more]) == [one_more]


def test_a_few_early_verdicts_are_written_at_the_end_of_the_run(verdict):
    breaker = CircuitBreaker()
    refused, down = verdict("refused", 1), verdict("down", 2)
    breaker.failed([refused])
    breaker.failed([down])
    assert breaker.finish() == ([refused], [down])
    assert breaker.finish() == ([], [])


def test_after_a_success_verdicts_on_photos_are_written_at_once(verdict):
    breaker = CircuitBreaker()
    breaker.succeeded()
    refused = verdict("refused")
    assert all(breaker.failed([refused]) == [refused] for _ in range(3 * MAX_IN_A_ROW))


def test_concurrent_verdicts_are_each_released_once(verdict, in_threads):
    breaker, released = CircuitBreaker(), []
    breaker.succeeded()

    def fail(worker):
        for number in range(100):
            released.extend(breaker.failed([verdict("down", worker * 1000 + number)]))
            released.extend(breaker.succeeded())

    in_threads(*(lambda w=w: fail(w) for w in range(6)))
    released += [*breaker.finish()[0], *breaker.finish()[1]]
    assert len({v.record.rel_path for v in released}) == len(released) == 600


@pytest.fixture
def unknown(identity, loaded):
    """A verdict of an error that no backend foresaw."""

    def make(words):
        error = ModelError(words, code="exception")
        record = failure_record(Photo("a.jpg", 1, 1), loaded, error, identity, 1)
        return Withheld(Item(Photo("a.jpg", 1, 1)), record, error)

    return make


def test_the_same_unknown_error_ten_times_is_no_photos_fault(unknown):
    breaker = CircuitBreaker()
    breaker.succeeded()
    for _ in range(9):
        assert breaker.failed([unknown("RuntimeError: CUDNN_STATUS_INTERNAL_ERROR")]) == []
    with pytest.raises(BackendUnavailableError, match="CUDNN_STATUS_INTERNAL_ERROR"):
        breaker.failed([unknown("RuntimeError: CUDNN_STATUS_INTERNAL_ERROR")])


def test_unknown_errors_that_differ_are_verdicts_once_a_photo_succeeds(unknown):
    breaker = CircuitBreaker()
    breaker.succeeded()
    for number in range(30):
        assert breaker.failed([unknown(f"KeyError: {number % 2}")]) == []
    assert len(breaker.succeeded()) == 30


def test_a_few_photos_with_one_unknown_error_are_not_written_unless_something_was_answered(unknown):
    alike = [unknown("RuntimeError: named symbol not found") for _ in range(3)]
    breaker = CircuitBreaker()
    breaker.failed(alike)
    assert breaker.identical == 3
    assert breaker.finish() == ([], alike)
    breaker.failed(alike)
    breaker.proved_up()
    assert breaker.finish() == (alike, [])
    breaker.failed([unknown("KeyError: 1"), unknown("KeyError: 2")])
    assert len(breaker.finish()[0]) == 2, "they say different things"
