"""Reads the answer of the Gemini API: a caption, or why there is none."""

from __future__ import annotations

from google.genai import types

from picture_captioner.backends.base import Caption
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.backends.usage import count, one_request, total
from picture_captioner.errors import ModelError, Usage

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

_FINISHED = frozenset({types.FinishReason.STOP, None})


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
    if not text:
        code = "reasoning" if raw.strip() else "empty"
        raise ModelError("Gemini returned no caption", code=code, usage=usage)
    return Caption(text, model_version=response.model_version, **usage)


def _check_finished(reason: types.FinishReason | None, usage: Usage) -> None:
    if reason in _FINISHED:
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
    """Thoughts are billed as output; input includes what came from the cache."""
    counts = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
    return one_request(
        total(counts.prompt_token_count, counts.tool_use_prompt_token_count),
        total(counts.candidates_token_count, counts.thoughts_token_count),
        count(counts.cached_content_token_count),
    )
