"""How much of each fault test runs, and where its figures go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.torture.nursery import Nursery

T = TypeVar("T")


@pytest.fixture
def share(request: pytest.FixtureRequest) -> Callable[[T, T], T]:
    """`share(quick, whole)`: the second one with --torture."""
    whole: bool = request.config.getoption("--torture")
    return lambda quick, all_of_it: all_of_it if whole else quick


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """`tried("SIGKILL while threads write", 10_000, lost=0)`: a row of docs/reliability.md."""

    def note(what: str, times: int, *, lost: int = 0) -> None:
        record_property("tried", (what, times, lost))

    return note


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that forks others which work on a journal."""
    process = Nursery()
    yield process
    process.close()
