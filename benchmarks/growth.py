"""How a run's cost grows with the library: time and memory from 1,000 to a million photos.

    python -m benchmarks.growth [--up-to 1000000] [--quick]

Tiny photos, every one with other bytes, and a backend that answers at once: what is measured is
everything around the model. Then the whole command on a million photos that are done (empty files
of the same names, and their records) and twenty that are not: how long until the first caption is
on the disk. A million photos take a quarter of an hour and 4 GB of disk.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.contest import Contender, contest
from benchmarks.finding import Finding
from benchmarks.orchestration import run_pipeline
from benchmarks.starting import MOST_MEMORY_MB, write_journal
from benchmarks.tiny_photos import PER_FOLDER, draw_tiny_photos, tiny_name, touch_tiny_files
from picture_captioner.pipeline.selecting.walk import Photo

MILLION = 1_000_000
SIZES = (1000, 10_000, 100_000, MILLION)
PENDING = 20
LINEAR = 1.2
"""The last thousand photos may cost so many times what those of the size before did."""
MOST_SECONDS_TO_START = 10.0


def run_over(folder: Path, count: int) -> Contender:
    """A run in a process of its own, over the photos as a walk finds them."""

    def prepare() -> Callable[[], str]:
        photos = [_photo(folder, tiny_name(number)) for number in range(count)]
        return lambda: run_pipeline(folder, photos)

    return prepare


def _photo(folder: Path, name: str) -> Photo:
    status = os.stat(f"{folder}/{name}")  # noqa: PTH116 - a million Paths would be what is measured
    return Photo(name, status.st_size, status.st_mtime_ns)


def grown(folder: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each size; the photos of the smaller are among those of the larger."""
    found: list[dict[str, Any]] = []
    for before, size in itertools.pairwise((0, *sizes)):
        for first in range(before, size, PER_FOLDER):
            draw_tiny_photos(folder, min(PER_FOLDER, size - first), first)
        name = f"{size:,} photos"
        (sample,) = contest({name: run_over(folder, size)}, rounds=1, warm_ups=0)[name]
        found.append(_row(name, sample.seconds, sample.cpu, sample.peak_mb, size))
    return found


def _row(name: str, seconds: float, cpu: float, peak_mb: float, photos: int) -> dict[str, Any]:
    return {
        "what": name,
        "seconds": round(seconds, 2),
        "photos/s": round(photos / seconds, 1),
        "CPU ms each": round(cpu / photos * 1000, 3),
        "peak MB": round(peak_mb),
    }


def first_caption(work: Path, done: int) -> dict[str, Any]:
    """The command on a library that is done but for twenty photos, until one more is."""
    folder, journal = work / "library", work / "library.jsonl"
    touch_tiny_files(folder, done)
    draw_tiny_photos(folder, PENDING, first=done)
    write_journal(journal, done)
    before = journal.stat().st_size
    command = [sys.executable, str(ROOT / "caption.py"), "run", "--backend=mock"]
    command += [f"--photos-dir={folder}", f"--captions-jsonl={journal}"]
    with (work / "output.txt").open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - this program
            command, cwd=work, stdout=output, stderr=output
        )
        while journal.stat().st_size == before and not _ended(process):
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or journal.stat().st_size == before:
        raise RuntimeError((work / "output.txt").read_text(errors="replace"))
    cpu, unit = usage.ru_utime + usage.ru_stime, 1024 if sys.platform != "darwin" else 1
    name = f"first caption, {done:,} done"
    return _row(name, seconds, cpu, usage.ru_maxrss * unit / 1e6, done) | {"photos/s": ""}


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Without reaping it: that is how its memory is learned."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def marginal(rows: Sequence[dict[str, Any]], sizes: Sequence[int]) -> list[float]:
    """Seconds per thousand photos by which each size took longer than the one before."""
    seconds = [row["seconds"] for row in rows]
    return [
        (seconds[i] - seconds[i - 1]) / (sizes[i] - sizes[i - 1]) * 1000
        for i in range(1, len(sizes))
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--up-to", type=int, choices=SIZES[2:], default=MILLION, help="photos")
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    sizes: Sequence[int] = [size for size in SIZES if size <= given.up_to]
    sizes, done = ((10, 30, 60), 2000) if given.quick else (sizes, MILLION)
    with tempfile.TemporaryDirectory() as work:
        rows = grown(Path(work) / "photos", sizes)
    with tempfile.TemporaryDirectory() as work:
        rows.append(first_caption(Path(work), done))
    steps, start = marginal(rows, sizes), rows[-1]
    memory = max(row["peak MB"] for row in rows)
    Finding(
        benchmark="growth",
        stage=f"{sizes[0]:,} to {sizes[-1]:,} tiny photos, and {done:,} that are done",
        contender="itself at the smaller sizes",
        aim="linear; under 1.2 GB; first caption within 10 s after a million that are done",
        reached=(
            f"{steps[-2] * 1000:.0f} s, then {steps[-1] * 1000:.0f} s for a million more; at most "
            f"{memory:,} MB; first caption after {start['seconds']:.1f} s"
        ),
        met=steps[-1] <= LINEAR * steps[-2]
        and memory < MOST_MEMORY_MB
        and start["seconds"] <= MOST_SECONDS_TO_START,
        limit=(
            "For each photo the decoder's process and two changes of thread; before the first, "
            "reading a million records and looking at a million files."
        ),
        rows=rows,
    ).tell()


if __name__ == "__main__":
    main()
