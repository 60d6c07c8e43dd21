"""Processor time from typing a command to its answer: `--help`, and `stats` on a small journal.

    python -m benchmarks.start_up [--rounds 9] [--quick]

Beside `python -c pass`, the floor. The limit names the packages whose modules took longest to
import, each without what it imports itself, as `-X importtime` has it.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import Contender, contest, rows
from benchmarks.finding import Finding

ROOT = Path(__file__).parent.parent
CAPTION = str(ROOT / "caption.py")
AIM_SECONDS = 0.4
NAMED = 5


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        journal = _write_journal(Path(work) / "captions.jsonl")
        commands = {
            "python -c pass": ["-c", "pass"],
            "--help": [CAPTION, "--help"],
            "stats": [CAPTION, "stats", f"--captions-jsonl={journal}"],
        }
        samples = contest(
            {name: _command(arguments) for name, arguments in commands.items()},
            *((1, 0) if given.quick else (given.rounds, 1)),
        )
        costs = {name: _imports(arguments) for name, arguments in list(commands.items())[1:]}
    _check_answers({name: found[0].result for name, found in samples.items()})
    found = rows(samples, "python -c pass")
    above = {row["contender"]: round(row["CPU s"] - found[0]["CPU s"], 3) for row in found}
    found = [row | {"above the floor": above[row["contender"]]} for row in found]
    reached = f"{above['--help']} s; {above['stats']} s for `stats` on 100 records"
    Finding(
        benchmark="start_up",
        stage="processor time of a command that does next to nothing",
        contender="python -c pass",
        aim=f"`--help` within {AIM_SECONDS} s of it",
        reached=reached,
        met=above["--help"] <= AIM_SECONDS,
        limit=f"imports; the most for {_in_words(costs)}",
        rows=found,
    ).tell()


def _write_journal(path: Path) -> Path:
    record = {"caption": "A lake.", "status": "success", "backend": "mock", "model": "mock-1"}
    lines = (json.dumps({"rel_path": f"{i:03d}.jpg"} | record) for i in range(100))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _command(arguments: Sequence[str]) -> Contender:
    def prepare() -> Callable[[], Any]:
        return lambda: _run(arguments).stdout

    return prepare


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this program
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )


def _check_answers(answers: Mapping[str, str]) -> None:
    if "journal" not in answers["--help"] or "100" not in answers["stats"]:
        raise RuntimeError("a command did not answer what it was asked")


def _imports(arguments: Sequence[str]) -> dict[str, float]:
    """Seconds by package, its modules' own time; with the time that measuring takes."""
    costs: dict[str, float] = collections.defaultdict(float)
    for line in _run(["-X", "importtime", *arguments]).stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdecimal():
            costs[name.strip().partition(".")[0]] += int(own) / 1e6
    return costs


def _in_words(costs: Mapping[str, Mapping[str, float]]) -> str:
    lists = []
    for command, found in costs.items():
        most = sorted(found, key=lambda name: -found[name])[:NAMED]
        lists.append(f"{command}: " + ", ".join(f"{name} {found[name]:.2f} s" for name in most))
    return "; ".join(lists)


if __name__ == "__main__":
    main()
