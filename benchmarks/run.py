"""All benchmarks, each in a process of its own, and docs/performance.md from what they say.

    python -m benchmarks.run                     all of them, in about 40 minutes; writes the page
    python -m benchmarks.run growth starting     these; the page keeps what it had of the others
    python -m benchmarks.run --quick             do they run and agree; no figures, no page

What they said is kept in `.benchmarks.json` beside the checkout's other caches, so that one that
failed can be repeated without the others. For figures, leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import this_machine
from benchmarks.page import performance_page

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "performance.md"
KEPT = FOLDER.parent / ".benchmarks.json"
APART = "\n## Measured apart\n"
"""What stands below it on the page was written by hand, and stays."""
LAST_WORDS = 2000
"""Characters that are shown of what a failed benchmark said."""


def names() -> list[str]:
    """Every script in this folder that can be run by itself, but this one."""
    scripts = (path for path in FOLDER.glob("*.py") if path.name != Path(__file__).name)
    return sorted(p.stem for p in scripts if '\nif __name__ == "__main__":' in p.read_text("utf-8"))


class BenchmarkError(Exception):
    """A benchmark failed, or ended without its JSON line."""


def run_one(name: str, *, quick: bool) -> dict[str, Any]:
    """What a benchmark's last line says; its table is passed on.

    Raises:
        BenchmarkError: with the last of what it said.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)  # noqa: S603
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise BenchmarkError(f"{name} ended with {done.returncode}:\n{done.stderr[-LAST_WORDS:]}")
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except json.JSONDecodeError as error:
        raise BenchmarkError(f"{name} did not end with a line of JSON: {lines[-1]}") from error
    print("\n".join(lines[:-1]), flush=True)
    return found


def run_all(chosen: Sequence[str], *, quick: bool) -> tuple[dict[str, Any], list[str]]:
    """What each said, by name, and the names of those that failed."""
    found: dict[str, Any] = {}
    failed = []
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name}", flush=True)
        started = time.monotonic()
        try:
            found[name] = run_one(name, quick=quick)
        except BenchmarkError as error:
            failed.append(name)
            print(error, flush=True)
        else:
            print(f"{_in_short(found[name])} ({time.monotonic() - started:.0f} s)\n", flush=True)
    return found, failed


def _in_short(found: dict[str, Any]) -> str:
    if found.get("skipped"):
        return f"skipped: {found['skipped']}"
    return f"{'met' if found['met'] else 'NOT met'}: {found['reached']} (aim: {found['aim']})"


def main() -> None:
    """Run them, and write the page; exits with 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="do they run and agree; no page")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(names())):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    found, failed = run_all(given.names or names(), quick=given.quick)
    if not given.quick:
        _write_page(found, keep_others=bool(given.names or failed))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; repeat with: benchmarks.run NAME ...")


def _write_page(found: dict[str, Any], *, keep_others: bool) -> None:
    kept = json.loads(KEPT.read_text("utf-8")) if keep_others and KEPT.exists() else {}
    kept |= found
    KEPT.write_text(json.dumps(kept, indent=1), "utf-8")
    findings = [kept[name] for name in names() if name in kept]
    page = performance_page("python -m benchmarks.run", this_machine(), findings)
    _, apart, by_hand = PAGE.read_text("utf-8").partition(APART)
    PAGE.write_text(page + apart + by_hand, "utf-8")
    print(f"wrote {PAGE.relative_to(FOLDER.parent)}")


if __name__ == "__main__":
    main()
