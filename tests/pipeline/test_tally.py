"""Counts that many threads add up, and a reporter that hears of each photo once."""

from collections import Counter

import pytest

from pipeline.tally import MAX_FAILURES_KEPT, Failure, Outcome, Tally


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
def tally():
    listener = Listener()
    tally = Tally(listener)
    tally.heard = listener.heard
    return tally


def failure(number=0, code="empty"):
    return Failure(f"{number}.jpg", Outcome.MODEL_ERROR, code, "nothing")


def test_a_failure_is_told_before_it_is_counted_as_progress(tally):
    tally.fail(failure())
    tally.settle(Outcome.CAPTIONED)
    assert tally.heard == [failure(), Outcome.MODEL_ERROR, Outcome.CAPTIONED]
    assert tally.outcomes == {Outcome.MODEL_ERROR: 1, Outcome.CAPTIONED: 1}
    assert tally.reasons == {"empty": 1}
    assert tally.settled == 2


def test_threads_add_up(tally, in_threads):
    def work():
        for number in range(300):
            tally.settle(Outcome.CAPTIONED)
            tally.fail(failure(number))

    in_threads(*[work] * 6)
    assert tally.outcomes == {Outcome.CAPTIONED: 1800, Outcome.MODEL_ERROR: 1800}
    assert tally.settled == len(tally.heard) * 2 / 3
    assert len(tally.failures) == 1800


def test_memory_for_failures_is_bounded_and_counts_are_not(tally):
    for number in range(MAX_FAILURES_KEPT + 5):
        tally.fail(failure(number))
    assert len(tally.failures) == MAX_FAILURES_KEPT
    assert tally.reasons["empty"] == MAX_FAILURES_KEPT + 5


def test_every_outcome_has_words_of_its_own_and_five_leave_no_caption():
    assert max(Counter(str(outcome) for outcome in Outcome).values()) == 1
    assert [outcome.name for outcome in Outcome if outcome.failed] == [
        "CORRUPT",
        "API_ERROR",
        "MODEL_ERROR",
        "UNREADABLE",
        "WITHHELD",
    ]
