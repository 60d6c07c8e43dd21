"""Counts that many threads add up, and a reporter that hears of each photo once."""

from collections import Counter

import pytest

from picture_captioner.pipeline.recording.outcomes import (
    MAX_FAILURES_KEPT,
    FailedPhoto,
    Outcome,
    Outcomes,
)


class Listener:
    def __init__(self):
        self.heard = []

    def start(self, total):
        self.heard.append(total)

    def advance(self, outcome):
        self.heard.append(outcome)

    def failed(self, failure):
        self.heard.append(failure)

    def notice(self, text):
        self.heard.append(text)


@pytest.fixture
def outcomes():
    listener = Listener()
    outcomes = Outcomes(listener)
    outcomes.heard = listener.heard
    return outcomes


def failure(number=0, code="empty"):
    return FailedPhoto(f"{number}.jpg", Outcome.MODEL_ERROR, code, "nothing")


def test_a_failure_is_told_before_it_is_counted_as_progress(outcomes):
    outcomes.fail(failure())
    outcomes.settle(Outcome.CAPTIONED)
    assert outcomes.heard == [failure(), Outcome.MODEL_ERROR, Outcome.CAPTIONED]
    assert outcomes.counts == {Outcome.MODEL_ERROR: 1, Outcome.CAPTIONED: 1}
    assert outcomes.reasons == {"empty": 1}
    assert outcomes.settled == 2


def test_threads_add_up(outcomes, in_threads):
    def work():
        for number in range(300):
            outcomes.settle(Outcome.CAPTIONED)
            outcomes.fail(failure(number))

    in_threads(*[work] * 6)
    assert outcomes.counts == {Outcome.CAPTIONED: 1800, Outcome.MODEL_ERROR: 1800}
    assert outcomes.settled == len(outcomes.heard) * 2 / 3
    assert len(outcomes.failures) == 1800


def test_memory_for_failures_is_bounded_and_counts_are_not(outcomes):
    for number in range(MAX_FAILURES_KEPT + 5):
        outcomes.fail(failure(number))
    assert len(outcomes.failures) == MAX_FAILURES_KEPT
    assert outcomes.reasons["empty"] == MAX_FAILURES_KEPT + 5


def test_every_outcome_has_words_of_its_own_and_six_leave_no_caption():
    assert max(Counter(str(outcome) for outcome in Outcome).values()) == 1
    assert [outcome.name for outcome in Outcome if outcome.failed] == [
        "CORRUPT",
        "API_ERROR",
        "MODEL_ERROR",
        "UNREADABLE",
        "WITHDRAWN",
        "WITHHELD",
    ]
