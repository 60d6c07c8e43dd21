"""Any other OpenAI-compatible server: vLLM, SGLang, LM Studio, llama.cpp, OpenRouter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from PIL.Image import Image

from picture_captioner.backends.base import BackendSettings, Caption, Fault
from picture_captioner.backends.local_server import (
    OLLAMA_CLOUD,
    ServedModel,
    json_of,
    lm_studio_models,
    ollama_model,
    runs_in_ollamas_cloud,
    without_other_kinds,
)
from picture_captioner.backends.openai_sdk import OpenAIFamilyBackend
from picture_captioner.errors import BackendUnavailableError, ConfigurationError, TransientError


class CompatibleBackend(OpenAIFamilyBackend):
    """Captions by the server at `--base-url`; the key is optional."""

    name: ClassVar[str] = "compatible"
    summary: ClassVar[str] = "any OpenAI-compatible server: vLLM, SGLang, LM Studio, llama.cpp"
    key_env_var: ClassVar[str | None] = "COMPATIBLE_API_KEY"
    key_optional: ClassVar[bool] = True
    default_model: ClassVar[str] = ""
    lists_models: ClassVar[bool] = False
    timeout: ClassVar[float] = 120.0
    context_remedy: ClassVar[str] = (
        "give the server a larger one (vllm serve --max-model-len 8192, llama-server -c 8192, in "
        "LM Studio the model's context length)"
    )
    unreachable_remedy: ClassVar[str] = "start the server, or correct --base-url"

    def __init__(self, settings: BackendSettings) -> None:
        """As in the base class, and there is no address to fall back on."""
        if not settings.base_url:
            raise ConfigurationError(
                "the compatible backend needs the server's address: --base-url "
                "http://localhost:8000/v1, or the line COMPATIBLE_BASE_URL=... in config.env"
            )
        super().__init__(settings)

    def check(self) -> None:
        """As in the base class; a model need not be named where the server has just one.

        Raises:
            ConfigurationError: no model was named, and the server has several or does not say.
            BackendUnavailableError: as in the base class, or it is too busy to say.
        """
        if self._model:
            super().check()
            return
        try:
            able = self._able_to_caption(self._model_names() or [])
        except TransientError as error:
            raise BackendUnavailableError(f"{error}; try again, or name the --model") from None
        if len(able) != 1:
            names = ", ".join(able[:12]) or "it does not say which it has"
            raise ConfigurationError(f"choose a model of {self.destination} with --model: {names}")
        self._model = able[0]
        self.settings = replace(self.settings, model=able[0])  # records name it
        self._look_at(self._served())

    def _able_to_caption(self, known: Sequence[str]) -> list[str]:
        """The models that may do, best knowledge first: the server's word, then their names.

        LM Studio lists an embedding model beside whatever was fetched; of several that see, the
        one that is loaded is meant.
        """
        if len(known) < 2:
            return list(known)
        listed = lm_studio_models(self._http, self._endpoint.url)
        if listed is None:
            return without_other_kinds(known)
        seeing = [model for model in listed if model.sees is not False]
        loaded = [model for model in seeing if model.loaded]
        return [model.name for model in (loaded if len(loaded) == 1 else seeing)]

    def _served(self) -> ServedModel | None:
        """Asked on this machine only: there the promise of `--local-only` is at stake."""
        if not self._endpoint.loopback:
            return None
        served = ollama_model(self._http, self._endpoint.url, self._model)
        if served is not None and runs_in_ollamas_cloud(self._model) and not served.elsewhere:
            return replace(served, elsewhere=OLLAMA_CLOUD)
        if served is not None:
            return served
        listed = lm_studio_models(self._http, self._endpoint.url) or []
        return next((model for model in listed if model.name == self._model), None)

    def caption(self, image: Image, hints: Sequence[str], fault: Fault | None = None) -> Caption:
        """As in the base class; without a name, the server's only model is found first."""
        if not self._model:
            self.check()
        return super().caption(image, hints, fault)

    def account(self) -> str:
        """As in `CaptionBackend`: OpenRouter tells at `/key` what the key has spent and may spend.

        (openrouter.ai/docs/api/api-reference/api-keys/get-current-key, read on 2026-11-28)
        """
        if not self._key:
            return ""
        said = json_of(self._http, "GET", f"{self._endpoint.url}/key") or {}
        facts = said.get("data")
        if not isinstance(facts, dict):
            return ""
        left, spent = facts.get("limit_remaining"), facts.get("usage")
        amounts = ((left, "left of the key's limit"), (spent, "spent with this key"))
        return ", ".join(
            f"{amount:,.2f} USD {what}"
            for amount, what in amounts
            if isinstance(amount, int | float) and amount is not True and math.isfinite(amount)
        )

    def reasoning_effort(self) -> str | None:
        """`none`: the servers take it, and one that does not is asked again without."""
        return "none"
