"""Processes that are killed while they write: what was acknowledged is there."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.journal.support import failure, photo, write_lines
from tests.torture.journal_checks import losses_after

DEATHS_PER_FILE = 50
"""So many die on one file, so that the next meets what the one before left there."""


@pytest.mark.timeout(3600)
def test_killed_writers_lose_nothing_acknowledged(tmp_path: Path, nursery, share, tried):
    chance = random.Random(1)
    lost, acknowledged, deaths = [], 0, share(60, 10_000)
    known: list[str] = []
    for number in range(deaths):
        path = tmp_path / f"{number // DEATHS_PER_FILE}.jsonl"
        if number % DEATHS_PER_FILE == 0:
            known = []
        threads, when = chance.choice([1, 2, 5, 12]), chance.uniform(0, 0.02)
        opened = chance.random() < 0.8  # the others die while they lock, repair and read, too
        died = nursery.run("append", path, threads, 10_000, kill_after=when, once_heard=opened)
        assert (died.status, died.errors) == (-9, [])  # no stale lock is in its way
        known += died.saved
        acknowledged += len(died.saved)
        lost += losses_after(path, known)
    assert acknowledged > deaths // 10
    tried("SIGKILL while 1 to 12 threads write, then the next run", deaths, lost=len(lost))
    tried("acknowledged records of those, looked for after each death", acknowledged)
    assert lost == []


def compactable(path: Path) -> None:
    """A journal with much to drop."""
    lines = [photo(f"{n % 100}.jpg", f"caption {n}", cost_usd=0.25) for n in range(4_000)]
    write_lines(path, *lines, *(failure(f"{n}.jpg", requests=1) for n in range(50)))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("work", ["compact", "merge"])
def test_killed_upkeep_leaves_the_old_or_the_new_file(
    journal_path: Path, nursery, share, tried, work: str
):
    compactable(journal_path)
    other = journal_path.with_name("other.jsonl")
    write_lines(other, *(photo(f"{n}.jpg", f"other {n}") for n in range(50, 4_000)))
    old = journal_path.read_bytes()
    arguments = [journal_path] if work == "compact" else [journal_path, other]
    began = time.monotonic()
    assert nursery.run(work, *arguments).said == ["done"]
    took = time.monotonic() - began
    new = journal_path.read_bytes()
    chance = random.Random(2)
    lost, seen, deaths = [], {old: 0, new: 0}, share(20, 500)
    for _ in range(deaths):
        journal_path.write_bytes(old)
        nursery.run(work, *arguments, kill_after=chance.uniform(0, 1.2 * took))
        left = journal_path.read_bytes()
        if left in seen:
            seen[left] += 1
        else:
            lost.append(f"a mixture of {len(left)} bytes")
        lost += losses_after(journal_path, [f"{n}.jpg" for n in range(100)])
    assert seen[old] > 0
    tried(f"SIGKILL during `journal {work}`: the old or the new file", deaths, lost=len(lost))
    assert lost == []
