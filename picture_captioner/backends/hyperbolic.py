"""Hyperbolic: open models on rented GPUs, through its OpenAI-compatible address."""

from __future__ import annotations

from typing import ClassVar

from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend


class HyperbolicBackend(OpenAIFamilyBackend):
    """Captions by Hyperbolic's API."""

    name: ClassVar[str] = "hyperbolic"
    summary: ClassVar[str] = "open models at Hyperbolic, paid per token; photos leave this machine"
    key_env_var: ClassVar[str | None] = "HYPERBOLIC_API_KEY"
    default_base_url: ClassVar[str] = "https://api.hyperbolic.xyz/v1"
    default_model: ClassVar[str] = "Qwen/Qwen2.5-VL-7B-Instruct"
    largest_edge: ClassVar[int] = 2048

    def reasoning_effort(self) -> str | None:
        """`none`: the servers take it, and one that does not is asked again without."""
        return "none"
