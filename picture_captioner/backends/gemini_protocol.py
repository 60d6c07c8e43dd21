"""Requests to the Gemini API as JSON, its answers (a caption, or why there is none), its errors.

The `details` of an error (`google.rpc.Status`) say what its message only hints at: which quota was
exceeded (`QuotaFailure`), how long to wait (`RetryInfo`), what is wrong with the key (`ErrorInfo`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.genai import errors as genai_errors
from google.genai import types

from picture_captioner.backends.base import Caption
from picture_captioner.backends.finish import NOT_WHOLE, breaks_off
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.backends.usage import count, name_in, one_request, total
from picture_captioner.errors import ModelError, Usage
from picture_captioner.foreign_text import cut

_BESIDE_CONFIG = ("store", "serviceTier")
_ONLY_FOR_THE_SDK = ("automaticFunctionCalling", "automaticContinuation")
"""Parts of the SDK's config that are beside `generationConfig` in a request, or nowhere in it."""


@dataclass(frozen=True)
class GeminiRequest:
    """One photo with its question, and how it is to be answered."""

    turn: types.Content
    config: types.GenerateContentConfig

    def body(self) -> dict[str, Any]:
        """The JSON that goes to `generateContent`, or into a line of a batch job."""
        plain = self.config.model_dump(mode="json", by_alias=True, exclude_none=True)
        top = {name: plain.pop(name) for name in _BESIDE_CONFIG if name in plain}
        for name in _ONLY_FOR_THE_SDK:
            plain.pop(name, None)
        turn = self.turn.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"contents": [turn], "generationConfig": plain, **top}


_REFUSALS = frozenset(
    {
        types.FinishReason.SAFETY,
        types.FinishReason.RECITATION,
        types.FinishReason.LANGUAGE,
        types.FinishReason.BLOCKLIST,
        types.FinishReason.PROHIBITED_CONTENT,
        types.FinishReason.SPII,
        types.FinishReason.IMAGE_SAFETY,
        types.FinishReason.IMAGE_PROHIBITED_CONTENT,
        types.FinishReason.IMAGE_RECITATION,
        types.FinishReason.MODEL_ARMOR,
    }
)
"""Reasons for which the same photo is refused again."""

_UNSAID = frozenset({types.FinishReason.FINISH_REASON_UNSPECIFIED, None})
"""The model has not stopped by Google's word: what it wrote may be whole all the same."""


def read_answer(response: types.GenerateContentResponse, requests: int = 1) -> Caption:
    """The caption in a response, thoughts left out; `requests` is how many it took.

    Raises:
        ModelError: `refused`, `truncated`, `unfinished`, `reasoning` or `empty`, with its usage.
    """
    usage = _usage(response) | Usage(requests=requests)
    blocked = response.prompt_feedback and response.prompt_feedback.block_reason
    if blocked:
        raise ModelError(
            f"Gemini blocked this photo ({blocked.value})", code="refused", usage=usage
        )
    candidate = response.candidates[0] if response.candidates else types.Candidate()
    _check_finished(candidate.finish_reason, usage)
    raw = _text(candidate)
    text = without_reasoning(raw)
    if text and candidate.finish_reason in _UNSAID and breaks_off(text):
        raise ModelError(NOT_WHOLE, code="unfinished", usage=usage)
    if not text:
        code = "reasoning" if raw.strip() else "empty"
        raise ModelError("Gemini returned no caption", code=code, usage=usage)
    return Caption(text, model_version=name_in(response.model_version), **usage)


def _check_finished(reason: types.FinishReason | None, usage: Usage) -> None:
    if reason is types.FinishReason.STOP or reason in _UNSAID:
        return
    if reason is types.FinishReason.MAX_TOKENS:
        message = "the caption was cut off; allow more with --max-tokens"
        raise ModelError(message, code="truncated", usage=usage)
    code = "refused" if reason in _REFUSALS else "unfinished"
    word = reason.value if reason else ""
    raise ModelError(f"Gemini stopped without a caption ({word[:40]})", code=code, usage=usage)


def _text(candidate: types.Candidate) -> str:
    parts = (candidate.content and candidate.content.parts) or []
    return "".join(part.text for part in parts if part.text and not part.thought)


def thinking_in(response: types.GenerateContentResponse) -> tuple[int, bool]:
    """Tokens that were thought before the caption, and whether the answer ran into the limit."""
    counts = response.usage_metadata
    thought = count(counts.thoughts_token_count) if counts else None
    candidate = response.candidates[0] if response.candidates else None
    cut_off = candidate is not None and candidate.finish_reason is types.FinishReason.MAX_TOKENS
    return thought or 0, cut_off


def _usage(response: types.GenerateContentResponse) -> Usage:
    """Thoughts are billed as output; input includes what came from the cache.

    Google's JSON leaves out what is 0: where the photo is counted and no word of an answer is (it
    was blocked), nothing was written.
    """
    counts = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
    read = total(counts.prompt_token_count, counts.tool_use_prompt_token_count)
    answer, thoughts = counts.candidates_token_count, counts.thoughts_token_count
    written = 0 if read and answer is None and thoughts is None else total(answer, thoughts)
    return one_request(
        read,
        written,
        count(counts.cached_content_token_count),
    )


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
