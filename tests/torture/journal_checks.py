"""What the journal's fault tests agree on: nothing acknowledged is lost, nothing is glued."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from picture_captioner.journal.reading import read_index
from tests.journal.support import append, photo

DAMAGE = b"damage"
"""A damaged line that a test put there itself."""


def losses_after(path: Path, acknowledged: Iterable[str]) -> list[str]:
    """Let the next run open the journal and append; what it finds lost, glued or damaged."""
    append(path, photo("next.jpg"))
    index = read_index(path)
    lines = path.read_bytes().split(b"\n")
    lost = [f"{name} is lost" for name in {*acknowledged, "next.jpg"} - set(index.entries)]
    lost += [str(damage) for damage in index.damage if lines[damage.line - 1] != DAMAGE]
    return lost + [str(index.torn)] * bool(index.torn)


CALLS = (
    "openat", "read", "pread64", "write", "pwrite64", "ftruncate", "fdatasync", "fsync",
    "rename", "unlink", "flock", "fchmod",
)  # fmt: skip
FAULTS = ("error=EIO", "error=ENOSPC", "error=EDQUOT", "signal=KILL:error=EIO")
"""A signal comes after its call, so the call itself must not take place."""


def files_of(journal: Path) -> list[Path]:
    """Every file that work on a journal touches."""
    broken, lock = (journal.with_name(journal.name + end) for end in (".broken", ".lock"))
    return [journal, broken, lock, journal.with_name(f".{journal.name}.new"), journal.parent]


def traced(journal: Path, log: Path, calls: str, *faults: str) -> list[str]:
    """strace options: only calls on these files are seen and counted."""
    only = [option for path in files_of(journal) for option in ("-P", str(path))]
    inject = [option for fault in faults for option in ("-e", f"inject={fault}")]
    return ["-o", str(log), *only, "-e", f"trace={calls}", *inject]


SYNCS = {"fsync", "fdatasync", "sync_file_range", "sync", "syncfs", "msync"}
_CALL = re.compile(r"^(\d+) +(\w+)\((?:AT_FDCWD<[^>]*>, )?(?:\d+<(.*?)>|\"(.*?)\")?(.*)$", re.M)


class Trace:
    """What strace wrote: system calls, the file each one was about, and the injected ones."""

    def __init__(self, log: Path) -> None:
        self._found = _CALL.findall(log.read_text(errors="replace"))

    @property
    def calls(self) -> list[str]:
        """The names of the calls in order."""
        return [name for _, name, *_ in self._found]

    def most_in_a_thread(self, call: str) -> int:
        """strace counts by thread: so often the call can be made to fail in one of them."""
        return max(
            Counter(pid for pid, name, *_ in self._found if name == call).values(), default=0
        )

    @property
    def injected(self) -> int:
        """How many calls were made to fail."""
        return sum("(INJECTED)" in rest for *_, rest in self._found)

    def syncs_after_a_failed_one(self) -> list[str]:
        """Files that were synced again after a sync of them had failed."""
        failed: set[str] = set()
        again = []
        for _, name, opened, _, rest in self._found:
            if name in SYNCS and opened in failed:
                again.append(opened)
            if name in SYNCS and "= -1 " in rest:
                failed.add(opened)
        return again
