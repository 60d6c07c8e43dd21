"""OpenAI itself: the gpt models that see."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar

from picture_captioner.backends.base import ExpectedTokens
from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend
from picture_captioner.backends.tokens import expected_tokens, openai_tokens

_CACHES_AT_A_PRICE = re.compile(r"gpt-(?:5\.[6-9]|[6-9]|\d\d)")
"""From GPT-5.6 on a prompt of over 1,024 tokens is written into a cache at 1.25 times its price.
Every photo differs, so none is ever read again: with `explicit` and no breakpoint nothing is
written (guide "Prompt caching" and openai 3.56's `PromptCacheOptions`, read on 2026-11-28)."""
_REASONS = re.compile(r"gpt-(?:[5-9]|\d\d)|o\d\b")


class OpenAIBackend(OpenAIFamilyBackend):
    """Captions by OpenAI's API."""

    name: ClassVar[str] = "openai"
    summary: ClassVar[str] = "OpenAI's models, paid per token; photos leave this machine"
    key_env_var: ClassVar[str | None] = "OPENAI_API_KEY"
    key_form: ClassVar[str] = "sk-..."
    default_base_url: ClassVar[str] = "https://api.openai.com/v1"
    # The cheapest whose price of a picture is published, and it can be kept from reasoning. Half
    # the price is gpt-6-luna; how many tokens a picture takes there, nobody says.
    default_model: ClassVar[str] = "gpt-5.6-luna"
    price_provider: ClassVar[str | None] = "openai"
    limit_field: ClassVar[str] = "max_completion_tokens"
    missing_model_remedy: ClassVar[str] = (
        "choose another with --model, or name the model of an Azure deployment with --option "
        "deployed_model=gpt-5.6-luna"
    )
    # gpt-5.6 takes any size and bills all of it; older models shrink to 2,048 pixels or less.
    largest_edge: ClassVar[int] = 2048

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As in `CaptionBackend`. Where reasoning cannot be switched off, it fills the limit."""
        image = openai_tokens(width, height, self.priced_model, self._options.detail)
        expected = expected_tokens(self.settings, image)
        effort = self._options.reasoning_effort or self.reasoning_effort()
        if expected is None or effort in (None, "none", "minimal"):
            return expected
        return replace(expected, output=self.settings.max_tokens)

    def tuning(self) -> dict[str, Any]:
        """Neither kept nor cached; no temperature for models that reason: they reject it."""
        fields = super().tuning() | {"store": False}
        if _CACHES_AT_A_PRICE.match(self.priced_model):
            fields["prompt_cache_options"] = {"mode": "explicit"}
        if _REASONS.match(self.priced_model) and self._effort != "none":
            del fields["temperature"]
        return fields
