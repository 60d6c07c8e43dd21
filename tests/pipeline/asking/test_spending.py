"""Ceilings hold over restarts, and for every request that is sent."""

import pytest

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.mock import MockBackend
from picture_captioner.errors import CeilingReachedError, Status, Usage
from picture_captioner.journal.reading import JournalIndex, read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.prices import Prices
from picture_captioner.pipeline.asking.spending import BillGuard, Budget, Ceilings


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


MODEL = ("openai", "m")


def record(cost=None, requests=1, status=Status.SUCCESS, model="m"):
    return Record(
        rel_path="a.jpg",
        caption="A." if status is Status.SUCCESS else None,
        status=status,
        backend="openai",
        model=model,
        cost_usd=cost,
        requests=requests,
    )


def test_an_answer_without_a_price_counts_as_the_most_that_one_may_cost():
    told = []
    budget = Budget(Ceilings(max_cost=1.0), JournalIndex(), told.append)
    budget.will_ask(MODEL, lambda: 0.4)
    for _ in range(3):
        budget.take_request()
        budget.answered(MODEL, Usage(requests=1))
    with pytest.raises(CeilingReachedError, match=r"1\.2000 of it for answers without a price"):
        budget.take_request()
    (line,) = told
    assert "an answer comes from openai without a price" in line
    assert "0.400000 USD for each" in line


def test_so_do_those_that_the_journal_has_of_this_model(journal_path):
    with Journal(journal_path) as journal:
        journal.append(record(), record(requests=2, status=Status.ERROR_MODEL))
        journal.append(record(status=Status.ERROR_API), record(model="other"), record(0.2))
    index = read_index(journal_path)
    assert index.unpriced == {MODEL: 3, ("openai", "other"): 1}
    budget = Budget(Ceilings(max_cost=1.3), index)
    budget.will_ask(MODEL, lambda: 0.4)
    with pytest.raises(CeilingReachedError, match=r"1\.4000 USD"):
        budget.take_request()
    Budget(Ceilings(max_cost=1.3), index).take_request()  # nobody is asked whose price they had


def test_without_an_estimate_the_dearest_counts_and_without_that_the_run_stops():
    for seen, said in ((0.6, r"1\.2000 USD"), (None, "--max-requests N in place of --max-cost")):
        budget = Budget(Ceilings(max_cost=1.0), JournalIndex())
        budget.will_ask(MODEL, lambda: None)
        if seen is not None:
            budget.answered(MODEL, Usage(requests=1, cost_usd=seen))
        budget.take_request()
        budget.answered(MODEL, Usage(requests=1))
        with pytest.raises(CeilingReachedError, match=said):
            budget.take_request()


def test_what_was_billed_counts_before_its_record_is_written():
    budget = Budget(Ceilings(max_cost=1.0), JournalIndex())
    budget.take_request()
    budget.answered(MODEL, Usage(requests=1, cost_usd=1.0))
    with pytest.raises(CeilingReachedError):
        budget.take_request()


def test_what_runs_at_home_costs_nothing_at_most():
    free = Prices(None, "m", free=True)
    guard = BillGuard(MockBackend(BackendSettings(model="m")), free)
    assert guard.most((100, 100), 0) == 0.0
    budget = Budget(Ceilings(max_cost=1.0), JournalIndex(), lambda said: pytest.fail(said))
    budget.will_ask(MODEL, lambda: guard.most((100, 100), 0))
    for _ in range(3):
        budget.take_request()
        budget.answered(MODEL, Usage(requests=1))
