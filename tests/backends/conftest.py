"""Anthropic and Gemini by their own SDKs, each with a loopback server in its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from picture_captioner.backends.base import CaptionBackend
from tests.providers.vendors import ANTHROPIC, GEMINI, Provider


@pytest.fixture(params=[ANTHROPIC, GEMINI], ids=["anthropic", "gemini"])
def provider(request: pytest.FixtureRequest) -> Provider:
    return request.param


@pytest.fixture
def server(provider: Provider) -> Iterator[Any]:
    with provider.server() as running:
        yield running


@pytest.fixture
def backend(provider: Provider, server: Any) -> CaptionBackend:
    return provider.connect(server.url)
