"""What is read from an error of the Gemini API: Google's `google.rpc.Status` in JSON.

The `details` of an error say what its message only hints at: which quota was exceeded
(`QuotaFailure`), how long to wait (`RetryInfo`), what is wrong with the key (`ErrorInfo`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.genai import errors as genai_errors

from picture_captioner.foreign_text import cut

_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
# Not the bare word "billing": the message of a passing rate limit points to the billing page.
_LOCKED_OUT = re.compile(r"\bbilling\b|location is not supported|free tier is not available", re.I)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_FORMAT = re.compile(
    r"\bjson (?:mode|schema)|response_?(?:json_?)?schema|response_?mime_?type|structured output"
    r"|specified schema|too many states",
    re.I,
)
_THINKING = re.compile(r"\bthinking[ _]?(?:level|budget|config)?\b", re.I)


@dataclass(frozen=True)
class GeminiFailure:
    """An HTTP error; `details` are Google's typed objects, `text` its message."""

    status: int
    reason: str
    text: str
    headers: Mapping[str, str]
    details: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, error: genai_errors.APIError) -> GeminiFailure:
        """From the SDK's exception. A body that is not Google's JSON gives no text."""
        body = error.details if isinstance(error.details, dict) else {}
        fault = body.get("error")
        fault = fault if isinstance(fault, dict) else {}
        details = fault.get("details")
        headers = getattr(error.response, "headers", None)
        return cls(
            status=error.code,
            reason=str(fault.get("status") or ""),
            text=cut(str(fault.get("message") or "")),
            headers=headers if headers is not None else {},
            details=tuple(
                d for d in (details if isinstance(details, list) else []) if isinstance(d, dict)
            ),
        )

    @property
    def bad_key(self) -> bool:
        """Google answers 400, not 401, to a key that it does not know."""
        return any(d.get("reason") in _KEY_REASONS for d in self._of_type("ErrorInfo"))

    @property
    def exhausted(self) -> bool:
        """Whether no request will succeed before tomorrow, or before somebody pays.

        A quota for each minute is passing. A limit of 0 means that this account has none at all.
        """
        if self.status == 400:
            return self.reason == "FAILED_PRECONDITION" and bool(_LOCKED_OUT.search(self.text))
        if self.status != 429:
            return False
        violations = [v for d in self._of_type("QuotaFailure") for v in _dicts(d, "violations")]
        return any(map(_lasts, violations))

    @property
    def about_thinking(self) -> bool:
        """Whether the model does not take the thinking level or budget that was asked for."""
        return self.status == 400 and bool(_THINKING.search(self.text))

    @property
    def about_tier(self) -> bool:
        """Whether the model does not have the service tier that was asked for."""
        return bool(re.search(r"service[_ ]?tier|\bflex\b", self.text, re.IGNORECASE))

    @property
    def about_format(self) -> bool:
        """Whether the model has no structured output (`JSON mode is not enabled for ...`)."""
        return self.status == 400 and bool(_FORMAT.search(self.text))

    @property
    def retry_delay(self) -> float | None:
        """Seconds that `RetryInfo` asks to wait, None without one."""
        for detail in self._of_type("RetryInfo"):
            match = _DURATION.fullmatch(str(detail.get("retryDelay")))
            if match and math.isfinite(float(match[1])):
                return float(match[1])
        return None

    def _of_type(self, name: str) -> Iterator[dict[str, Any]]:
        wanted = f"type.googleapis.com/google.rpc.{name}"
        return (detail for detail in self.details if detail.get("@type") == wanted)


def _dicts(detail: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = detail.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _lasts(violation: dict[str, Any]) -> bool:
    return "PerDay" in str(violation.get("quotaId")) or str(violation.get("quotaValue")) == "0"
