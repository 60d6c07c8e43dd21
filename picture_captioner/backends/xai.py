"""xAI's Grok models, through its OpenAI-compatible address."""

from __future__ import annotations

import re
from typing import ClassVar

from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend

_OFF = re.compile(r"grok-4\.3(?!\d)")
_ALWAYS_ON = re.compile(r"grok-(?:4\.[4-9]|[5-9])(?!\d)")


class XaiBackend(OpenAIFamilyBackend):
    """Captions by xAI's API."""

    name: ClassVar[str] = "xai"
    summary: ClassVar[str] = "xAI's Grok models, paid per token; photos leave this machine"
    key_env_var: ClassVar[str | None] = "XAI_API_KEY"
    key_form: ClassVar[str] = "xai-..."
    default_base_url: ClassVar[str] = "https://api.x.ai/v1"
    default_model: ClassVar[str] = "grok-4.3"
    price_provider: ClassVar[str | None] = "x-ai"
    limit_field: ClassVar[str] = "max_completion_tokens"
    largest_edge: ClassVar[int] = 2048

    def reasoning_effort(self) -> str | None:
        """Least effort: `none` for grok-4.3, `low` from grok-4.5 on, whose own choice is `high`.

        As of docs.x.ai, November 2026; grok-4.20 comes with and without reasoning, by its name.
        """
        if _OFF.match(self._model):
            return "none"
        return "low" if _ALWAYS_ON.match(self._model) else None
