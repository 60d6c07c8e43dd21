"""Runs the checks one after the other against a clock, each in a process of its own.

A device-side assert, a hang or a crash takes its own check along and no other. Each prints one line
here; the last line is JSON with the card, the driver, torch, all figures and all that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.gpu.check import CHECKS

LIMIT = {1: 470.0, 2: 1500.0}
"""Seconds for a part. The first has to end within eight minutes, whatever hangs."""

LAST_LINES = 6


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="on_gpu.sh", description="what only a card can show")
    parser.add_argument("--part", type=int, choices=[1, 2], default=1)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, on the CPU")
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="this check alone")
    parser.add_argument(
        "--seconds",
        type=float,
        help="of the whole part, 470 and 1,500; with more each check has more",
    )
    parser.add_argument("--folder", type=Path, help="where models and photos are made, and stay")
    settings = parser.parse_args(arguments)
    settings.seconds = settings.seconds or LIMIT[settings.part]
    return settings


def run_apart(name: str, folder: Path, *, tiny: bool, seconds: float) -> dict[str, Any]:
    """What a check in a process of its own says; it and its children are killed at its time."""
    program = "from benchmarks.gpu.check import main; main()"
    command = [sys.executable, "-c", program, name, str(folder)]
    process = subprocess.Popen(  # noqa: S603 - our own module
        [*command, "tiny" if tiny else "card", str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
        ending = f"ended with {process.returncode}"
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        ending = f"not done after {seconds:.0f} s"
    with suppress(ValueError, IndexError):
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        return said
    words = " | ".join(err.strip().splitlines()[-LAST_LINES:])
    return {"figures": {}, "failed": [f"{ending}: {words[-1000:]}"], "skipped": ""}


def run_all(settings: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """What each check of the part said, by its name."""
    started, found = time.monotonic(), dict[str, dict[str, Any]]()
    slower = max(settings.seconds / LIMIT[settings.part], 1.0)
    for name, check in CHECKS.items():
        wanted = check.part in {0, settings.part}
        if name not in settings.only if settings.only else not wanted:
            continue
        left = settings.seconds - (time.monotonic() - started)
        said: dict[str, Any]
        if settings.tiny and check.needs_card:
            said = {"figures": {}, "failed": [], "skipped": "needs a card"}
        elif left < 10:
            said = {"figures": {}, "failed": ["no time was left for it"], "skipped": ""}
        else:
            began = time.monotonic()
            seconds = min(check.seconds * slower, left)
            said = run_apart(name, folder, tiny=settings.tiny, seconds=seconds)
            said["seconds"] = round(time.monotonic() - began, 1)
        found[name] = said
        print(line(name, said), flush=True)
    return found


def line(name: str, said: dict[str, Any]) -> str:
    """One line for the person."""
    figures = ", ".join(f"{key} {value}" for key, value in said["figures"].items())
    state = "FAILED" if said["failed"] else "skipped" if said["skipped"] else "ok"
    reason = "; ".join([*said["failed"], said["skipped"]])
    return f"{name:>20}  {state:7} {'; '.join(part for part in (reason, figures) if part)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a part; 1 if something failed."""
    settings, started = parse(arguments), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="on_gpu_") as temporary:
        folder = settings.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run_all(settings, folder)
    failed = {name: said["failed"] for name, said in found.items() if said["failed"]}
    card = found.get("card", {}).get("figures", {})
    told = {name: card.get(name) for name in ("card", "driver", "torch")}
    summary = {"benchmark": "on_gpu", "part": settings.part, "tiny": settings.tiny, **told}
    summary |= {"seconds": round(time.monotonic() - started), "failed": failed, "checks": found}
    print(json.dumps(summary))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
