"""A process that has the journal imported and forks a child for each job.

Starting python takes 200 ms, forking it 2 ms: that makes ten thousand deaths affordable. Each line
on stdin is a list of jobs whose children begin together; the answer on stdout lists what they said
and how they ended. `strace` options are applied before a child's first step.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.journal import writer

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60
"""Seconds after which a child that hangs is ended by SIGALRM, which its status then shows."""


@dataclass
class Job:
    """A work of tests/journal/writer.py, killed that many seconds after it began or first spoke."""

    work: list[str]
    kill_after: float | None = None
    once_heard: bool = False
    strace: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """`status` is the exit status, or the negative number of the signal that ended it."""

    said: list[str]
    status: int

    @property
    def saved(self) -> list[str]:
        """The paths whose records it was told are safe."""
        return [s.removeprefix("saved ") for s in self.said if s.startswith("saved ")]

    @property
    def errors(self) -> list[str]:
        """What it was told went wrong, of single records and of the whole."""
        return [s for s in self.said if s.startswith(("failed ", "error "))]


class Nursery:
    """The process as seen by a test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.nursery"],
            cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *work: object, **how: Any) -> Outcome:
        """One child to its end; `how` as `Job` has it."""
        return self.race(Job([str(w) for w in work], **how))[0]

    def race(self, *jobs: Job) -> list[Outcome]:
        """Several that begin at the same time, to their ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(job) for job in jobs]) + "\n")
        self._process.stdin.flush()
        return [Outcome(**outcome) for outcome in json.loads(self._process.stdout.readline())]

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=PATIENCE)


# -- inside that process ---------------------------------------------------------------------------


def attend(jobs: list[Job], directory: Path) -> list[Outcome]:
    start, begin = os.pipe()
    heard = [directory / str(number) for number in range(len(jobs))]
    for said in heard:
        said.write_bytes(b"")
    children = [fork(job, said, start, begin) for job, said in zip(jobs, heard, strict=True)]
    tracers = [
        trace(pid, job.strace) for pid, job in zip(children, jobs, strict=True) if job.strace
    ]
    os.close(begin)
    kill_in_time(jobs, children, heard)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for tracer in tracers:
        tracer.communicate(timeout=PATIENCE)
    os.close(start)
    return [
        Outcome(said.read_text().splitlines(), status)
        for said, status in zip(heard, statuses, strict=True)
    ]


def fork(job: Job, said: Path, start: int, begin: int) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        signal.alarm(PATIENCE)
        os.close(begin)
        # A file keeps what a killed process said, and never makes it wait as a full pipe would.
        os.dup2(os.open(said, os.O_WRONLY | os.O_APPEND), 1)
        if job.strace and sys.platform == "linux":  # Yama lets only ancestors trace, unless told so
            ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1 % 2**64))
        os.read(start, 1)  # ends when the other side is closed, for all at once
        writer.work(*job.work)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)  # whatever happened: a child must not go on as its parent would


def trace(pid: int, options: list[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    assert "attached" in (line := tracer.stderr.readline()), line
    return tracer


def kill_in_time(jobs: list[Job], children: list[int], heard: list[Path]) -> None:
    for job, pid, said in zip(jobs, children, heard, strict=True):
        if job.kill_after is None:
            continue
        deadline = time.monotonic() + PATIENCE
        while job.once_heard and not said.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(job.kill_after)
        os.kill(pid, signal.SIGKILL)  # it is not waited for yet, so the number is still its own


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        while line := sys.stdin.readline():
            jobs = [Job(**job) for job in json.loads(line)]
            outcomes = attend(jobs, Path(directory))
            sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
