"""One memory budget for all decoders of this process.

A PNG of 348 kB takes 1.9 GB to decode, and there may be sixteen decoders. What a picture takes is
known from its header; one that takes much waits until the others leave room for it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of a container, by cgroups 2 and 1."""


class MemoryBudget:
    """Bytes that are lent to decoders and come back. Thread-safe."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    def take(self, needed: int) -> int:
        """Wait until there is room, then take it; how much was taken, at most all there is.

        Who needs more than there is at all goes alone: the limit for one photo is somebody
        else's business (`image_loader.decode_errors`).
        """
        taken = min(needed, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        return taken

    def give_back(self, taken: int) -> None:
        """Let others have what was taken."""
        if taken:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


def machine_memory() -> int:
    """Bytes of memory that this machine, or the container that this process is in, has."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in _LIMIT_FILES:
        try:
            found = min(found, int(Path(name).read_text("ascii")))
        except (OSError, ValueError):  # not in a container, or "max"
            continue
    return found


BUDGET = MemoryBudget(machine_memory() // 2)
"""Half of all: the other half is for the model, the parent and whatever else runs."""
