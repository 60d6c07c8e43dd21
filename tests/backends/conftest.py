"""Anthropic and Gemini by their own SDKs, each with a loopback server in its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from picture_captioner.backends.base import CaptionBackend

if TYPE_CHECKING:
    from tests.providers.vendors import Provider


@pytest.fixture(params=["ANTHROPIC", "GEMINI"], ids=str.lower)
def provider(request: pytest.FixtureRequest) -> Provider:
    from tests.providers import vendors  # the litellm backend is tested where no SDK is installed

    return getattr(vendors, request.param)


@pytest.fixture
def server(provider: Provider) -> Iterator[Any]:
    with provider.server() as running:
        yield running


@pytest.fixture
def backend(provider: Provider, server: Any) -> CaptionBackend:
    return provider.connect(server.url)
