"""What a server at home says about a model: does it see, how much fits, and where does it run.

Only Ollama and LM Studio say so, each at an address of its own beside `/v1`. That matters most for
Ollama, whose cloud models are asked through localhost while every photo goes on to ollama.com.
Sources: Ollama's `api/types.go` (`ShowResponse`) and docs.ollama.com/cloud; LM Studio's REST API
v1 and v0 (lmstudio.ai/docs/developer/rest); both read on 2026-11-28.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import httpx2

from picture_captioner.backends.http_service import NO_PROTOCOL
from picture_captioner.backends.usage import count

OLLAMA_CLOUD = "ollama.com"
_CLOUD_NAME = re.compile(r"[:-]cloud$", re.IGNORECASE)
_NO_CHAT = re.compile(r"embed|rerank|\bbge\b|whisper|\btts\b|clip\b", re.IGNORECASE)


@dataclass(frozen=True)
class ServedModel:
    """A model of a server; what the server does not say is None.

    `elsewhere` is the host that the server passes photos on to; None when it runs the model itself
    or does not say.
    """

    name: str
    sees: bool | None = None
    context: int | None = None
    elsewhere: str | None = None
    loaded: bool = False


def runs_in_ollamas_cloud(name: str) -> bool:
    """Whether a name says so: `gemma4:cloud`, `gpt-oss:120b-cloud`."""
    return bool(_CLOUD_NAME.search(name))


def json_of(
    http: httpx2.Client, method: str, url: str, body: dict[str, str] | None = None
) -> dict[str, Any] | None:
    """The object in an answer; None for anything else: most servers lack these addresses."""
    try:
        answer = http.request(method, url, json=body)
        said = json.loads(answer.content) if answer.status_code == 200 else None
    except (httpx2.HTTPError, *NO_PROTOCOL):
        return None
    return said if isinstance(said, dict) else None


def ollama_model(http: httpx2.Client, url: str, name: str) -> ServedModel | None:
    """What Ollama says of a model; None if the server is not Ollama, or says nothing.

    Args:
        url: the OpenAI-compatible address, such as http://localhost:11434/v1.
    """
    said = json_of(http, "POST", f"{_root(url)}/api/show", {"model": name})
    if said is None or not {"capabilities", "model_info", "remote_host"} & said.keys():
        return None
    abilities, facts = said.get("capabilities"), said.get("model_info")
    sizes = [
        count(value)
        for key, value in (facts.items() if isinstance(facts, dict) else ())
        if str(key).endswith(".context_length")
    ]
    return ServedModel(
        name,
        sees="vision" in abilities if isinstance(abilities, list) else None,
        context=_size_set(said.get("parameters")) or next(iter(sizes), None),
        elsewhere=_host(said.get("remote_host")),
    )


def lm_studio_models(http: httpx2.Client, url: str) -> list[ServedModel] | None:
    """LM Studio's models that can be chatted with; None if the server is not LM Studio.

    Version 0.4 lists them at `/api/v1/models`, older ones at `/api/v0/models`.
    """
    said = json_of(http, "GET", f"{_root(url)}/api/v1/models")
    if said is not None and isinstance(said.get("models"), list):
        return [_of_lm_studio(m) for m in _dicts(said["models"]) if m.get("type") == "llm"]
    said = json_of(http, "GET", f"{_root(url)}/api/v0/models")
    listed = _dicts(said.get("data")) if said is not None else []
    if not any("state" in m for m in listed):
        return None
    return [_of_older_lm_studio(m) for m in listed if m.get("type") in ("llm", "vlm")]


def without_other_kinds(names: Sequence[str]) -> list[str]:
    """The names without those of models that embed or rank, by what they are commonly called."""
    return [name for name in names if not _NO_CHAT.search(name)]


def not_local(model: str, host: str, served: ServedModel) -> str:
    """Why `--local-only` does not allow a model that a server on this machine passes on."""
    return (
        f"--local-only: {host} does not run {model} itself, it passes every photo on to "
        f"{served.elsewhere}; choose a model that it runs with --model, such as qwen2.5vl:3b, or "
        "leave out --local-only. (OLLAMA_NO_CLOUD=1 in Ollama's environment switches its cloud off)"
    )


def _of_lm_studio(model: dict[str, Any]) -> ServedModel:
    abilities, instances = model.get("capabilities"), _dicts(model.get("loaded_instances"))
    configs = [instance.get("config") for instance in instances]
    sizes = [count(c.get("context_length")) for c in configs if isinstance(c, dict)]
    sees = abilities.get("vision") if isinstance(abilities, dict) else None
    return ServedModel(
        str(model.get("key")),
        sees=sees if isinstance(sees, bool) else None,
        context=next(iter(sizes), None) or count(model.get("max_context_length")),
        loaded=bool(instances),
    )


def _of_older_lm_studio(model: dict[str, Any]) -> ServedModel:
    return ServedModel(
        str(model.get("id")),
        sees=model.get("type") == "vlm",
        context=count(model.get("loaded_context_length")) or count(model.get("max_context_length")),
        loaded=model.get("state") == "loaded",
    )


def _size_set(parameters: object) -> int | None:
    """`num_ctx` in the lines of a Modelfile's parameters, which wins over the model's own size."""
    found = re.search(r"^num_ctx\s+(\d{1,9})\s*$", parameters, re.M) if _text(parameters) else None
    return int(found[1]) if found else None


def _host(address: object) -> str | None:
    if not _text(address):
        return None
    return urlsplit(address if "//" in address else f"//{address}").hostname or address[:100]


def _text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _root(url: str) -> str:
    return url.removesuffix("/v1")
