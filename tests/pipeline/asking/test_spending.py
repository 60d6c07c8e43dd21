"""Ceilings hold over restarts, and for every request that is sent."""

import pytest

from picture_captioner.errors import CeilingReachedError, Status
from picture_captioner.journal.reading import JournalIndex, read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.spending import Budget, Ceilings


def spent(cost, requests):
    return JournalIndex(cost_usd=cost, requests=requests)


def test_without_ceilings_everything_may_be_sent():
    budget = Budget(Ceilings(), spent(1e6, 10**9))
    for _ in range(100):
        budget.take_request()


def test_requests_of_earlier_runs_count():
    budget = Budget(Ceilings(max_requests=10), spent(0, 8))
    budget.take_request()
    budget.take_request()
    with pytest.raises(CeilingReachedError, match="--max-requests 10") as told:
        budget.take_request()
    assert told.value.exit_code == 3


def test_cost_counts_as_soon_as_the_journal_has_it():
    index = spent(0.5, 0)
    budget = Budget(Ceilings(max_cost=1.0), index)
    budget.take_request()
    index.cost_usd += 0.5
    with pytest.raises(CeilingReachedError, match=r"1\.0000 USD"):
        budget.take_request()


def test_superseded_lines_and_billed_failures_count(journal_path):
    with Journal(journal_path) as journal:
        for status in (Status.ERROR_MODEL, Status.SUCCESS, Status.SUCCESS):
            journal.append(
                Record(rel_path="a.jpg", caption="x", status=status, cost_usd=0.4, requests=2)
            )
    budget = Budget(Ceilings(max_cost=1.0), read_index(journal_path))
    with pytest.raises(CeilingReachedError):
        budget.take_request()
