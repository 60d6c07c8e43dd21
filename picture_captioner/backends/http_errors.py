"""What the HTTP errors of every provider have in common: waiting times and certificates.

Vendor exceptions are mapped in each provider's own file; what is read from headers and exception
chains is the same for all and read here. A server's words are cleaned by `foreign_text`.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the service asks to be left alone, in seconds; None if it does not say.

    Reads `retry-after-ms` (OpenAI and Azure), then `Retry-After` as seconds or as an HTTP date
    (RFC 9110, 10.2.3). A date that has passed is 0.
    """
    milliseconds = _positive(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _positive(value)
    return seconds if seconds is not None else _until(value, now or datetime.now(UTC))


def _positive(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def _until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, OverflowError):  # the second one: a zone of more hours than C can count
        return None
    if moment.tzinfo is None:  # "-0000": UTC without a claim about the sender's zone
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def certificate_problem(error: BaseException) -> str | None:
    """Why TLS cannot work with this host, however often it is tried; None for anything else.

    A connection that broke during the handshake is not in here: that may pass by itself.
    """
    for link in _chain(error):
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
    *_, last = _chain(error)
    return str(last) or type(last).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
