"""A cost is the provider's word, else tokens times a dated price, else unknown; never 0."""

import json
from datetime import UTC, date, datetime

import pytest

from picture_captioner.backends.base import Caption
from picture_captioner.errors import ConfigurationError, Usage
from picture_captioner.pipeline.asking.prices import OwnPrice, Prices, read_price_file

TOKENS = Usage(input_tokens=1_000_000, output_tokens=100_000)


def test_the_provider_has_the_last_word():
    prices = Prices("openai", "gpt-5-mini", OwnPrice(input_per_million=9, output_per_million=9))
    assert prices.billed(Usage(**TOKENS, cost_usd=0.5), 1)["cost_usd"] == 0.5


def test_own_prices_win_over_maintained_ones():
    prices = Prices("openai", "gpt-5-mini", OwnPrice(input_per_million=2, output_per_million=10))
    assert prices.cost(TOKENS) == pytest.approx(3.0)


def test_maintained_prices_know_current_models():
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
    assert Caption("x", input_tokens=3).usage == {"input_tokens": 3}


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


def test_a_quote_says_what_goes_in_and_what_comes_back():
    quote = Prices(None, "m", OwnPrice(input_per_million=2, output_per_million=10)).quote(TOKENS)
    assert quote == (pytest.approx(2.0), pytest.approx(1.0))
    assert quote.total_usd == pytest.approx(3.0)
    assert Prices("openai", "gpt-5-mini").quote(TOKENS) == (0.25, pytest.approx(0.2))


@pytest.mark.parametrize(
    ("provider", "model", "share"),  # genai-prices 0.2.3; xAI's is a fifth off
    [
        ("openai", "gpt-5-mini", 0.5),
        ("anthropic", "claude-haiku-5-5", 0.5),
        ("google", "gemini-3.5-flash-lite", 0.5),
        ("x-ai", "grok-4.3", 0.8),
    ],
)
def test_batch_prices_come_from_the_maintained_source(provider, model, share):
    prices, tokens = Prices(provider, model), Usage(input_tokens=1000, output_tokens=60)
    batch = prices.quote(tokens, batch=True)
    assert batch.total_usd == pytest.approx(share * prices.cost(tokens))


@pytest.mark.parametrize(
    "prices",
    [
        Prices("huggingface_hyperbolic", "Qwen/Qwen2.5-VL-7B-Instruct"),
        Prices("openai", "gpt-5-mini", OwnPrice(input_per_million=1, output_per_million=1)),
        Prices(None, "m", free=True),
    ],
)
def test_without_a_batch_price_there_is_no_batch_quote(prices):
    assert prices.known
    assert prices.quote(TOKENS, batch=True) is None


def test_what_runs_at_home_is_free_unless_a_price_was_given():
    assert Prices(None, "m", free=True).cost(TOKENS) == 0.0
    assert Prices(None, "m", free=True).cost(Usage()) is None
    own = OwnPrice(input_per_million=1, output_per_million=0)
    assert Prices(None, "m", own, free=True).cost(TOKENS) == pytest.approx(1.0)


def test_a_price_says_whose_it_is_and_of_which_day():
    own = OwnPrice(input_per_million=1, output_per_million=1, as_of="2026-11-01")
    assert Prices("openai", "gpt-5-mini", own).source == ("your price file", "2026-11-01")
    name, as_of = Prices("openai", "gpt-5-mini").source
    assert name.startswith("genai-prices ")
    assert date(2026, 10, 14) <= date.fromisoformat(as_of) <= datetime.now(UTC).date()
    assert Prices("openai", "no-such-model").source is None
