"""How much of a quota of 100 requests per second is used, and how many requests exceed it.

    python -m benchmarks.rate_limited [--seconds 25] [--quick]

This program with and without rate-limit headers in the answers, beside eight plain threads and
128 threads that only back off. Counted by the server, after the first ten seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import Outcome, plain_threads, this_program
from benchmarks.finding import Finding
from benchmarks.photos import draw_photos
from benchmarks.provider import Behaviour, Provider, Served, provider

QUOTA = 100.0
WORKERS = 64
IGNORED_SECONDS = 10.0
EDGE = 256


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=25.0, help="for each contender")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds for each answer")
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    seconds, ignored = (1.0, 0.0) if given.quick else (given.seconds, IGNORED_SECONDS)
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        paths = draw_photos(photos, int(QUOTA * seconds), EDGE)
        count = len(paths)
        eight = paths[: int(min(QUOTA, 8 / given.latency) * seconds)]  # as many as they can ask
        rows = [
            _row(name, tells, given.latency, ignored, contender)
            for name, tells, contender in (
                ("this program, told", True, _program(photos, count)),
                ("this program, not told", False, _program(photos, count)),
                ("8 plain threads", False, _threads(eight, 8, backoff=False)),
                ("128 threads, backoff", False, _threads(paths, 128, backoff=True)),
            )
        ]
    told, untold = rows[:2]
    Finding(
        benchmark="rate_limited",
        stage=f"a quota of {QUOTA:g} requests a second, {WORKERS} workers",
        contender="8 plain threads; 128 threads that only back off",
        aim="93 % of it with headers, at most 0.5 % refused; 80 % and 2 % without",
        reached=(
            f"{told['of the quota']:.1%} and {told['refused']:.2%} refused; without headers "
            f"{untold['of the quota']:.1%} and {untold['refused']:.2%}"
        ),
        met=_reaches(told, 0.93, 0.005) and _reaches(untold, 0.80, 0.02),
        limit=(
            "With headers, the share of the bucket that is left untouched as a reserve; without "
            "them, that the rate must be found by being refused."
        ),
        rows=rows,
    ).tell()


def _reaches(row: dict[str, Any], used: float, refused: float) -> bool:
    return bool(row["of the quota"] >= used and row["refused"] <= refused)


Contender = Callable[[Provider], Outcome]


def _program(photos: Path, count: int) -> Contender:
    return lambda server: this_program(server.base_url, photos, WORKERS, count)


def _threads(paths: list[Path], workers: int, *, backoff: bool) -> Contender:
    return lambda server: plain_threads(server.base_url, paths, workers, backoff=backoff)


def _row(
    name: str, tells: bool, latency: float, ignored: float, contender: Contender
) -> dict[str, Any]:
    with provider(Behaviour(latency, QUOTA, tells)) as server:
        outcome = contender(server)
        served = server.served()
    used, refused = _shares(served, ignored)
    return {
        "contender": name,
        "of the quota": round(used, 3),
        "refused": round(refused, 4),
        "refused, all": round(_share(len(served.refused), len(served.good)), 4),
        "captions": len(outcome.captions),
        "seconds": round(outcome.elapsed, 1),
    }


def _shares(served: Served, ignored: float) -> tuple[float, float]:
    """The shares of the quota that was used and of requests refused, between start and end.

    The last twentieth of the captions is left out: there is less and less to ask for.
    """
    start, end = served.good[0] + ignored, served.good[len(served.good) * 19 // 20]
    good = sum(start <= t <= end for t in served.good)
    refused = sum(start <= t <= end for t in served.refused)
    return good / max((end - start) * QUOTA, 1.0), _share(refused, good)


def _share(refused: int, good: int) -> float:
    return refused / max(refused + good, 1)


if __name__ == "__main__":
    main()
