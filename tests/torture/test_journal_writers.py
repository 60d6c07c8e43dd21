"""Writers that meet: one works, the others are told, whatever becomes of the lock file."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from picture_captioner.errors import ExitCode
from picture_captioner.journal.reading import read_index
from tests.torture.journal_checks import losses_after
from tests.torture.nursery import Job


@contextmanager
def vandal(lock: Path) -> Iterator[None]:
    """Somebody who deletes the lock file again and again."""
    over = threading.Event()

    def delete() -> None:
        while not over.wait(0.0002):
            lock.unlink(missing_ok=True)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def nobody(lock: Path) -> Iterator[None]:
    yield


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("third", [nobody, vandal])
def test_of_writers_that_start_together_one_is_in_at_a_time(
    journal_path: Path, nursery, share, tried, third
):
    chance, wrong, saved = random.Random(7), [], []
    lock = journal_path.with_name("captions.jsonl.lock")
    races = share(20, 1_000)
    with third(lock):
        for _ in range(races):
            stay = [str(chance.randrange(5)) for _ in range(chance.choice([2, 2, 2, 3, 5]))]
            done = nursery.race(*(Job(["contend", str(journal_path), ms]) for ms in stay))
            won = [outcome for outcome in done if outcome.saved]
            told = f"error {int(ExitCode.LOCKED)} {journal_path} is being written by "
            out = [outcome for outcome in done if outcome.said[:1] and
                   outcome.said[0].startswith(told)]  # fmt: skip
            if not won or len(won) + len(out) != len(done) or any(o.status for o in done):
                wrong.append(str(done))
            saved += [name for outcome in won for name in outcome.saved]
    wrong += losses_after(journal_path, saved)
    assert read_index(journal_path).records == len(saved) + 1
    what = {nobody: "", vandal: ", their lock file deleted all the time"}[third]
    tried(f"2 to 5 writers that start together{what}", races, lost=len(wrong))
    assert wrong == []


def test_short_writes_are_cut_back(tmp_path: Path, nursery, share, tried):
    chance, wrong = random.Random(8), []
    sizes = [1, 232, 233, 234, *(chance.randrange(1, 6_000) for _ in range(share(16, 96)))]
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.jsonl"
        done = nursery.run("limit", path, size)
        index = read_index(path)
        said = all("File too large" in e or "could be written" in e for e in done.errors)
        if not (done.errors and said and set(index.entries) == set(done.saved)):
            wrong.append(f"{size}: {done}, on disk {set(index.entries)}")
        if index.torn or index.damage:
            wrong.append(f"{size}: torn")
        wrong += losses_after(path, done.saved)
    tried("a file that may grow to a size (RLIMIT_FSIZE) and no further", len(sizes),
          lost=len(wrong))  # fmt: skip
    assert wrong == []
