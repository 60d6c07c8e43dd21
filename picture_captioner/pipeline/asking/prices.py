"""What an answer costs: the provider's own word, else its tokens times a dated price."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, RootModel

from picture_captioner.backends.usage import believable, name_in
from picture_captioner.errors import ConfigurationError, Usage
from picture_captioner.foreign_text import read_regular

_USUAL_TIERS = frozenset({"default", "standard", "auto", "on_demand"})
"""Names of the tier that list prices are for."""


MOST_PER_MILLION = 1e6
"""US dollars: a typing error above it, and an infinite cost is nothing that a journal can hold."""


class OwnPrice(BaseModel):
    """A price from the override file, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_per_million: float = Field(ge=0, le=MOST_PER_MILLION)
    output_per_million: float = Field(ge=0, le=MOST_PER_MILLION)
    as_of: str = ""
    batch_share: float | None = Field(default=None, ge=0, le=1)
    """What a batch job costs of that: 0.5 is half; without it, it is unknown."""


class _PriceFile(RootModel[dict[str, OwnPrice]]):
    """Model name -> price."""


def read_price_file(path: Path) -> dict[str, OwnPrice]:
    """Prices that win over the maintained ones.

    Raises:
        ConfigurationError: the file cannot be read; the message shows its form.
    """
    try:
        return _PriceFile.model_validate(json.loads(read_regular(path))).root
    except OSError as error:
        raise ConfigurationError(f"the price file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors
        form = '{"MODEL": {"input_per_million": 0.25, "output_per_million": 2.0}}'
        raise ConfigurationError(f"the price file {path} is not of the form {form}") from error


class Quote(NamedTuple):
    """US dollars for what is sent and for what comes back."""

    input_usd: float
    output_usd: float

    @property
    def total_usd(self) -> float:
        """Both together."""
        return self.input_usd + self.output_usd


class PriceSource(NamedTuple):
    """Whose price it is, and of which day (ISO 8601) at the earliest, if anybody says."""

    name: str
    as_of: str | None


@dataclass(frozen=True)
class Prices:
    """The price of one model.

    `provider` is genai-prices' name of who bills; None when nobody does. `own` wins. `free` is for
    models that run on a machine of one's own. A model without a price costs an unknown amount,
    never nothing.
    """

    provider: str | None
    model: str
    own: OwnPrice | None = None
    free: bool = False
    tier: str | None = None
    batch: bool = False
    """Whether photos are sent in batch jobs."""

    def billed(self, usage: Usage, attempts: int, answered_by: str | None = None) -> Usage:
        """The usage with its cost, if that is known, and every request that was sent for it.

        Args:
            answered_by: the model as the provider named it, which may have sent us to another: what
                is billed is its price, where it has one.
        """
        known = believable(usage)
        # A backend may have sent more than one itself, to find out what the server takes.
        known["requests"] = known.get("requests", 1) + attempts - 1
        answered_by = name_in(answered_by)
        if "cost_usd" not in known:
            cost = replace(self, model=answered_by).cost(known) if answered_by else None
            cost = self.cost(known) if cost is None else cost
            if cost is not None:
                known["cost_usd"] = cost
        return known

    def cost(self, usage: Usage) -> float | None:
        """US dollars for these tokens; None when tokens or price are unknown."""
        quote = self.quote(usage)
        return quote.total_usd if quote is not None else None

    def quote(self, usage: Usage, *, batch: bool | None = None) -> Quote | None:
        """US dollars for the tokens of one photo, in and out; None when unknown.

        Args:
            batch: at the price of the provider's batch API (the answer is None if it is not known
                to have one), or at the usual one; not given: as `batch` of these prices says.
        """
        if batch is None:
            batch = self.batch and not self.free  # what is free has no price to halve
        if "input_tokens" not in usage or "output_tokens" not in usage:
            return None
        if self.own is not None or self.free:
            price = self.own or OwnPrice(input_per_million=0, output_per_million=0)
            share = price.batch_share if batch else 1.0
            if share is None:
                return None
            sent = usage["input_tokens"] * price.input_per_million
            written = usage["output_tokens"] * price.output_per_million
            return Quote(share * sent / 1e6, share * written / 1e6)
        return self._maintained(usage, batch=batch) if self.provider else None

    @property
    def known(self) -> bool:
        """Whether tokens of this model have a price."""
        return self.cost(Usage(input_tokens=1, output_tokens=1)) is not None

    @property
    def source(self) -> PriceSource | None:
        """Where the price comes from; None when there is none."""
        if self.own is not None:
            return PriceSource("your price file", self.own.as_of or None)
        if self.free:
            return PriceSource("your own machine", None)
        return _maintained_source() if self.known else None

    def _maintained(self, usage: Usage, *, batch: bool) -> Quote | None:
        """genai-prices (pydantic, MIT) follows the providers' price lists."""
        try:
            import genai_prices
        except ModuleNotFoundError:
            return None
        tokens = genai_prices.Usage(
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            cache_read_tokens=usage.get("cached_tokens"),
            cache_write_tokens=usage.get("cache_write_tokens"),
            cache_write_1h_tokens=usage.get("cache_write_1h_tokens"),
        )
        tier = usage.get("service_tier") or self.tier or "default"
        for variant in _variants(tier, batch=batch):
            try:
                price = genai_prices.calc_price(
                    tokens, self.model, provider_id=self.provider, price_context=variant
                )
            except LookupError:
                return None
            if not variant or any(v.when == variant for v in price.model.price_variants or ()):
                return Quote(float(price.input_price), float(price.output_price))
            if batch and self.provider in _HALF_IN_JOBS:
                return Quote(float(price.input_price) / 2, float(price.output_price) / 2)
        return None


def _variants(tier: str, *, batch: bool) -> tuple[dict[str, str] | None, ...]:
    """What the price list may call such a price, first to last; None for its usual price."""
    if batch:
        return (_BATCH,)
    if tier in _USUAL_TIERS:
        return (None,)
    return ({"service_tier": tier}, *([_BATCH] if tier == "flex" else []))


_HALF_IN_JOBS = frozenset({"aws"})
"""Who bills half for batch jobs, as Amazon says of Bedrock ("a 50% lower price compared to
on-demand": its course "Explain the Cost Structure of Amazon Bedrock" at trailhead.salesforce.com,
read on 2026-11-28), where genai-prices 0.2 has no such price."""

_BATCH = {"processing": "batch"}
"""Also the price of `flex`, where nothing else is listed: OpenAI and Google say it is the same."""


@functools.cache
def _maintained_source() -> PriceSource:
    """genai-prices with the day of its newest price: its data is at least as young as that.

    The package states no date of its own, and its prices only where one replaced another.
    """
    from genai_prices import data, types

    today = datetime.now(UTC).date()
    dates = [
        condition.constraint.start_date
        for provider in data.providers
        for model in provider.models
        for condition in (
            *(model.prices if isinstance(model.prices, list) else ()),
            *(model.price_variants or ()),
        )
        if isinstance(condition.constraint, types.StartDateConstraint)
    ]
    newest = max((date for date in dates if date <= today), default=None)
    name = f"genai-prices {importlib.metadata.version('genai-prices')}"
    return PriceSource(name, newest.isoformat() if newest else None)
