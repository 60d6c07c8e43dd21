"""What the HTTP errors of every provider have in common: waiting times, certificates, the account.

Vendor exceptions are mapped in each provider's own file; what is read from headers and exception
chains is the same for all and read here. A server's words are cleaned by `foreign_text`.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from picture_captioner.backends.rate_limits import http_date
from picture_captioner.errors import causes


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the service asks to be left alone, in seconds; None if it does not say.

    Reads `retry-after-ms` (OpenAI and Azure), then `Retry-After` as seconds or as an HTTP date
    (RFC 9110, 10.2.3), which is compared with the `Date` of the answer: a clock here may be wrong.
    A date that has passed is 0.
    """
    milliseconds = _positive(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _positive(value)
    if seconds is not None:
        return seconds
    if (moment := http_date(value)) is None:
        return None
    sent = http_date(headers.get("date", "")) or now or datetime.now(UTC)
    return max((moment - sent).total_seconds(), 0.0)


def _positive(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def certificate_problem(error: BaseException) -> str | None:
    """Why TLS cannot work with this host, however often it is tried; None for anything else.

    A connection that broke during the handshake is not in here: that may pass by itself.
    """
    for link in causes(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return link.verify_message or "the certificate cannot be verified"
        if isinstance(link, ssl.SSLError):
            reason = getattr(link, "reason", None)  # absent where Python raised it itself
            if reason in _HOPELESS:
                return _HOPELESS[reason]
    return None


_HOPELESS = {
    "WRONG_VERSION_NUMBER": "it speaks plain http on this port; try http:// instead of https://",
    "RECORD_LAYER_FAILURE": "it speaks plain http on this port; try http:// instead of https://",
    "HTTP_REQUEST": "it speaks plain http on this port; try http:// instead of https://",
    "UNSUPPORTED_PROTOCOL": "it only speaks versions of TLS that are no longer safe",
    "NO_SHARED_CIPHER": "it shares no cipher with this machine",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate",
}
"""OpenSSL's reasons for failures that repeat."""


def root_cause(error: BaseException) -> str:
    """The innermost reason of a failed connection, such as `[Errno 111] Connection refused`."""
    *_, last = causes(error)
    return str(last) or type(last).__name__


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
"""The first row that fits counts.

Read on 2026-11-28 in OpenAI's guide "Error codes" and help article 6614457, Anthropic's "Errors"
and "Rate limits", Google's "API errors", the announcement that depleted credits are 402
(discuss.ai.google.dev/t/183654), and OpenRouter's and xAI's pages on errors; the messages are in
tests/backends/test_account_errors.py.

Not the bare word "billing": passing rate limits of OpenAI and Google point to a billing page.
Nor "exceeded your current quota", which Google says of a minute's quota, too."""

_PASSES = _words("in_flight_budget_exhausted")
"""OpenRouter answers 402 as well while requests under way hold what is left of a budget."""


def account_problem(status: int, said: str, host: str, model: str) -> str | None:
    """A sentence for what is wrong with the account; None if that is not what the error is about.

    None of these is a verdict on a photo, and none passes within minutes: the run stops with 77, so
    that nothing is recorded.

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
