"""Hundreds of workers at one library, a third of them killed: is all done, and what was lost.

    python -m benchmarks.killed_workers [--workers 500] [--at-once 60] [--photos 44000] [--quick]

Processes of `work` come and go: each ends after some photos, a third by SIGKILL, the others by
SIGINT, and another takes its place until so many were started; the last ones do what is left. The
backend answers at once. The server is the one of the tests, without fsync, and logs how long each
statement took. Tiny photos, so that the claims are what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.finding import Finding
from benchmarks.tiny_photos import draw_tiny_photos
from picture_captioner.settings import ServerAddress
from tests.server import Server
from tests.support import command, environment, install_plugin

IN_FLIGHT = 48
"""Photos that a worker holds ready, asks about, or has not told the server of yet, at most."""

_CLAIM = re.compile(rb"duration: ([\d.]+) ms  execute [^:]*: WITH free AS")


@dataclass
class Worker:
    """A process, what it says, and after how many lines of its journal it ends, and how."""

    process: subprocess.Popen[bytes]
    output: Path
    journal: Path
    lines: int
    how: signal.Signals

    def written(self) -> int:
        """How many photos it has done."""
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0


class Crowd:
    """Starts workers, ends them, and starts others, until all photos are done."""

    def __init__(self, folder: Path, address: ServerAddress, lines: int, lease: int) -> None:
        self._folder, self._address = folder, address
        self._lines, self._lease = lines, lease
        self._random = random.Random(1)  # noqa: S311 - no secret
        self._plugin = install_plugin(folder / "plugin")
        self.started = self.killed = 0
        self.codes: Counter[int] = Counter()

    def run(self, workers: int, at_once: int, ceiling: int) -> None:
        """All of it."""
        live: list[Worker] = []
        while self.started < workers or live:
            while len(live) < at_once and self.started < workers:
                live.append(self._start(ceiling))
            for worker in live:
                if self.started < workers and worker.written() >= worker.lines:
                    self.killed += worker.how is signal.SIGKILL and worker.process.poll() is None
                    worker.process.send_signal(worker.how)
                    worker.lines = sys.maxsize  # a second SIGINT would cut off what is under way
            ended = [worker for worker in live if worker.process.poll() is not None]
            self.codes.update(worker.process.returncode for worker in ended)
            for worker in ended:
                if worker.process.returncode not in {0, -signal.SIGKILL, 128 + signal.SIGINT}:
                    print(worker.output.read_text(), file=sys.stderr)
            live = [worker for worker in live if worker not in ended]
            time.sleep(0.2)

    def _start(self, ceiling: int) -> Worker:
        name, self.started = f"w{self.started}", self.started + 1
        words = [
            "work", "--backend=service", f"--option=log={self._folder / name}.requests",
            f"--photos-dir={self._folder / 'photos'}", f"--captions-jsonl={name}.jsonl",
            f"--collection={self._address.collection}", f"--lease={self._lease}",
            f"--max-requests={ceiling}", "--decode-workers=1", "--no-library", "--patience=300",
        ]  # fmt: skip
        said = self._folder / f"{name}.output"
        with said.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this program
                command(*words),
                cwd=self._folder,
                env=environment(PYTHONPATH=self._plugin, CAPTION_LIBRARY=self._address.url),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # a session would have a share of its own, whatever nice says
            )
        how = signal.SIGKILL if self._random.random() < 1 / 3 else signal.SIGINT
        lines = self._random.randint(1, self._lines)
        return Worker(process, said, self._folder / f"{name}.jsonl", lines, how)


def measure(
    folder: Path, workers: int, at_once: int, photos: int, lease: int = 60
) -> dict[str, Any]:
    """What became of the photos, and what it took."""
    draw_tiny_photos(folder / "photos", photos)
    server = Server(
        max_connections=8 * at_once + 20,
        log_min_messages="log",
        log_min_duration_statement=0,
        log_parameter_max_length=0,  # each start sends the hashes of all photos
    )
    try:
        address = server.new_collection()
        crowd = Crowd(folder, address, max(1, 3 * photos // (2 * workers)), lease)
        begun = time.perf_counter()
        crowd.run(workers, at_once, 2 * photos)
        seconds = time.perf_counter() - begun
        cpu = server.cpu_seconds()
        schema = address.collection
        done, deaths = server.sql(f"SELECT count(done_at), max(deaths) FROM {schema}.claims")[0]  # noqa: S608
        claims = sorted(_milliseconds(server.folder / "log"))
    finally:
        server.close()
    paths = {path for journal in folder.glob("*.jsonl") for path in _captioned(journal)}
    asked = sum(log.read_bytes().count(b"\n") for log in folder.glob("*.requests"))
    return {
        "started": crowd.started,
        "killed": crowd.killed,
        "photos done": len(paths),
        "claims done": done,
        "asked again": asked - photos,
        "most deaths": deaths,
        "seconds": round(seconds),
        "photos/s": round(photos / seconds, 1),
        "claims": len(claims),
        "p50 ms": claims[len(claims) // 2],
        "p95 ms": claims[int(len(claims) * 0.95)],
        "database CPU s": round(cpu),
        "ended with": " ".join(f"{code}:{n}" for code, n in sorted(crowd.codes.items())),
    }


def _milliseconds(log: Path) -> Iterator[float]:
    """How long the server worked at each claim."""
    with log.open("rb") as lines:
        for line in lines:
            if found := _CLAIM.search(line):
                yield float(found[1])


def _captioned(journal: Path) -> Iterator[str]:
    for line in journal.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # the last one of a process that was killed
            continue
        if record["status"] == "success":
            yield record["rel_path"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=60)
    parser.add_argument("--photos", type=int, default=44_000)
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    asked = parser.parse_args()
    workers, at_once, photos = asked.workers, asked.at_once, asked.photos
    if asked.quick:
        workers, at_once, photos = 5, 2, 60
    lease = 2 if asked.quick else 60
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # behind `&` workers would ignore it
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), workers, at_once, photos, lease)
    Finding(
        benchmark="killed_workers",
        stage=f"{photos:,} photos, {workers} workers, {at_once} at a time, a third of them killed",
        contender="none: how many photos have to be asked about twice",
        aim="every photo done; asked again at most what a killed worker had in flight",
        reached=f"{row['asked again']} asked again for {row['killed']} killed, "
        f"{row['photos/s']} photos/s",
        met=row["photos done"] == row["claims done"] == photos
        and row["asked again"] <= IN_FLIGHT * row["killed"],
        limit="The start of the processes: each one imports the program and looks at all photos.",
        rows=[row],
    ).tell()


if __name__ == "__main__":
    main()
