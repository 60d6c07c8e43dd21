"""What the photos of a run will take in tokens and cost: by the provider's rule, or as billed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeAlias

from picture_captioner.backends.base import ExpectedTokens
from picture_captioner.errors import Usage
from picture_captioner.image_loader import fitting
from picture_captioner.journal import MOST_DOLLARS, is_count
from picture_captioner.pipeline.asking.prices import Prices, Quote

Rule: TypeAlias = Callable[[int, int], ExpectedTokens | None]
"""Width and height as sent, in pixels, to tokens: a backend's `expected_tokens`."""

SHAPES = (1.0, 4 / 3, 3 / 2, 16 / 9, 2.0, 8 / 3, 4.0)
"""Longer by shorter side: with tiles, a long narrow picture may cost more than a square one."""

_TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True)
class Forecast:
    """One photo, on average; None is unknown.

    `quote` is `cost_usd` split into what is sent and what comes back. `billed_photos` is how many
    the average was taken of; 0 when it is the provider's rule that says so.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    quote: Quote | None = None
    batch_usd: float | None = None
    seconds: float | None = None
    billed_photos: int = 0


def by_rule(
    rule: Rule, sizes: Iterable[tuple[int, int]], edge: int, prices: Prices
) -> Forecast | None:
    """The mean over photos of these sizes (pixels), each shrunk to `edge` before it is counted."""
    expected = [rule(*fitting(width, height, edge)) for width, height in sizes]
    known = [tokens for tokens in expected if tokens is not None]
    if not known:
        return None
    return _priced(
        round(fmean(tokens.input for tokens in known)),
        round(fmean(tokens.output for tokens in known)),
        prices,
    )


def dearest(rule: Rule, edge: int, prices: Prices) -> float | None:
    """US dollars for a photo whose longer side is `edge`, of the shape that costs most."""
    sizes = [(edge, max(1, round(edge / shape))) for shape in SHAPES]
    forecasts = [by_rule(rule, [size], edge, prices) for size in sizes]
    costs = [f.cost_usd for f in forecasts if f is not None and f.cost_usd is not None]
    return max(costs, default=None)


def as_billed(records: Sequence[Mapping[str, Any]], prices: Prices) -> Forecast | None:
    """The mean over records of the journal (`journal.read_again`); None if none was billed.

    What the records say was paid wins over what their tokens cost today.
    """
    counted = [r for r in records if all(is_count(r.get(k)) for k in _TOKENS)]
    costs = [float(r["cost_usd"]) for r in records if _is_price(r.get("cost_usd"))]
    if not counted and not costs:
        return None
    forecast = Forecast()
    if counted:
        sent = round(fmean(r["input_tokens"] for r in counted))
        forecast = _priced(sent, round(fmean(r["output_tokens"] for r in counted)), prices)
    paid = fmean(costs) if costs else forecast.cost_usd
    share = paid / forecast.cost_usd if paid is not None and forecast.cost_usd else None
    waits = [r["latency_ms"] / 1000 for r in records if is_count(r.get("latency_ms"))]
    return Forecast(
        input_tokens=forecast.input_tokens,
        output_tokens=forecast.output_tokens,
        cost_usd=paid,
        quote=_scaled(forecast.quote, share),
        batch_usd=forecast.batch_usd * share if forecast.batch_usd and share else None,
        seconds=fmean(waits) if waits else None,
        billed_photos=len(costs) or len(counted),
    )


def _priced(sent: int, written: int, prices: Prices) -> Forecast:
    usage = Usage(input_tokens=sent, output_tokens=written)
    quote, batch = prices.quote(usage), prices.quote(usage, batch=True)
    return Forecast(
        input_tokens=sent,
        output_tokens=written,
        cost_usd=quote.total_usd if quote else None,
        quote=quote,
        batch_usd=batch.total_usd if batch else None,
    )


def _scaled(quote: Quote | None, share: float | None) -> Quote | None:
    if quote is None or share is None:
        return None
    return Quote(quote.input_usd * share, quote.output_usd * share)


def _is_price(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < MOST_DOLLARS
