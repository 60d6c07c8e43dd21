"""What is wrong with an account, as providers say it: one table for all of them.

None of these is a verdict on a photo, and none passes within minutes: the run stops with 77, so
that nothing is recorded. The first row that fits counts. Read on 2026-11-28 in OpenAI's guide
"Error codes" and help article 6614457, Anthropic's "Errors" and "Rate limits", Google's "API
errors", the announcement that depleted credits are 402 (discuss.ai.google.dev/t/183654), and
OpenRouter's and xAI's pages on errors; the messages are in tests/backends/test_account_errors.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFUSED_STATUSES = frozenset({400, 402, 403, 429})


@dataclass(frozen=True)
class _Problem:
    """A sentence for what fits in the provider's code or words; `{host}` and `{model}` are set."""

    pattern: re.Pattern[str]
    sentence: str
    statuses: frozenset[int] = _REFUSED_STATUSES


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CREDIT = "the account at {host} has no credit or quota left; add credit there, then run again"

_PROBLEMS = (
    _Problem(
        _words(
            r"project_spend_limit_exceeded|specified workspace api usage limits"
            r"|(?:project|workspace)\b.{0,60}?\bspend(?:ing)? (?:limit|cap)"
        ),
        "the spending limit of this key's project at {host} is reached; raise it there, or wait "
        "for the new month",
    ),
    _Problem(
        _words(r"organization_usage_limit_exceeded|usage tier.{0,40}limit"),
        "the monthly limit that {host} gives this organisation is reached; ask there for a higher "
        "one, or wait for the new month",
    ),
    _Problem(
        _words(
            r"organization_spend_limit_exceeded|enforced_spend_limit|billing_hard_limit"
            r"|specified api usage limits|monthly spend(?:ing)? (?:cap|limit)"
            r"|spend(?:ing)?[ _](?:limit|cap)|ramp_limit"
        ),
        "the spending limit at {host} is reached; raise it there, or wait for the new month",
    ),
    _Problem(
        _words(r"organization_on_hold|not_billable|billing_not_active|account is not active"),
        "{host} does not serve this account until its billing is in order; see its billing page",
    ),
    _Problem(
        _words(
            r"unsupported_country|country, region, or territory|location is not supported"
            r"|not available in your (?:country|region)|unsupported (?:countries|regions)"
        ),
        "{host} does not serve the country that this request comes from",
    ),
    _Problem(
        _words(
            r"does not have access to (?:the )?model|no(?:t have)? access to (?:this|the) model"
            r"|model access is denied|not (?:allowed|authorized|permitted) to (?:use|access) "
            r"(?:this|the) model"
        ),
        "this key may not use the model {model} at {host}; allow it in the project's settings, or "
        "choose another with --model",
        frozenset({401, 403}),
    ),
    _Problem(
        _words(
            r"credit_balance_exhausted|insufficient_quota|credit balance is too low"
            r"|payment_required"
            r"|credits? (?:are|is|have been|has been) (?:depleted|exhausted)"
            r"|(?:used all|run out of|ran out of|insufficient|no) (?:\w+ ){0,3}"
            r"(?:credits?|balance|funds)"
        ),
        _CREDIT,
    ),
    _Problem(_words(""), _CREDIT, frozenset({402})),
)
"""Not the bare word "billing": passing rate limits of OpenAI and Google point to a billing page.
Nor "exceeded your current quota", which Google says of a minute's quota, too."""

_PASSES = _words("in_flight_budget_exhausted")
"""OpenRouter answers 402 as well while requests under way hold what is left of a budget."""


def account_problem(status: int, said: str, host: str, model: str) -> str | None:
    """A sentence for what is wrong with the account; None if that is not what the error is about.

    Args:
        status: of HTTP.
        said: the provider's code and words together.
    """
    if _PASSES.search(said):
        return None
    for problem in _PROBLEMS:
        if status in problem.statuses and problem.pattern.search(said):
            return problem.sentence.format(host=host, model=model)
    return None
