"""Captions per second through a provider that takes its time, by the number of workers.

    python -m benchmarks.api_fanout [--latency 0.2] [--workers 8 64 500] [--quick]

The whole command, journal and all, beside the vendor's bare SDK in threads on photos that are
decoded already, and beside sockets alone. `share` is of workers / latency. Processor time of the
command is given besides that of a dry run over the same photos (start-up, decoding, journal) and
of importing the SDK; and all of it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import Outcome, bare_sdk, sockets_alone, this_program
from benchmarks.photos import draw_photos
from benchmarks.provider import Behaviour, Provider, provider
from benchmarks.tables import print_table

EDGE = 1024
MOST_PHOTOS = 2000


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds for each answer")
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 64, 500])
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    latency, levels = (0.02, [4]) if given.quick else (given.latency, given.workers)
    edge, counts = (256, [24]) if given.quick else (EDGE, [_photos_for(w) for w in levels])
    with tempfile.TemporaryDirectory() as work, provider(Behaviour(latency)) as server:
        photos = Path(work) / "photos"
        draw_photos(photos, max(counts), edge)
        first = this_program(server.base_url, photos, 1, 1).cpu
        first -= this_program(server.base_url, photos, 1, 1, dry_run=True).cpu
        server.served()
        rows = [
            row
            for workers, count in zip(levels, counts, strict=True)
            for row in _level(server, photos, workers, count, latency, first)
        ]
    print_table(rows)
    print(json.dumps({"benchmark": "api_fanout", "latency": latency, "rows": rows}))


def _photos_for(workers: int) -> int:
    return min(max(20 * workers, 400), MOST_PHOTOS)


def _level(
    server: Provider, folder: Path, workers: int, count: int, latency: float, first: float
) -> list[dict[str, Any]]:
    """One number of workers; fails unless all contenders got the same captions.

    `first` is the processor time in seconds that one photo costs more than in a dry run.
    """
    photos = sorted(folder.iterdir())[:count]
    dry = this_program(server.base_url, folder, workers, count, dry_run=True)
    contenders: dict[str, Callable[[], Outcome]] = {
        "this program": lambda: this_program(server.base_url, folder, workers, count),
        "openai SDK in threads": lambda: bare_sdk(server.base_url, photos, workers),
        "sockets alone": lambda: sockets_alone(server.base_url, photos, workers),
    }
    rows, expected = [], None
    for name, run in contenders.items():
        outcome = run()
        rate = server.served().steady_rate()
        expected = expected or outcome.captions
        if outcome.captions != expected or len(set(expected)) != count:
            raise RuntimeError(f"{name} did not get the captions that the first contender got")
        own = outcome.cpu - dry.cpu - first if name == "this program" else outcome.cpu
        rows.append(
            {
                "workers": workers,
                "contender": name,
                "captions/s": round(rate, 1),
                "share": round(rate / (workers / latency), 3),
                "CPU ms": round(own / count * 1000, 2),
                "CPU ms, all": round(outcome.cpu / count * 1000, 2),
                "seconds": round(outcome.elapsed, 1),
            }
        )
    return rows


if __name__ == "__main__":
    main()
