"""How many processors a contender may use."""

from __future__ import annotations

import os


def use_cores(count: int) -> None:
    """Stay on so many of this process's processors, children included (where Linux lets us)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
