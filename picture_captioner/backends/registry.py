"""Which caption backends exist, and how to make one.

A new backend is one file and one line in `BUILT_IN`. Another package adds its own through the
entry point group `picture_captioner.backends`, without an edit here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from picture_captioner.backends.base import BackendOptions, BackendSettings, CaptionBackend
from picture_captioner.errors import ConfigurationError, UsageError, did_you_mean
from picture_captioner.extras import how_to_install

ENTRY_POINTS = "picture_captioner.backends"


class BackendInfo(NamedTuple):
    """A row of the table; `target` is imported only when the backend is used."""

    name: str
    target: str
    extra: str | None
    summary: str
    writes_fields: bool = False


BUILT_IN = (
    BackendInfo(
        "template",
        "picture_captioner.backends.template:TemplateBackend",
        None,
        "says what pixels show (colours, light, sharpness); no model, key or download",
    ),
    BackendInfo(
        "mock",
        "picture_captioner.backends.mock:MockBackend",
        None,
        "instant placeholder captions and, on request, failures; for rehearsals",
        writes_fields=True,
    ),
    BackendInfo(
        "local",
        "picture_captioner.backends.local_hf:LocalBackend",
        "local",
        "a vision model on this machine, on your GPU (8 GB will do) or CPU; free",
        writes_fields=True,
    ),
    BackendInfo(
        "ollama",
        "picture_captioner.backends.ollama:OllamaBackend",
        "api",
        "a model on your own machine, served by Ollama; free",
        writes_fields=True,
    ),
    BackendInfo(
        "compatible",
        "picture_captioner.backends.compatible:CompatibleBackend",
        "api",
        "any OpenAI-compatible server: vLLM, SGLang, LM Studio, llama.cpp",
        writes_fields=True,
    ),
    BackendInfo(
        "openai",
        "picture_captioner.backends.openai:OpenAIBackend",
        "api",
        "OpenAI's models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    BackendInfo(
        "anthropic",
        "picture_captioner.backends.anthropic:AnthropicBackend",
        "api",
        "Anthropic's Claude models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    BackendInfo(
        "gemini",
        "picture_captioner.backends.gemini:GeminiBackend",
        "api",
        "Google's Gemini models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    BackendInfo(
        "xai",
        "picture_captioner.backends.xai:XaiBackend",
        "api",
        "xAI's Grok models, paid per token; photos leave this machine",
        writes_fields=True,
    ),
    BackendInfo(
        "hyperbolic",
        "picture_captioner.backends.hyperbolic:HyperbolicBackend",
        "api",
        "open models on a GPU that you rent at Hyperbolic; photos leave this machine",
        writes_fields=True,
    ),
    BackendInfo(
        "litellm",
        "picture_captioner.backends.litellm:LiteLLMBackend",
        "litellm",
        "any provider that LiteLLM knows: Bedrock, Azure, Groq, Mistral; photos leave this machine",
        writes_fields=True,
    ),
)

BACKENDS = {info.name: info for info in BUILT_IN}

DEFAULT_BACKEND = "template"


def backends() -> dict[str, BackendInfo]:
    """Every backend by name: the built-in ones, then those of other packages.

    Raises:
        ConfigurationError: another package uses a name that is taken.
    """
    table = {info.name: info for info in BUILT_IN}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist else "another package"
        if point.name in table:
            raise ConfigurationError(
                f"the backend name {point.name!r} of {package} is taken already; uninstall one"
            )
        table[point.name] = BackendInfo(point.name, point.value, None, f"from {package}")
    return table


def backend_info(name: str) -> BackendInfo:
    """The row of one backend.

    Raises:
        UsageError: there is none of that name; the message lists the valid ones.
    """
    table = backends()
    if name not in table:
        raise UsageError(
            f"there is no backend {name!r}{did_you_mean(name, table)} "
            f"(backends: {', '.join(sorted(table))})"
        )
    return table[name]


def writers_of_fields() -> list[str]:
    """The built-in backends that can answer with structured fields, the real ones first."""
    return sorted((i.name for i in BUILT_IN if i.writes_fields), key=lambda name: name == "mock")


def backend_class(name: str) -> type[CaptionBackend]:
    """Import a backend's class.

    Raises:
        UsageError: there is no such backend.
        ConfigurationError: its extra is not installed; the message is the line that does it.
    """
    info = backend_info(name)
    module, _, attribute = info.target.partition(":")
    try:
        loaded = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if info in BUILT_IN and (info.extra is None or error.name == module):
            raise
        if info not in BUILT_IN:
            raise ConfigurationError(
                f"the backend {name} ({info.summary}) needs the package {error.name}, which is not "
                "installed"
            ) from error
        raise ConfigurationError(
            f"the {name} backend needs the package {error.name}: run "
            f"{how_to_install(info.extra or '')}"
        ) from error
    except Exception as error:
        if info in BUILT_IN:
            raise
        raise ConfigurationError(
            f"the backend {name} ({info.summary}) cannot be imported: {type(error).__name__}: "
            f"{error}; update or uninstall its package"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, CaptionBackend)):
        raise ConfigurationError(f"{info.target} is not a CaptionBackend")
    return loaded


def load_backend(name: str, settings: BackendSettings | None = None) -> CaptionBackend:
    """A backend ready to caption; without settings, with those of its class.

    Raises:
        UsageError: there is no such backend.
        ConfigurationError: its extra is not installed.
    """
    loaded = backend_class(name)
    return loaded(settings or BackendSettings(model=loaded.default_model))


def parse_options(backend: type[CaptionBackend], pairs: Sequence[str]) -> BackendOptions:
    """The backend's own options from `NAME=VALUE` strings.

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
    try:
        return backend.Options.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--option {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _unknown_option(backend: type[CaptionBackend], name: str) -> str:
    valid = sorted(backend.Options.model_fields)
    listed = f"options: {', '.join(valid)}" if valid else "it has none"
    hint = did_you_mean(name, valid)
    return f"the {backend.name} backend has no option {name!r}{hint} ({listed})"
