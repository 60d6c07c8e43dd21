"""Which caption backends exist, and how to make one.

A new backend is one file and one row in `BUILT_IN`; picture_captioner/registry.py imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from picture_captioner.backends.base import BackendOptions, BackendSettings, CaptionBackend
from picture_captioner.errors import UsageError, did_you_mean
from picture_captioner.foreign_text import faults_of
from picture_captioner.registry import Plugin, Registry

BUILT_IN = (
    Plugin(
        "template",
        "picture_captioner.backends.template:TemplateBackend",
        None,
        "says what pixels show (colours, light, sharpness); no model, key or download",
    ),
    Plugin(
        "mock",
        "picture_captioner.backends.mock:MockBackend",
        None,
        "instant placeholder captions and, on request, failures; for rehearsals",
        writes_fields=True,
    ),
    Plugin(
        "local",
        "picture_captioner.backends.local_hf:LocalBackend",
        "local",
        "a vision model on this machine, on your GPU (8 GB will do) or CPU; free",
        writes_fields=True,
    ),
    Plugin(
        "ollama",
        "picture_captioner.backends.ollama:OllamaBackend",
        "api",
        "a model on your own machine, served by Ollama; free",
        writes_fields=True,
    ),
    Plugin(
        "compatible",
        "picture_captioner.backends.compatible:CompatibleBackend",
        "api",
        "any OpenAI-compatible server: vLLM, SGLang, LM Studio, llama.cpp",
        writes_fields=True,
    ),
    Plugin(
        "openai",
        "picture_captioner.backends.openai:OpenAIBackend",
        "api",
        "OpenAI's models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "anthropic",
        "picture_captioner.backends.anthropic:AnthropicBackend",
        "api",
        "Anthropic's Claude models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "gemini",
        "picture_captioner.backends.gemini:GeminiBackend",
        "api",
        "Google's Gemini models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "xai",
        "picture_captioner.backends.xai:XaiBackend",
        "api",
        "xAI's Grok models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "bedrock",
        "picture_captioner.backends.bedrock:BedrockBackend",
        "bedrock",
        "models of Amazon Bedrock, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "hyperbolic",
        "picture_captioner.backends.hyperbolic:HyperbolicBackend",
        "api",
        "open models on a GPU that you rent at Hyperbolic; photos leave this machine",
        writes_fields=True,
    ),
    Plugin(
        "litellm",
        "picture_captioner.backends.litellm:LiteLLMBackend",
        "litellm",
        "any provider that LiteLLM knows: Bedrock, Azure, Groq, Mistral; photos leave this machine",
        writes_fields=True,
    ),
)

BACKENDS = {row.name: row for row in BUILT_IN}

DEFAULT_BACKEND = "template"

REGISTRY = Registry("backend", CaptionBackend, BUILT_IN)  # type: ignore[type-abstract]
backends, backend_info, backend_class = REGISTRY.rows, REGISTRY.row, REGISTRY.load


def writers_of_fields() -> list[str]:
    """The built-in backends that can answer with structured fields, the real ones first."""
    return sorted((i.name for i in BUILT_IN if i.writes_fields), key=lambda name: name == "mock")


def load_backend(name: str, settings: BackendSettings | None = None) -> CaptionBackend:
    """A backend ready to caption; without settings, with those of its class.

    Raises:
        UsageError: there is no such backend.
        ConfigurationError: its extra is not installed.
    """
    loaded = backend_class(name)
    return loaded(settings or BackendSettings(model=loaded.default_model))


def parse_options(
    backend: type[CaptionBackend], pairs: Sequence[str], of_flags: Mapping[str, str] | None = None
) -> BackendOptions:
    """The backend's own options from `NAME=VALUE` strings.

    Args:
        of_flags: those that were given by a flag of the same name, which win.

    Raises:
        UsageError: an unknown name or a value that does not fit; the message lists the valid names.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--option {pair}: expected NAME=VALUE")
        if name not in backend.Options.model_fields:
            raise UsageError(_unknown_option(backend, name))
        values[name] = value
    flags = of_flags or {}
    try:
        return backend.Options.model_validate(values | dict(flags))
    except ValidationError as error:
        name, fault = faults_of(error)[0]
        given_by = f"--{name.replace('_', '-')}" if name in flags else f"--option {name}"
        raise UsageError(f"{given_by}: {fault}") from error


def _unknown_option(backend: type[CaptionBackend], name: str) -> str:
    valid = sorted(backend.Options.model_fields)
    listed = f"options: {', '.join(valid)}" if valid else "it has none"
    hint = did_you_mean(name, valid)
    return f"the {backend.name} backend has no option {name!r}{hint} ({listed})"
