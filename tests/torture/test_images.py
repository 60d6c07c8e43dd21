"""Broken photos by the thousand: each is a clean picture or a verdict, and costs nobody else."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from picture_captioner.pipeline.decoding.decoder import DEFAULT_LIMITS, Decoder
from tests.torture.healthy import healthy
from tests.torture.inspection import EDGE, LOST_WORKER, inspect
from tests.torture.mutants import mutant

_SECONDS = 10.0
"""No file of 40 KB may take longer, on a machine that does other things too."""


class Crew:
    """A loader for each thread that inspects."""

    def __init__(self):
        self._local = threading.local()
        self._loaders = []

    def loader(self):
        if not hasattr(self._local, "loader"):
            self._local.loader = Decoder()
            self._loaders.append(self._local.loader)
        return self._local.loader

    def close(self):
        for loader in self._loaders:
            loader.close()


@pytest.fixture
def crew():
    crew = Crew()
    yield crew
    crew.close()


def test_what_is_damaged_was_healthy(crew, tmp_path):
    for name, data in healthy().items():
        path = tmp_path / f"photo.{name.partition('/')[0]}"
        path.write_bytes(data)
        for as_jpeg in (False, True):
            outcome = inspect(crew.loader(), path, as_jpeg=as_jpeg)
            assert (outcome.word, outcome.wrong) == ("picture", ()), name


@pytest.mark.timeout(1800)
def test_mutants_are_pictures_or_verdicts(crew, tmp_path, share, tried, record_property):
    numbers = range(share(300, 10_000))

    def one(number):
        made = mutant(number)
        path = tmp_path / made.name
        path.write_bytes(made.data)
        outcome = inspect(crew.loader(), path, as_jpeg=number % 2 == 1)
        path.unlink()
        return made, outcome

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(one, numbers))
    wrong = [f"{made}: {'; '.join(o.wrong)}" for made, o in results if o.wrong]
    slow = [f"{made}: {o.seconds:.1f} s" for made, o in results if o.seconds > _SECONDS]
    fat = [f"{m}: {o.peak_bytes}" for m, o in results if o.peak_bytes > DEFAULT_LIMITS.memory_bytes]
    words = Counter(o.word for _, o in results)
    slowest, outcome = max(results, key=lambda result: result[1].seconds)
    largest, peak = max(results, key=lambda result: result[1].peak_bytes)
    lost = [str(made) for made, o in results if o.word in LOST_WORKER]
    record_property("verdicts", dict(words))
    record_property("largest", f"{largest}: {peak.peak_bytes >> 20} MiB")
    record_property("lost workers", lost)
    tried(
        f"photos damaged at random, {len(healthy())} layouts of 12 formats; the slowest, "
        f"{slowest}, took {outcome.seconds:.1f} s",
        len(numbers),
        lost=len(wrong) + len(slow) + len(fat),
    )
    assert not wrong + slow + fat
    assert words["picture"] > len(numbers) // 20
    assert words["corrupt"] and words["truncated"] and words["unknown_format"]
    assert EDGE < 72  # the healthy ones are larger: "within the edge" means something
