"""What is paid: never less than nothing, never less for more, never over a ceiling by a request."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.backends.base import Caption
from picture_captioner.backends.usage import MOST_DOLLARS, added
from picture_captioner.errors import CeilingReachedError, Usage
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.pipeline.asking.prices import MOST_PER_MILLION, OwnPrice, Prices
from picture_captioner.pipeline.asking.spending import Budget, Ceilings
from picture_captioner.pipeline.recording.answers import judge_answer

TOKENS = st.integers(0, 10**7)
PRICES = st.builds(
    OwnPrice,
    input_per_million=st.floats(0, MOST_PER_MILLION),
    output_per_million=st.floats(0, MOST_PER_MILLION),
)
MODELS = st.sampled_from(
    [("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-flash"),
     ("x-ai", "grok-4"), ("openai", "nobody-knows"), (None, "llava")]
)  # fmt: skip
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": TOKENS,
        "output_tokens": TOKENS,
        "cached_tokens": st.integers(0, 1000),
        "cost_usd": st.floats(0, 1e6),
        "requests": st.integers(1, 9),
    },
)


@pytest.mark.timeout(900)
def test_more_tokens_never_cost_less_and_nothing_costs_less_than_nothing(share, tried):
    examples = share(200, 5_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        model=MODELS, own=st.none() | PRICES, free=st.booleans(), first=TOKENS, second=TOKENS,
        more=TOKENS, batch=st.booleans(),
    )  # fmt: skip
    def check(model, own, free, first, second, more, batch):
        prices = Prices(*model, own, free=free)
        usage = Usage(input_tokens=first, output_tokens=second)
        less = prices.quote(usage, batch=batch)
        wider = prices.quote(Usage(input_tokens=first + more, output_tokens=second), batch=batch)
        longer = prices.quote(Usage(input_tokens=first, output_tokens=second + more), batch=batch)
        assert (less is None) == (wider is None) == (longer is None)
        if less is None or wider is None or longer is None:
            return  # unknown, for any number of tokens
        for quote in (less, wider, longer):
            assert quote.input_usd >= 0
            assert quote.output_usd >= 0
            assert math.isfinite(quote.total_usd)
        assert less.total_usd <= min(wider.total_usd, longer.total_usd) + 1e-12
        assert less.input_usd == longer.input_usd or more
        if free and own is None:
            assert less.total_usd == 0

    check()
    tried("prices of random numbers of tokens", examples)


@pytest.mark.timeout(900)
def test_what_was_billed_is_never_forgotten_by_adding_or_billing(share, tried):
    examples = share(200, 5_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(first=USAGES, second=USAGES, own=st.none() | PRICES, attempts=st.integers(1, 5))
    def check(first, second, own, attempts):
        total = added(first, second)
        for name in {*first, *second}:
            assert total[name] == pytest.approx(first.get(name, 0) + second.get(name, 0))
        assert set(total) == {*first, *second}, "what neither says stays unknown"
        billed = Prices(None, "m", own).billed(first, attempts)
        assert billed["requests"] == first.get("requests", 1) + attempts - 1
        assert billed.get("cost_usd") == first["cost_usd"] if "cost_usd" in first else True
        assert ("cost_usd" in billed) >= ("cost_usd" in first)
        kept = judge_answer(Caption("A lake.", **billed)).usage
        assert kept == billed or billed["cost_usd"] > MOST_DOLLARS

    check()
    tried("bills added and completed", examples)


@pytest.mark.timeout(900)
def test_no_thread_gets_a_request_over_the_ceiling(share, tried):
    examples = share(40, 2_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(
        before=st.integers(0, 30),
        limit=st.none() | st.integers(0, 40),
        spent=st.floats(0, 2),
        ceiling=st.none() | st.floats(0, 2),
        threads=st.integers(1, 6),
        each=st.integers(1, 12),
    )
    def check(before, limit, spent, ceiling, threads, each):
        budget = Budget(
            Ceilings(max_cost=ceiling, max_requests=limit),
            JournalIndex(cost_usd=spent, requests=before),
        )
        granted = [0] * threads

        def ask(number: int) -> None:
            for _ in range(each):
                try:
                    budget.take_request()
                except CeilingReachedError as error:
                    assert "Raise the ceiling" in str(error)
                else:
                    granted[number] += 1

        running = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        wanted = threads * each
        open_to_cost = ceiling is None or spent < ceiling
        most = wanted if limit is None else min(wanted, max(limit - before, 0))
        assert sum(granted) == (most if open_to_cost else 0)

    check()
    tried("budgets that threads draw upon", examples)
