"""By the provider's rule for the size that is sent, or as it was billed; never a made-up figure."""

import pytest

from picture_captioner.backends.base import ExpectedTokens
from picture_captioner.pipeline.asking.prices import OwnPrice, Prices
from picture_captioner.pipeline.forecast import as_billed, by_rule, dearest

PRICES = Prices(None, "m", OwnPrice(input_per_million=1, output_per_million=10))
UNKNOWN = Prices(None, "m")


def area(width, height):
    """One token for ten pixels, and a hundred for the answer."""
    return ExpectedTokens(image=width * height // 10, text=0, output=100)


def nobody_knows(width, height):
    return None


def test_photos_are_counted_at_the_size_they_are_sent():
    forecast = by_rule(area, [(4000, 3000), (50, 20)], 100, PRICES)
    assert (forecast.input_tokens, forecast.output_tokens) == ((750 + 100) / 2, 100)
    assert forecast.quote == (pytest.approx(425e-6), pytest.approx(1000e-6))
    assert forecast.cost_usd == pytest.approx(sum(forecast.quote))
    assert forecast.billed_photos == 0


@pytest.mark.parametrize("rule", [nobody_knows, area])
def test_without_a_rule_or_a_header_nothing_is_forecast(rule):
    sizes = [] if rule is area else [(100, 100)]
    assert by_rule(rule, sizes, 100, PRICES) is None


def test_without_a_price_the_tokens_are_still_known():
    forecast = by_rule(area, [(100, 100)], 100, UNKNOWN)
    assert (forecast.input_tokens, forecast.cost_usd, forecast.quote) == (1000, None, None)


def test_the_dearest_shape_is_not_always_the_square():
    def strips(width, height):
        return ExpectedTokens(image=5000 if width >= 2 * height else 10, text=0, output=0)

    assert dearest(strips, 1000, PRICES) == pytest.approx(5000e-6)
    assert dearest(nobody_knows, 1000, PRICES) is None
    assert dearest(area, 1000, UNKNOWN) is None


def test_what_was_paid_wins_over_what_the_tokens_cost_today():
    record = {"input_tokens": 1000, "output_tokens": 100, "latency_ms": 1500}
    forecast = as_billed([record | {"cost_usd": 0.004}, record], PRICES)
    assert (forecast.input_tokens, forecast.output_tokens) == (1000, 100)
    assert forecast.cost_usd == pytest.approx(0.004)
    assert forecast.quote == (pytest.approx(0.002), pytest.approx(0.002))
    assert (forecast.billed_photos, forecast.seconds) == (1, 1.5)


def test_what_a_batch_job_cost_is_no_price_of_a_run():
    record = {"input_tokens": 1000, "output_tokens": 100}
    in_jobs = [record | {"cost_usd": 0.001, "batch": True}] * 9
    forecast = as_billed([*in_jobs, record | {"cost_usd": 0.002}], PRICES)
    assert (forecast.cost_usd, forecast.batch_usd) == (pytest.approx(0.002), pytest.approx(0.001))
    forecast = as_billed(in_jobs, PRICES)
    assert (forecast.cost_usd, forecast.batch_usd) == (pytest.approx(0.002), pytest.approx(0.001))


def test_a_cost_that_lacks_a_request_is_no_price():
    record = {"input_tokens": 1000, "output_tokens": 100, "cost_usd": 0.002}
    part = {"cost_usd": 0.5, "requests": 2, "unpriced_requests": 1}
    assert as_billed([record, part], PRICES).cost_usd == pytest.approx(0.002)


def test_tokens_without_a_cost_are_priced_today():
    records = [{"input_tokens": 1000, "output_tokens": 100}, {"input_tokens": 3000}]
    forecast = as_billed(records, PRICES)
    assert (forecast.cost_usd, forecast.billed_photos) == (pytest.approx(0.002), 1)
    assert as_billed(records, UNKNOWN).cost_usd is None


def test_a_cost_without_tokens_is_not_split():
    forecast = as_billed([{"cost_usd": 0.5}], PRICES)
    assert (forecast.cost_usd, forecast.quote, forecast.input_tokens) == (0.5, None, None)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"cost_usd": None},
        {"cost_usd": "1"},
        {"cost_usd": True},
        {"input_tokens": -1},
        {"cost_usd": 10**400},
        {"input_tokens": 10**400, "output_tokens": 1},
    ],
)
def test_what_says_nothing_about_money_is_passed_over(record):
    assert as_billed([record], PRICES) is None
