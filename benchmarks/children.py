"""What processes took that were not waited for: decoder processes, and orphans of others."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def workers() -> tuple[float, float]:
    """Processor seconds and peak memory in MB of the worker processes that are alive (Linux)."""
    if sys.platform != "linux":
        return 0.0, 0.0
    folders = [Path(f"/proc/{child.pid}") for child in multiprocessing.active_children()]
    return sum(map(_processor, folders)), sum(map(_peak_mb, folders))


def _processor(folder: Path) -> float:
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(folder: Path) -> float:
    lines = (folder / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def adopt_orphans() -> None:
    """Processes whose parent ends become this one's, so that `reap` can count them (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap() -> None:
    """Wait for all children; what they took is in RUSAGE_CHILDREN afterwards."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return
