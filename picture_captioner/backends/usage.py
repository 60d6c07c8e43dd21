"""What an answer took, as its provider says: counts, prices and names that can be believed."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Literal, TypeAlias

from picture_captioner.errors import Usage

_Counted: TypeAlias = Literal[
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cost_usd",
    "requests",
    "unpriced_requests",
]

_COUNTED: tuple[_Counted, ...] = typing.get_args(_Counted)

MOST_TOKENS = 10**9
"""A hundred times what the largest context takes: a count above it says nothing."""

MOST_DOLLARS = 1e6
"""The same of a price for one photo."""

MAX_NAME = 200
"""Characters of a model's or a tier's name."""


def count(value: object) -> int | None:
    """A token count, also as a whole `30.0` or `"30"`; None for anything that cannot be one."""
    if isinstance(value, str) and len(value) <= len(str(MOST_TOKENS)) and value.isdecimal():
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


def dollars(value: object) -> float | None:
    """A price as a server names it; None for anything that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST_DOLLARS else None


def name_in(value: object) -> str | None:
    """A name that a server gives; None for what is no text, or too long to be one."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_NAME else None


def believable(usage: Mapping[str, object]) -> Usage:
    """The usage in this without what nothing can have cost: a sum of it would be infinite."""
    kept = Usage()
    for name in _COUNTED:
        if (said := usage.get(name)) is None:
            continue
        value = dollars(said) if name == "cost_usd" else count(said)
        if value is not None:
            kept[name] = value
    if (tier := name_in(usage.get("service_tier"))) is not None:
        kept["service_tier"] = tier
    return kept


def total(*values: object) -> int | None:
    """The sum of those that are counts; None if none is."""
    counts = [number for number in map(count, values) if number is not None]
    return sum(counts) if counts else None


def one_request(
    input_tokens: int | None,
    output_tokens: int | None,
    cached: int | None,
    written: int | None = None,
    written_1h: int | None = None,
) -> Usage:
    """The usage of one request, without the counts that nobody reported.

    Nor is an input of 0 tokens a report, since every request has a question: gateways send zeros
    for what they do not count, and a price of them would be no price.

    Args:
        cached: of the input, read from a cache.
        written: of the input, written into a cache; `written_1h`, of these for an hour.
    """
    usage = Usage(requests=1)
    if input_tokens == 0:
        return usage
    if input_tokens is not None:
        usage["input_tokens"] = input_tokens
    if output_tokens is not None:
        usage["output_tokens"] = output_tokens
    if cached is not None:
        usage["cached_tokens"] = cached
    if written:
        usage["cache_write_tokens"] = written
    if written_1h:
        usage["cache_write_1h_tokens"] = written_1h
    return usage


def added(first: Usage, second: Usage) -> Usage:
    """What two answers cost together; what neither reports stays unknown.

    Where one has a price and the other none, `unpriced_requests` says so.
    """
    total = first | second
    for name in _COUNTED:
        if name in first and name in second:
            total[name] = first[name] + second[name]
    return total
