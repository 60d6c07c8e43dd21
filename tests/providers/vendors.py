"""Anthropic and Gemini side by side, for tests that hold for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import BackendSettings, CaptionBackend
from picture_captioner.backends.gemini import GeminiBackend
from tests.providers import anthropic_server, gemini_server
from tests.providers.loopback import Reply

CAPTION = "A dog on a beach."


@dataclass(frozen=True)
class Provider:
    backend: type[CaptionBackend]
    server: Callable[..., Any]
    key: str
    good: Reply
    error: Callable[[int, str], Reply]

    def connect(self, url: str, **settings: Any) -> CaptionBackend:
        given = {"model": self.backend.default_model, "api_key": SecretStr(self.key)} | settings
        return self.backend(BackendSettings(base_url=url, **given))


ANTHROPIC = Provider(
    AnthropicBackend,
    anthropic_server.AnthropicServer,
    anthropic_server.KEY,
    anthropic_server.message(CAPTION),
    lambda status, text: anthropic_server.error(status, "api_error", text),
)
GEMINI = Provider(
    GeminiBackend,
    gemini_server.GeminiServer,
    gemini_server.KEY,
    gemini_server.response(CAPTION),
    lambda status, text: gemini_server.error(status, "INTERNAL", text),
)


def with_headers(reply: Reply, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(reply.body, reply.status, named)
