"""What a provider says of its own limits in the headers of every answer.

Three dialects, read in November 2026 from the providers' pages and from answers quoted in threads:

- OpenAI, xAI, Groq, Azure: `x-ratelimit-remaining-requests` and `-tokens`, with
  `x-ratelimit-reset-...` as a duration in Go's spelling (`6m0s`, `120ms`, `2m59.56s`).
- Anthropic: `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-` and
  `-output-tokens-`, with the reset as a moment (RFC 3339) on the server's clock.
- The IETF draft (draft-ietf-httpapi-ratelimit-headers): `ratelimit-remaining` and
  `ratelimit-reset` in seconds up to revision 6, one `ratelimit` field with `r` and `t` (revision 7
  also spelled them out) since then.

Gemini, Ollama, vLLM and llama.cpp send none. What makes no sense is passed over in silence: these
headers only help to ask at a better rate, and an answer that came with odd ones is an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Unit = Literal["requests", "tokens", "input_tokens", "output_tokens"]


@dataclass(frozen=True)
class Quota:
    """How much of one kind may still be used, and for how long it has to do.

    `limit` is the whole quota, None where it is not named. `seconds`, above 0, is until it is whole
    again: the end of a window, or the time that a bucket takes to fill.
    """

    unit: Unit
    limit: float | None
    remaining: float
    seconds: float


OnRateLimit = Callable[[tuple[Quota, ...]], None]
"""Is told the quotas of each answer that names any; called from the thread that asked."""

MAX_SECONDS = 366 * 86_400.0
"""A reset further away is nonsense."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_SECONDS_EACH = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_DRAFT_FIELD = re.compile(r"\b(q|r|t|limit|remaining|reset)\s*=\s*(\d{1,12})\b")
_WHAT = ("limit", "remaining", "reset")
_OPENAI: tuple[Unit, ...] = ("requests", "tokens")
_ANTHROPIC: tuple[Unit, ...] = ("requests", "tokens", "input_tokens", "output_tokens")


def quotas(headers: Mapping[str, str], now: datetime | None = None) -> tuple[Quota, ...]:
    """The quotas that the headers of an answer name; empty if they name none that makes sense.

    Args:
        headers: names in lower case, or a mapping that does not care.
        now: the time at which the answer came; its own `date` header wins, because the moments in
            it are told by the same clock, which may be minutes away from this machine's.
    """
    found = (*_openai(headers), *_anthropic(headers, now), *_draft(headers))
    return tuple(quota for quota in found if quota is not None)


def _openai(headers: Mapping[str, str]) -> Iterator[Quota | None]:
    for unit in _OPENAI:
        limit, remaining, reset = (
            headers.get(f"x-ratelimit-{what}-{unit}", "")
            for what in ("limit", "remaining", "reset")
        )
        yield _quota(unit, limit, remaining, _duration(reset))


def _anthropic(headers: Mapping[str, str], now: datetime | None) -> Iterator[Quota | None]:
    for unit in _ANTHROPIC:
        name = f"anthropic-ratelimit-{unit.replace('_', '-')}"
        limit, remaining, reset = (headers.get(f"{name}-{w}", "") for w in _WHAT)
        moment = _moment(reset)
        if moment is not None:
            sent = http_date(headers.get("date", "")) or now or datetime.now(UTC)
            yield _quota(unit, limit, remaining, (moment - sent).total_seconds())


def _draft(headers: Mapping[str, str]) -> Iterator[Quota | None]:
    """A limit in the draft may carry its window: `100, 100;w=60`."""
    named = dict(_DRAFT_FIELD.findall(headers.get("ratelimit", "")))
    policy = dict(_DRAFT_FIELD.findall(headers.get("ratelimit-policy", "")))
    limit = headers.get("ratelimit-limit", "").partition(",")[0].partition(";")[0]
    yield _quota(
        "requests",
        named.get("limit") or limit or policy.get("q", ""),
        named.get("r") or named.get("remaining") or headers.get("ratelimit-remaining", ""),
        _duration(named.get("t") or named.get("reset") or headers.get("ratelimit-reset", "")),
    )


def _quota(unit: Unit, limit: str, remaining: str, seconds: float | None) -> Quota | None:
    left = _number(remaining)
    if left is None or seconds is None or not 0 < seconds <= MAX_SECONDS:
        return None
    return Quota(unit, _number(limit) or None, left, seconds)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _duration(text: str) -> float | None:
    """Seconds from `6m0s`, `120ms` or a bare number."""
    text = text.strip()
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return _number(text)
    parts = zip(match.groups(), _SECONDS_EACH, strict=True)
    return sum(float(part) * seconds for part, seconds in parts if part)


def _moment(text: str) -> datetime | None:
    """An RFC 3339 time; one without an offset is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def http_date(text: str) -> datetime | None:
    """A date of HTTP (RFC 9110, 5.6.7); None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the second one: a zone of more hours than C can count
        return None
    # "-0000": UTC without a claim about the sender's zone
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
