"""xAI's Grok models, through its OpenAI-compatible address."""

from __future__ import annotations

from typing import ClassVar

from picture_captioner.backends.local_server import json_of
from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend


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

    def account(self) -> str:
        """As in `CaptionBackend`: xAI tells of a key what bars it, and of no balance.

        (docs.x.ai, "API Key" in the REST reference, read on 2026-11-28)
        """
        said = json_of(self._http, "GET", f"{self._endpoint.url}/api-key") or {}
        bars = {
            "team_blocked": "the team is blocked",
            "api_key_blocked": "the key is blocked",
            "api_key_disabled": "the key is switched off",
        }
        return ", ".join(words for name, words in bars.items() if said.get(name) is True)
