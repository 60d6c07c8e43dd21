"""What the photos of a run will take: tokens and cost, by the provider's rule or as billed; time.

Sizes come from headers, speed from what this journal has seen.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from picture_captioner.backends.base import ExpectedTokens
from picture_captioner.errors import CaptionerError, Usage
from picture_captioner.image_loader.resizing import fitting
from picture_captioner.journal.record import MOST_DOLLARS, Entry, is_count, time_of
from picture_captioner.pipeline.asking.prices import Prices, Quote
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

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

    What the records say was paid wins over what their tokens cost today. What was paid for answers
    of batch jobs says what jobs cost, and nothing of a run's price.
    """
    counted = [r for r in records if all(is_count(r.get(k)) for k in _TOKENS)]
    priced = [r for r in records if _is_price(r.get("cost_usd")) and not r.get("unpriced_requests")]
    costs = [float(r["cost_usd"]) for r in priced if not r.get("batch")]
    in_jobs = [float(r["cost_usd"]) for r in priced if r.get("batch")]
    if not counted and not priced:
        return None
    forecast = Forecast()
    if counted:
        sent = round(fmean(r["input_tokens"] for r in counted))
        forecast = _priced(sent, round(fmean(r["output_tokens"] for r in counted)), prices)
    paid = fmean(costs) if costs else forecast.cost_usd
    share = paid / forecast.cost_usd if paid is not None and forecast.cost_usd else None
    batch_usd = forecast.batch_usd * share if forecast.batch_usd and share else None
    waits = [r["latency_ms"] / 1000 for r in records if is_count(r.get("latency_ms"))]
    return Forecast(
        input_tokens=forecast.input_tokens,
        output_tokens=forecast.output_tokens,
        cost_usd=paid,
        quote=_scaled(forecast.quote, share),
        batch_usd=fmean(in_jobs) if in_jobs else batch_usd,
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


MAX_HEADERS = 2_000
"""Headers read at most: the mean of 2,000 is within a few percent, and it takes seconds."""

RECENT_RECORDS = 2_000
LONGEST_GAP_SECONDS = 60.0
"""A longer pause between two records is a night between two runs, not a slow photo."""


@dataclass
class Dimensions:
    """Upright sizes in pixels, as the headers of a sample say; `unreadable` had none to read."""

    sampled: int = 0
    megapixels: float = 0.0
    widest: tuple[int, int] = (0, 0)
    unreadable: int = 0
    sizes: list[tuple[int, int]] = field(default_factory=list)


def read_dimensions(
    photos_dir: Path, photos: Sequence[Photo], *, follow_links: bool = False
) -> Dimensions:
    """Read the headers of at most 2,000 photos, evenly spread; `follow_links` as in the walk."""
    step = max(len(photos) / MAX_HEADERS, 1.0)
    sample = [photos[int(i * step)] for i in range(min(len(photos), MAX_HEADERS))]
    with Decoder(within=None if follow_links else photos_dir) as decoder:
        headers = decoder.read_headers([photos_dir / photo.rel_path for photo in sample])
    found = Dimensions()
    for header in headers:
        if isinstance(header, CaptionerError):
            found.unreadable += 1
        else:
            found.sizes.append((header.width, header.height))
    found.sampled = len(found.sizes)
    if found.sizes:
        found.megapixels = sum(w * h for w, h in found.sizes) / len(found.sizes) / 1e6
        found.widest = max(found.sizes, key=lambda size: size[0] * size[1])
    return found


def photos_per_second(entries: Iterable[Entry], identity: Identity) -> float | None:
    """The speed of this backend and model in this journal; None when it has not run yet."""
    recent = _recent(entries, identity)
    times = sorted(time.timestamp() for time in map(time_of, recent) if time)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    worked = [gap for gap in gaps if gap <= LONGEST_GAP_SECONDS]
    return len(worked) / sum(worked) if sum(worked) > 0 else None


def asked_alike(entries: Iterable[Entry], identity: Identity) -> list[Entry]:
    """The recent records by this backend, model and prompt that are no copies."""
    same_prompt = (entry for entry in entries if identity.same_prompt(entry))
    return _recent(same_prompt, identity)


def _recent(entries: Iterable[Entry], identity: Identity) -> list[Entry]:
    own = (entry for entry in entries if identity.same_model(entry) and entry.copied_from is None)
    return heapq.nlargest(RECENT_RECORDS, own, key=lambda entry: entry.offset)
