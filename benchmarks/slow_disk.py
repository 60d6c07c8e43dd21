"""A disk that syncs as slowly as it is told, for all contenders alike.

Where a sync takes 0.1 ms, sharing one looks like little. On a hard disk or a network share it takes
2 to 20 ms, and consumer SSDs without a capacitor are not far from that.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

REAL = os.fdatasync
SLOW_SECONDS = 0.002


def slow_syncs(seconds: float) -> None:
    """From here on, in this process, a sync takes so much longer."""

    def slowed(descriptor: int) -> None:
        REAL(descriptor)
        time.sleep(seconds)

    os.fdatasync = slowed  # type: ignore[assignment]


def syncs_per_second(folder: Path, count: int = 400) -> float:
    """How often the disk below this folder takes 100 bytes for good."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
        started = time.perf_counter()
        for _ in range(count):
            stream.write(b"x" * 100)
            REAL(stream.fileno())
        return count / (time.perf_counter() - started)
