"""Runs with `--engine ray`, and a look at the processes that they are made of."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support import records, start

SECONDS = 120
"""For Ray to start: 8 s on idle cores, much more beside other tests."""

RAY = ("gcs_server", "raylet", "ray::Node", "picture_captioner.workers.child")
"""What must be gone with a run; Ray's agents take up to a minute to notice."""


def start_run(cwd: Path, plugin: str, *flags: object, **env: str) -> subprocess.Popen[bytes]:
    """A run on `photos` with the backend that may die, in a process group of its own."""
    words = ("--photos-dir=photos", "--backend=driver", "--engine=ray", "--no-library", *flags)
    return start("run", *words, cwd=cwd, PYTHONPATH=plugin, **env)


def wait_until(happened: Callable[[], object], run: subprocess.Popen[bytes], cwd: Path) -> None:
    """Wait while the run goes on."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert run.poll() is None and time.monotonic() < deadline, said(cwd)
        time.sleep(0.05)


def wait_for_records(cwd: Path, run: subprocess.Popen[bytes], number: int) -> None:
    """Wait until so many photos are acknowledged."""
    wait_until(lambda: written(cwd) >= number, run, cwd)


def written(cwd: Path) -> int:
    """How many lines the journal has."""
    journal = cwd / "captions.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def processes(run: subprocess.Popen[bytes], word: str) -> list[psutil.Process]:
    """The run's descendants that have this word in their command."""
    found = []
    for process in psutil.Process(run.pid).children(recursive=True):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def descendants(run: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What must not outlive the run."""
    return [process for word in RAY for process in processes(run, word)]


def gone(found: list[psutil.Process], seconds: float) -> bool:
    """Whether all of them end within so long."""
    return not psutil.wait_procs(found, seconds)[1]


def said(cwd: Path) -> str:
    """What the runs in this folder said."""
    return (cwd / "output.txt").read_text("utf-8", "replace")


def asked(log: Path) -> int:
    """How often the model was asked about a photo."""
    return log.read_text().count("\n") if log.exists() else 0


def captioned_once(cwd: Path) -> dict[str, dict]:
    """The records by path; none has two."""
    found = records(cwd / "captions.jsonl")
    by_path = {record["rel_path"]: record for record in found}
    assert len(by_path) == len(found)
    return by_path
