"""What one photo is expected to take in tokens, before any was billed.

The picture is counted by the provider's own rule (image_tokens.py, openai_tokens.py). Text is
estimated from its length, since each vendor's tokenizer is a package of its own, and a prompt is a
twentieth of what the picture takes. What the model will write is an assumption.
"""

from __future__ import annotations

import math

from picture_captioner.backends.base import BackendSettings, ExpectedTokens
from picture_captioner.backends.prompt import question

OUTPUT_TOKENS = {"caption": 60, "title": 15, "tags": 30, "summary": 100}
"""Assumed for each field: two sentences are 30 to 45 words, at 1.3 to 1.5 tokens a word."""

_OTHER_FIELD = 30
_FRAME = 10
"""Tokens that mark where a message begins and ends and who speaks."""


def expected_tokens(
    settings: BackendSettings,
    image_tokens: int | None,
    *,
    characters_per_token: float = 4.0,
    thinking: int = 0,
) -> ExpectedTokens | None:
    """Picture, question and answer together; None if the picture's share is unknown.

    Args:
        image_tokens: what the provider's rule says.
        characters_per_token: of English text; 4 by Google's and OpenAI's own rule of thumb.
        thinking: output tokens on top of the answer, where the model cannot be kept from them.
    """
    if image_tokens is None:
        return None
    answer = sum(OUTPUT_TOKENS.get(field, _OTHER_FIELD) for field in settings.fields)
    return ExpectedTokens(
        image=image_tokens,
        text=text_tokens(question(settings, ()), characters_per_token) + _FRAME,
        output=min(answer, settings.max_tokens) + thinking,
    )


def text_tokens(text: str, characters_per_token: float = 4.0) -> int:
    """Tokens of a text by its length; characters outside ASCII count as one each."""
    plain = sum(character.isascii() for character in text)
    return math.ceil(plain / characters_per_token) + len(text) - plain


def cut_notice(
    host: str, counted: int | None, settings: BackendSettings, remedy: str
) -> str | None:
    """A line for when a server read fewer tokens than the question alone should take, else None."""
    expected = text_tokens(question(settings, ()))
    if counted is None or counted >= expected // 2:
        return None
    return (
        f"{host} counted {counted} tokens for a photo and a question, which alone has about "
        f"{expected}: it may have cut the question. If captions are odd, {remedy}"
    )
