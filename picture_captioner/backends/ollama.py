"""Ollama on this machine or in the house, through its OpenAI-compatible address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_server import (
    OLLAMA_CLOUD,
    ServedModel,
    not_local,
    ollama_model,
    runs_in_ollamas_cloud,
)
from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend
from picture_captioner.errors import BackendUnavailableError, ConfigurationError


class OllamaBackend(OpenAIFamilyBackend):
    """Captions by a model that Ollama runs."""

    name: ClassVar[str] = "ollama"
    summary: ClassVar[str] = "a model on your own Ollama server; free, and photos stay there"
    default_base_url: ClassVar[str] = "http://localhost:11434/v1"
    default_model: ClassVar[str] = "qwen2.5vl:3b"
    default_workers: ClassVar[int] = 2
    free = True
    # The first request loads the model: 3 GB from a slow disk take over a minute.
    timeout: ClassVar[float] = 120.0
    unreachable_remedy: ClassVar[str] = "start it with `ollama serve`, then run again"
    context_remedy: ClassVar[str] = "start it with `OLLAMA_CONTEXT_LENGTH=8192 ollama serve`"
    missing_model_remedy: ClassVar[str] = "fetch it with `ollama pull MODEL`"

    def __init__(self, settings: BackendSettings) -> None:
        """As in the base class.

        Raises:
            ConfigurationError: with `local_only`, a model whose name says that it runs elsewhere.
        """
        super().__init__(settings)
        if runs_in_ollamas_cloud(self._model):
            self._passed_on_to, self.free = OLLAMA_CLOUD, False
            if settings.local_only:
                served = ServedModel(self._model, elsewhere=OLLAMA_CLOUD)
                raise ConfigurationError(not_local(self._model, self._endpoint.host, served))

    def _served(self) -> ServedModel | None:
        served = ollama_model(self._http, self._endpoint.url, self._model)
        if served is None and self.settings.local_only:
            raise BackendUnavailableError(
                f"--local-only: {self._endpoint.host} does not say where it runs {self._model} "
                "(no answer at /api/show), so no photo is sent; update Ollama, or use --backend "
                "compatible if it is another server that you trust"
            )
        return served

    def reasoning_effort(self) -> str | None:
        """`none`: Ollama turns it into `think: false`, which models that never think accept."""
        return "none"

    def _find_model(self, known: Sequence[str]) -> None:
        if f"{self._model}:latest" not in known:  # Ollama's own reading of a name without a tag
            super()._find_model(known)
