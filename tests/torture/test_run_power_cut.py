"""The power goes while a provider is being paid: what is on the disk is neither lost nor paid for
again, and no cut costs more than the requests that were in flight."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.preloaded import Preloaded
from tests.support import library
from tests.torture.faults import POINTS
from tests.torture.paid import PaidProvider, captioned

PHOTOS = 24
WORKERS = 4
ZEROS = 0.3
"""How often a cut leaves zeros instead of some bytes that were never synced, as XFS may."""


@dataclass
class Account:
    """What the cuts did."""

    cuts: int = 0
    repeated: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    too_many: list[int] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)

    @property
    def damage(self) -> int:
        return len(self.repeated) + len(self.lost) + len(self.too_many)


class Life:
    """One library from the first start to its last caption, with power cuts in between."""

    def __init__(self, server: Preloaded, folder: Path, photos: Path, seed: int) -> None:
        self._server, self._folder, self._rng = server, folder, random.Random(seed)
        folder.mkdir()
        (folder / "photos").symlink_to(photos)
        self._journal, self._synced = folder / "captions.jsonl", folder / "synced"

    def live(self, cuts: int, account: Account) -> None:
        """Up to so many cuts, then one run to the end."""
        with PaidProvider(delay=0.005) as provider:
            provider.delay = self._rng.choice([0.0, 0.01, 0.05])
            for _ in range(cuts):
                before, asked = captioned(self._journal), len(provider.asked)
                if len(before) == PHOTOS:
                    break
                self._cut(provider, account)
                after = captioned(self._journal)
                now = provider.asked[asked:]
                account.repeated += [photo for photo in now if photo in before]
                account.lost += [photo for photo in before if photo not in after]
                in_flight = sum((Counter(now) - after).values())
                account.too_many += [in_flight] if in_flight > WORKERS else []
            self._finish(provider)

    def _flags(self, provider: PaidProvider) -> list[str]:
        return [
            "run", "--backend=openai", f"--base-url={provider.base_url}", "--photos-dir=photos",
            f"--max-workers={WORKERS}", "--decode-workers=1",
        ]  # fmt: skip

    def _cut(self, provider: PaidProvider, account: Account) -> None:
        """A run that dies at an exact point, or at any moment."""
        whole = self._journal.read_bytes() if self._journal.exists() else b""
        self._on_disk = whole.rfind(b"\n") + 1  # what outlived the last cut
        point = self._rng.choice([*POINTS, "any moment"])
        fault: tuple[object, ...] = ("note_syncs", str(self._journal), str(self._synced))
        if point in POINTS:
            exact = (point, self._rng.randrange(1, 6))
            fault = ("die_at_group", str(self._journal), str(self._synced), *exact)
        run = self._server.start(
            *self._flags(provider), cwd=self._folder, faults=[fault], OPENAI_API_KEY="sk-test"
        )
        if point == "any moment" and not run.ends_within(self._rng.uniform(0.0, 1.2)):
            run.kill()
        status = run.wait(60)
        assert status in (-9, 0), run.said
        if status == -9:
            account.cuts += 1
            account.points[point] += 1
            provider.settle()
            self._lose_what_was_not_synced()

    def _lose_what_was_not_synced(self) -> None:
        """What the disk may look like afterwards: any part of the rest, or zeros in its place."""
        if not self._journal.exists():
            return
        data = self._journal.read_bytes()
        noted = self._synced.read_bytes() if self._synced.exists() else b""
        safe = min(max(int(noted or b"0"), self._on_disk), len(data))
        rest = data[safe : self._rng.randint(safe, len(data))]
        if rest and self._rng.random() < ZEROS:
            start = self._rng.randrange(len(rest))
            end = self._rng.randint(start, len(rest))
            rest = rest[:start] + bytes(end - start) + rest[end:]
        self._journal.write_bytes(data[:safe] + rest)

    def _finish(self, provider: PaidProvider) -> None:
        run = self._server.run(*self._flags(provider), cwd=self._folder, OPENAI_API_KEY="sk-test")
        assert run.returncode == 0, run.said
        found = captioned(self._journal)
        assert len(found) == PHOTOS
        assert set(found.values()) == {1}, "a photo has two records"
        shutil.rmtree(self._folder)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("library"), PHOTOS)


@pytest.fixture
def server() -> Iterator[Preloaded]:
    with Preloaded() as running:
        yield running


@pytest.mark.timeout(3600)
def test_no_power_cut_loses_a_caption_or_buys_it_twice(tmp_path, photos, share, tried):
    wanted, cuts_a_life = share((10, 5), (1000, 12))
    account = Account()

    def lives(number: int) -> None:
        with Preloaded() as server:
            life = number
            while account.cuts < wanted:
                Life(server, tmp_path / str(life), photos, life).live(cuts_a_life, account)
                life += 2

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lives, range(2)))
    tried("power cut while a provider is paid", account.cuts, lost=account.damage)
    assert account.cuts >= wanted
    assert not account.damage, account
    assert len(account.points) > 2, account.points
