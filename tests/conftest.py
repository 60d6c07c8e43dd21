"""What all tests share: the `--torture` flag and a place for a journal."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="run the long fault tests too (hours)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--torture"):
        return
    skip = pytest.mark.skip(reason="long: run with --torture")
    for item in items:
        if "torture" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"
