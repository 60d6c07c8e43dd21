"""Captions per second through a provider that takes its time, by the number of workers.

    python -m benchmarks.api_fanout [--latency 0.05 1] [--workers 8 64 500] [--rounds 3] [--quick]

The whole command, journal and all, beside the vendor's bare SDK in threads on photos that are
decoded already, and beside aiohttp with requests that are ready as bytes. `share` is of workers /
latency. Processor time of the command is given besides that of a dry run over the same photos
(start-up, decoding, journal) and of importing the SDK; and all of it. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contenders import Outcome, aiohttp_floor, bare_sdk, this_program
from benchmarks.finding import Finding
from benchmarks.photos import draw_photos
from benchmarks.provider import Behaviour, Provider, provider

EDGE = 1024
MOST_PHOTOS = 2000
SECONDS = 6
"""How long a contender takes about, at no more than `LIKELY_RATE` captions a second."""
ROUNDS = 3
LIKELY_RATE = 150.0
OURS, SDK, FLOOR = "this program", "openai SDK in threads", "aiohttp, bodies ready"
LEAST_RATE, MOST_CPU = 0.98, 1.3
"""Two runs of one contender differ by up to 2 %."""


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 1.0], help="seconds")
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 64, 500])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    rounds = 1 if given.quick else given.rounds
    latencies, levels = ([0.02], [4]) if given.quick else (given.latency, given.workers)
    edge = 256 if given.quick else EDGE
    plan = [(latency, workers) for latency in latencies for workers in levels]
    counts = [24 if given.quick else _photos_for(latency, workers) for latency, workers in plan]
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        draw_photos(photos, max(counts), edge)
        rows = _measure(photos, plan, counts, rounds)
    _finding(rows).tell()


def _photos_for(latency: float, workers: int) -> int:
    expected = int(min(workers / latency, LIKELY_RATE) * SECONDS)
    return min(max(expected, 3 * workers), MOST_PHOTOS)


def _measure(
    photos: Path, plan: list[tuple[float, int]], counts: list[int], rounds: int
) -> list[dict[str, Any]]:
    rows = []
    with provider(Behaviour(0.0)) as server:
        base_url = server.base_url
        dry_run = cache(lambda count: this_program(base_url, photos, 1, count, dry_run=True).cpu)
        first = this_program(base_url, photos, 1, 1).cpu - dry_run(1)
        for (latency, workers), count in zip(plan, counts, strict=True):
            with provider(Behaviour(latency)) as slow:
                found = _level(slow, photos, workers, count, rounds)
                besides = {OURS: dry_run(count) + first}
                rows += [
                    {"latency": latency, "workers": workers}
                    | _row(name, goes, count, workers / latency, besides.get(name, 0.0))
                    for name, goes in found.items()
                ]
    return rows


def _finding(rows: list[dict[str, Any]]) -> Finding:
    """The worst of all levels counts."""
    by_level = {(r["latency"], r["workers"], r["contender"]): r for r in rows}
    levels = [(latency, workers) for latency, workers, who in by_level if who == OURS]

    def worst(key: str, of: Callable[[list[float]], float]) -> float:
        found = [by_level[*x, OURS][key] / max(by_level[*x, SDK][key], 1e-9) for x in levels]
        return round(of(found), 2)

    rate, cpu = worst("captions/s", min), worst("CPU ms", max)
    return Finding(
        benchmark="api_fanout",
        stage="captions through a provider, 150 KB a photo",
        contender="the bare openai SDK in threads; aiohttp as the floor",
        aim="at least the SDK's rate, at most 1.3 times its CPU",
        reached=f"at worst {rate} times the SDK's rate and {cpu} times its CPU",
        met=rate >= LEAST_RATE and cpu <= MOST_CPU,
        limit=(
            "With 8 workers the provider's answers; with more, two cores, of which decoding the "
            "photos takes two thirds (the contenders have theirs decoded before), and then the "
            "SDK, which makes a request's headers and objects in Python."
        ),
        rows=rows,
    )


class _Go(NamedTuple):
    """Captions a second, processor and elapsed seconds."""

    rate: float
    cpu: float
    elapsed: float


def _level(
    server: Provider, folder: Path, workers: int, count: int, rounds: int
) -> dict[str, list[_Go]]:
    """One number of workers, the contenders in turn; fails unless all got the same captions."""
    photos = sorted(folder.iterdir())[:count]
    contenders: dict[str, Callable[[], Outcome]] = {
        OURS: lambda: this_program(server.base_url, folder, workers, count),
        SDK: lambda: bare_sdk(server.base_url, photos, workers),
        FLOOR: lambda: aiohttp_floor(server.base_url, photos, workers),
    }
    goes: dict[str, list[_Go]] = {name: [] for name in contenders}
    expected = None
    for name, run in list(contenders.items()) * rounds:
        outcome = run()
        goes[name].append(_Go(server.served().steady_rate(), outcome.cpu, outcome.elapsed))
        expected = expected or outcome.captions
        if outcome.captions != expected or len(set(expected)) != count:
            raise RuntimeError(f"{name} did not get the captions that the first contender got")
    return goes


def _row(name: str, goes: list[_Go], count: int, most: float, besides: float) -> dict[str, Any]:
    """The middle go. `most`: captions a second that the workers could get.

    `besides` is the processor time in seconds that is not the requests': of a dry run over the same
    photos, and of importing the SDK.
    """
    rates = [go.rate for go in goes]
    cpu = median(go.cpu for go in goes)
    return {
        "contender": name,
        "captions/s": round(median(rates), 1),
        "from": round(min(rates), 1),
        "to": round(max(rates), 1),
        "share": round(median(rates) / most, 3),
        "CPU ms": round((cpu - besides) / count * 1000, 2),
        "CPU ms, all": round(cpu / count * 1000, 2),
        "seconds": round(median(go.elapsed for go in goes), 1),
    }


if __name__ == "__main__":
    main()
