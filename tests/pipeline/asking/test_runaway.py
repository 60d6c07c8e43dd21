"""A bill of over five times the estimate ends the run; where nothing is known nothing is judged."""

import pytest

from picture_captioner.backends.base import BackendSettings, CaptionBackend, ExpectedTokens
from picture_captioner.errors import Usage
from picture_captioner.pipeline.asking.prices import OwnPrice, Prices
from picture_captioner.pipeline.asking.spending import BillGuard

PRICES = Prices(None, "m", OwnPrice(input_per_million=1, output_per_million=10))


class Known(CaptionBackend):
    default_model = "m"

    def expected_tokens(self, width, height):
        return ExpectedTokens(image=width * height, text=0, output=0)

    def caption(self, image, hints):
        raise NotImplementedError


class Unknown(Known):
    def expected_tokens(self, width, height):
        return None


def verdict(billed, sent=(100, 10), kind=Known, prices=PRICES, most=None, max_tokens=256):
    usage = Usage() if billed is None else Usage(cost_usd=billed, input_tokens=7, output_tokens=3)
    settings = BackendSettings(model="m", max_tokens=max_tokens)
    guard = BillGuard(kind(settings), prices, most)
    return guard.verdict("2023/a.jpg", sent, usage)


@pytest.mark.parametrize(("billed", "stops"), [(0.0049, False), (0.0051, True), (None, False)])
def test_five_times_the_estimate_is_the_limit(billed, stops):
    assert (verdict(billed) is not None) == stops


def test_an_answer_up_to_the_token_limit_is_no_runaway():
    assert verdict(0.0510, max_tokens=5000) is None
    assert verdict(0.0520, max_tokens=5000) is not None


def test_a_large_photo_may_cost_more_than_a_small_one():
    assert verdict(0.02, sent=(100, 100)) is None
    assert verdict(0.02, sent=(10, 10)) is not None


def test_the_message_says_which_photo_what_it_billed_and_how_to_go_on():
    error = verdict(0.0123)
    assert error.exit_code == 3
    for part in ("2023/a.jpg", "0.012300 USD", "7 tokens in, 3 out", "than 0.005000"):
        assert part in str(error)
    assert "--max-photo-cost 0.025" in str(error)
    assert verdict(0.0123, most=0.025) is None, "and that is enough"


def test_what_the_person_allows_replaces_the_estimate():
    assert verdict(0.9, most=1.0) is None
    assert verdict(1.1, most=1.0) is not None
    assert verdict(0.0002, most=0.0001) is not None


@pytest.mark.parametrize("given", [{"kind": Unknown}, {"prices": Prices(None, "m")}])
def test_without_an_estimate_only_the_persons_own_limit_holds(given):
    assert verdict(1e6, **given) is None
    assert verdict(0.2, most=0.1, **given) is not None


def test_tokens_that_were_not_reported_are_not_made_up():
    guard = BillGuard(Known(BackendSettings(model="m")), PRICES)
    assert "tokens unknown" in str(guard.verdict("a.jpg", (1, 1), Usage(cost_usd=1.0)))
