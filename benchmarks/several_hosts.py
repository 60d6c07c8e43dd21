"""How much of three servers' rates together one run uses, when one is slow and one dies.

    python -m benchmarks.several_hosts [--seconds 20] [--quick]

Each server has four places; it answers as fast as they and its latency allow. Counted by the
servers, first with all three, then without the one that was killed. Beside it, what the same run
would reach if it gave each server every third photo: three times the slowest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.finding import Finding
from benchmarks.photos import draw_photos
from benchmarks.provider import MODEL, Behaviour, Provider, provider

PLACES = 4
FAST, SLOW = 1.0, 4.0
SETTLE_SECONDS = 3.0
"""For the run to start, and to notice that a server is gone."""
AIM = 0.95


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="with three, and with two")
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    seconds, faster = (1.0, 0.2) if given.quick else (given.seconds, 1.0)
    fast, slow = Behaviour(FAST * faster), Behaviour(SLOW * faster)
    count = int(PLACES * (2 / fast.latency + 1 / slow.latency) * (2 * seconds + 15))
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        draw_photos(photos, count, 128)
        rows = _measure(Path(work), fast, slow, seconds)
    with_three, with_two = rows
    Finding(
        benchmark="several_hosts",
        stage=f"three servers, {PLACES} photos at a time each, one slow, one killed",
        contender="every third photo to each server",
        aim=f"{AIM:.0%} of the sum of their rates",
        reached=f"{with_three['share']:.1%} with three, {with_two['share']:.1%} after one died",
        met=with_three["share"] >= AIM and with_two["share"] >= AIM,
        limit="The moment between an answer and the next request to the same server.",
        rows=rows,
    ).tell()


def _measure(work: Path, fast: Behaviour, slow: Behaviour, seconds: float) -> list[dict[str, Any]]:
    with provider(fast) as first, provider(slow) as second:
        with provider(fast) as dying:
            three = [first, second, dying]
            run = _start(work, three)
            _wait_for_answers(first)
            with_three = _rate(three, seconds)
        two = [first, second]
        with_two = _rate(two, seconds)
        run.terminate()
        run.wait(60)
    rates = [PLACES / behaviour.latency for behaviour in (fast, slow)]
    return [
        _row("three", with_three, 2 * rates[0] + rates[1], 3 * rates[1]),
        _row("two, one died", with_two, sum(rates), 2 * rates[1]),
    ]


def _row(name: str, rate: float, together: float, by_turns: float) -> dict[str, Any]:
    return {
        "servers": name,
        "captions/s": round(rate, 2),
        "their sum": round(together, 2),
        "share": round(rate / together, 3),
        "by turns": round(by_turns, 2),
    }


def _start(work: Path, servers: Sequence[Provider]) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "caption.py"), "run", f"--photos-dir={work / 'photos'}"]
    command += ["--backend=compatible", f"--model={MODEL}", "--no-library"]
    command += [f"--max-workers={PLACES * len(servers)}"]
    command += [f"--base-url={server.base_url}" for server in servers]
    with (work / "output.txt").open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - this program
            command, cwd=work, env=os.environ.copy(), stdout=output, stderr=output
        )


def _wait_for_answers(server: Provider) -> None:
    """Until the run is at full speed: it begins with one request at a time."""
    answered = 0
    while answered < 3 * PLACES:
        time.sleep(0.2)
        answered += len(server.served().good)


def _rate(servers: Sequence[Provider], seconds: float) -> float:
    """Captions a second of all of them together, after they have settled."""
    time.sleep(SETTLE_SECONDS if seconds > SETTLE_SECONDS else seconds)
    for server in servers:
        server.served()
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return sum(len(server.served().good) for server in servers) / took


if __name__ == "__main__":
    main()
