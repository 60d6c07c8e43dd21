"""A library, a provider and the program, for tests of batch jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.batch.desk import Desk
from tests.providers.batch_dialects import DIALECTS, OpenAIBatches
from tests.providers.bedrock_jobs import BedrockJobsServer


@pytest.fixture
def desk(tmp_path: Path, preloaded: Any) -> Iterator[Desk]:
    """With OpenAI, and a dozen photos."""
    with OpenAIBatches() as server:
        yield Desk(tmp_path, preloaded, server, 12)


@pytest.fixture(params=(*DIALECTS, BedrockJobsServer), ids=lambda kind: kind.dialect)
def any_desk(request: Any, tmp_path: Path, preloaded: Any) -> Iterator[Desk]:
    """With each provider in turn."""
    with request.param() as server:
        yield Desk(tmp_path, preloaded, server, 12)
