"""Ollama on this machine or in the house, through its OpenAI-compatible address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend


class OllamaBackend(OpenAIFamilyBackend):
    """Captions by a model that Ollama runs."""

    name: ClassVar[str] = "ollama"
    summary: ClassVar[str] = "a model on your own Ollama server; free, and photos stay there"
    default_base_url: ClassVar[str] = "http://localhost:11434/v1"
    default_model: ClassVar[str] = "qwen2.5vl:3b"
    default_workers: ClassVar[int] = 2
    free: ClassVar[bool] = True
    # The first request loads the model: 3 GB from a slow disk take over a minute.
    timeout: ClassVar[float] = 120.0
    unreachable_remedy: ClassVar[str] = "start it with `ollama serve`, then run again"
    missing_model_remedy: ClassVar[str] = "fetch it with `ollama pull MODEL`"

    def reasoning_effort(self) -> str | None:
        """`none`: Ollama turns it into `think: false`, which models that never think accept."""
        return "none"

    def _find_model(self, known: Sequence[str]) -> None:
        if f"{self._model}:latest" not in known:  # Ollama's own reading of a name without a tag
            super()._find_model(known)
