"""A cost is the provider's word, else tokens times a dated price, else unknown; never 0."""

import json

import pytest

from backends.base import Caption
from errors import ConfigurationError, Usage
from pipeline.prices import OwnPrice, Prices, read_price_file, usage_of

TOKENS = Usage(input_tokens=1_000_000, output_tokens=100_000)


def test_the_provider_has_the_last_word():
    prices = Prices("openai", "gpt-5-mini", OwnPrice(input_per_million=9, output_per_million=9))
    assert prices.billed(Usage(**TOKENS, cost_usd=0.5), 1)["cost_usd"] == 0.5


def test_own_prices_win_over_maintained_ones():
    prices = Prices("openai", "gpt-5-mini", OwnPrice(input_per_million=2, output_per_million=10))
    assert prices.cost(TOKENS) == pytest.approx(3.0)


def test_maintained_prices_know_current_models():
    pytest.importorskip("genai_prices")
    cost = Prices("openai", "gpt-5-mini").cost(TOKENS)
    assert cost == pytest.approx(0.25 + 0.2)  # 0.25 and 2 USD per million, genai-prices 0.2.3
    cached = Prices("openai", "gpt-5-mini").cost(Usage(**TOKENS, cached_tokens=1_000_000))
    assert cached is not None
    assert cached < cost


@pytest.mark.parametrize(
    "prices", [Prices(None, "llava"), Prices("openai", "no-such-model"), Prices(None, "")]
)
def test_what_is_not_known_is_unknown(prices):
    assert prices.cost(TOKENS) is None
    assert not prices.known
    assert "cost_usd" not in prices.billed(TOKENS.copy(), 1)


def test_tokens_that_were_not_reported_have_no_cost():
    prices = Prices(None, "m", OwnPrice(input_per_million=1, output_per_million=1))
    assert prices.cost(Usage(input_tokens=5)) is None
    assert prices.known


def test_requests_are_the_ones_that_were_sent():
    assert Prices(None, "m").billed(Usage(requests=1), 3)["requests"] == 3
    assert Prices(None, "m").billed(Usage(), 1)["requests"] == 1
    assert Prices(None, "m").billed(Usage(requests=2), 3)["requests"] == 4


def test_usage_leaves_out_what_the_backend_left_out():
    assert usage_of(Caption("x", input_tokens=3)) == {"input_tokens": 3}


def test_a_price_file(tmp_path):
    path = tmp_path / "prices.json"
    price = {"input_per_million": 0.1, "output_per_million": 0.4, "as_of": "2026-11-01"}
    path.write_text(json.dumps({"my-model": price}))
    assert read_price_file(path) == {"my-model": OwnPrice(**price)}


@pytest.mark.parametrize("text", ["[]", "{", '{"m": {}}', '{"m": {"input_per_million": -1}}'])
def test_a_price_file_that_makes_no_sense_shows_the_form(tmp_path, text):
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="input_per_million"):
        read_price_file(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_price_file(tmp_path / "none.json")
