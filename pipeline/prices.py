"""What an answer costs: the provider's own word, else its tokens times a dated price."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from backends.base import Caption
from errors import ConfigurationError, Usage

_Counted: TypeAlias = Literal[
    "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "requests"
]
_COUNTED: tuple[_Counted, ...] = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost_usd",
    "requests",
)


class OwnPrice(BaseModel):
    """A price from the override file, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_per_million: float = Field(ge=0)
    output_per_million: float = Field(ge=0)
    as_of: str = ""


class _PriceFile(RootModel[dict[str, OwnPrice]]):
    """Model name -> price."""


def read_price_file(path: Path) -> dict[str, OwnPrice]:
    """Prices that win over the maintained ones.

    Raises:
        ConfigurationError: the file cannot be read; the message shows its form.
    """
    try:
        return _PriceFile.model_validate(json.loads(path.read_text("utf-8"))).root
    except OSError as error:
        raise ConfigurationError(f"the price file {path}: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        form = '{"MODEL": {"input_per_million": 0.25, "output_per_million": 2.0}}'
        raise ConfigurationError(f"the price file {path} is not of the form {form}") from error


def usage_of(caption: Caption) -> Usage:
    """What the backend reported of an answer, without what it left out."""
    usage = Usage()
    for name in _COUNTED:
        if (value := getattr(caption, name)) is not None:
            usage[name] = value
    return usage


def added(first: Usage, second: Usage) -> Usage:
    """What two answers cost together; what neither reports stays unknown."""
    total = first.copy()
    for name in _COUNTED:
        if name in second:
            total[name] = total.get(name, 0) + second[name]
    return total


@dataclass(frozen=True)
class Prices:
    """The price of one model.

    `provider` is genai-prices' name of who bills; None when nobody does. `own` wins. A model
    without a price costs an unknown amount, never nothing.
    """

    provider: str | None
    model: str
    own: OwnPrice | None = None

    def billed(self, usage: Usage, attempts: int) -> Usage:
        """The usage with its cost, if that is known, and every request that was sent for it."""
        known = usage.copy()
        # A backend may have sent more than one itself, to find out what the server takes.
        known["requests"] = usage.get("requests", 1) + attempts - 1
        if "cost_usd" not in known and (cost := self.cost(known)) is not None:
            known["cost_usd"] = cost
        return known

    def cost(self, usage: Usage) -> float | None:
        """US dollars for these tokens; None when tokens or price are unknown."""
        if "input_tokens" not in usage or "output_tokens" not in usage:
            return None
        if self.own is not None:
            per_million = (
                usage["input_tokens"] * self.own.input_per_million
                + usage["output_tokens"] * self.own.output_per_million
            )
            return per_million / 1e6
        return self._maintained(usage) if self.provider else None

    @property
    def known(self) -> bool:
        """Whether tokens of this model have a price."""
        return self.cost(Usage(input_tokens=1, output_tokens=1)) is not None

    def _maintained(self, usage: Usage) -> float | None:
        """genai-prices (pydantic, MIT) follows the providers' price lists."""
        try:
            import genai_prices
        except ModuleNotFoundError:
            return None
        tokens = genai_prices.Usage(
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            cache_read_tokens=usage.get("cached_tokens"),
        )
        try:
            price = genai_prices.calc_price(tokens, self.model, provider_id=self.provider)
        except LookupError:
            return None
        return float(price.total_price)
