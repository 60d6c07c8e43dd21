"""Reads an answer of Anthropic's Messages API: a caption, or why there is none.

The SDK does not validate what it receives: whatever a gateway leaves out is missing here too.
"""

from __future__ import annotations

from typing import TypeGuard

from anthropic.types import Message

from picture_captioner.backends.base import Caption
from picture_captioner.backends.finish import NOT_WHOLE, breaks_off
from picture_captioner.backends.reasoning import without_reasoning
from picture_captioner.backends.usage import count, name_in, one_request, total
from picture_captioner.errors import ModelError, Usage


def is_answer(message: object) -> TypeGuard[Message]:
    """Whether this is a message at all, or a bill; a web page comes back as a string."""
    if not isinstance(message, Message):
        return False
    billed = getattr(message, "usage", None) is not None
    return billed or isinstance(getattr(message, "content", None), list)


def read_answer(message: Message, requests: int = 1) -> Caption:
    """The caption in a message, thinking left out; `requests` is how many it took.

    Raises:
        ModelError: `refused`, `truncated`, `unfinished`, `reasoning` or `empty`, with its usage.
    """
    usage = _usage(message) | Usage(requests=requests)
    _check_finished(getattr(message, "stop_reason", None), usage)
    raw = _text(message)
    text = without_reasoning(raw)
    if text and getattr(message, "stop_reason", None) is None and breaks_off(text):
        raise ModelError(NOT_WHOLE, code="unfinished", usage=usage)
    if not text:
        code = "reasoning" if raw.strip() else "empty"
        raise ModelError("the model returned no caption", code=code, usage=usage)
    return Caption(text, model_version=name_in(getattr(message, "model", None)), **usage)


def _check_finished(reason: object, usage: Usage) -> None:
    if reason in ("end_turn", "stop_sequence", None):  # None: a gateway leaves it out
        return
    if reason == "refusal":
        raise ModelError("the model refuses to describe this photo", code="refused", usage=usage)
    if reason in ("max_tokens", "model_context_window_exceeded"):
        message = "the caption was cut off; allow more with --max-tokens"
        raise ModelError(message, code="truncated", usage=usage)
    raise ModelError("the model did not finish its answer", code="unfinished", usage=usage)


def _text(message: Message) -> str:
    content: object = getattr(message, "content", None)
    texts = (
        getattr(block, "text", None)
        for block in (content if isinstance(content, list) else ())
        if getattr(block, "type", None) == "text"
    )
    return "".join(text for text in texts if isinstance(text, str))


def _usage(message: Message) -> Usage:
    """Input is everything that was read, cached or not, as other providers count it."""
    reported = getattr(message, "usage", None)
    new, cached, kept, output = (
        getattr(reported, name, None)
        for name in (
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
        )
    )
    for_an_hour = getattr(getattr(reported, "cache_creation", None), "ephemeral_1h_input_tokens", 0)
    usage = one_request(
        total(new, cached, kept), count(output), count(cached), count(kept), count(for_an_hour)
    )
    tier = name_in(getattr(reported, "service_tier", None))
    if tier is not None and tier != "standard":
        usage["service_tier"] = tier
    return usage
