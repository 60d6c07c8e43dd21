"""One memory budget for all decoders: large pictures wait for each other, small ones do not."""

from __future__ import annotations

import threading

import pytest
from PIL import Image

from picture_captioner.errors import ImageTooLargeError
from picture_captioner.pipeline.decoding import decoder, opening
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.opening import MemoryBudget
from tests.images import gradient, write

SIDE = 8300
NEEDED = 4 * SIDE**2


class Watched(MemoryBudget):
    """Notes what is lent at a time."""

    def __init__(self, total):
        super().__init__(total)
        self.lent, self.most, self.asked = 0, 0, []

    def take(self, needed):
        self.asked.append(needed)
        taken = super().take(needed)
        with self._changed:
            self.lent += taken
            self.most = max(self.most, self.lent)
        return taken

    def give_back(self, taken):
        with self._changed:
            self.lent -= taken
        super().give_back(taken)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A PNG of 10 kB that takes 0.27 GB."""
    path = tmp_path_factory.mktemp("large") / "large.png"
    Image.new("1", (SIDE, SIDE)).save(path)
    return path


def test_large_pictures_wait_for_each_other_and_small_ones_do_not(tmp_path, large, monkeypatch):
    budget = Watched(int(1.5 * NEEDED))
    monkeypatch.setattr(decoder, "BUDGET", budget)
    small = write(tmp_path / "a.jpg", gradient(120, 80), "JPEG")
    found = []

    def load(paths):
        with Decoder() as loader:
            found.extend(loader.load(path, 64).image.size for path in paths)

    threads = [threading.Thread(target=load, args=([large, small],)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(found) == [(64, 43)] * 3 + [(64, 64)] * 3
    assert budget.asked == [NEEDED] * 3
    assert (budget.most, budget.lent) == (NEEDED, 0)


def test_headers_wait_for_nothing(large, monkeypatch):
    monkeypatch.setattr(decoder, "BUDGET", budget := Watched(1))
    with Decoder() as loader:
        (header,) = loader.read_headers([large])
    assert (header.width, budget.asked) == (SIDE, [])


def test_what_takes_more_than_all_goes_alone(large, monkeypatch):
    monkeypatch.setattr(decoder, "BUDGET", budget := Watched(NEEDED // 2))
    with Decoder() as loader:
        assert loader.load(large, 64).image.size == (64, 64)
    assert (budget.most, budget.lent) == (NEEDED // 2, 0)


def test_a_photo_over_the_limit_takes_nothing_and_names_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "BUDGET", budget := Watched(10 * NEEDED))
    path = tmp_path / "huge.png"
    Image.new("1", (40_000, 30_000)).save(path)
    with Decoder() as loader, pytest.raises(ImageTooLargeError, match=r"takes 4\.8 GB of memory"):
        loader.load(path, 64)
    assert budget.asked == []


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    limit, none = tmp_path / "memory.max", tmp_path / "max"
    limit.write_text("1000000\n")
    none.write_text("max\n")
    monkeypatch.setattr(opening, "_LIMIT_FILES", (str(none), str(tmp_path / "gone")))
    assert opening.machine_memory() > 1 << 28
    monkeypatch.setattr(opening, "_LIMIT_FILES", (str(none), str(limit)))
    assert opening.machine_memory() == 1_000_000
