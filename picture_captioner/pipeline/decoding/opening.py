"""What decoders are given: photos opened for them, who may open nothing, and room in memory.

A disk that does not answer, or went away, is given up on.

The walk does not follow links out of the photos directory. Whatever takes a photo's or a folder's
place afterwards is found out here: by the path that the open descriptor really has.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from picture_captioner.errors import (
    CaptionerError,
    NoPhotosError,
    UnreadableFileError,
)
from picture_captioner.image_loader.reading import open_descriptor
from picture_captioner.pipeline.selecting.photos_root import FileId, ensure_present, root_id

_F_GETPATH = 50
"""fcntl(2) on macOS: the path of an open file, in a buffer of MAXPATHLEN bytes."""


class Opener:
    """A thread that opens files for another one; it is left behind where it hangs.

    Opening a file on a dead network disk never ends. A thread of its own for each file would cost
    a tenth of what a small photo costs the parent.

    Args:
        within: the directory whose files are opened, and no others; None: all are.
    """

    def __init__(self, within: Path | None) -> None:
        self._within = f"{within.resolve()}/" if within is not None else None
        self._asked: queue.SimpleQueue[Path | None] | None = None
        self._opened: queue.SimpleQueue[int | CaptionerError] = queue.SimpleQueue()

    @contextmanager
    def opened(
        self, path: Path, seconds: float, overdue: Callable[[], CaptionerError]
    ) -> Iterator[int]:
        """A descriptor of the file; what `overdue` makes is raised if there is none in time.

        Raises:
            UnreadableFileError: gone, forbidden, or a disk error.
        """
        descriptor = self._open(path, seconds, overdue)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End the thread."""
        if self._asked is not None:
            self._asked.put(None)
            self._asked = None

    def _open(self, path: Path, seconds: float, overdue: Callable[[], CaptionerError]) -> int:
        if self._asked is None:
            self._asked, self._opened = queue.SimpleQueue(), queue.SimpleQueue()
            given = (self._asked, self._opened, self._within)
            threading.Thread(target=_serve, args=given, daemon=True, name="opener").start()
        self._asked.put(path)
        try:
            found = self._opened.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise overdue() from None
        if isinstance(found, CaptionerError):
            raise found
        return found


def _serve(
    asked: queue.SimpleQueue[Path | None],
    opened: queue.SimpleQueue[int | CaptionerError],
    within: str | None,
) -> None:
    while (path := asked.get()) is not None:
        try:
            opened.put(_open_within(path, within))
        except CaptionerError as error:
            opened.put(error)


def _open_within(path: Path, within: str | None) -> int:
    descriptor = open_descriptor(path)
    if within is None or _real_path(descriptor, path).startswith(within):
        return descriptor
    os.close(descriptor)
    raise UnreadableFileError(
        "a link leads out of the photos directory here, which was none when the photo was found; "
        "it was not read"
    )


def _real_path(descriptor: int, path: Path) -> str:
    """Where the open file lies, whatever its path leads to by now; "" if nobody can say."""
    try:
        if sys.platform == "darwin":
            name = fcntl.fcntl(descriptor, _F_GETPATH, bytes(1024))
            return os.fsdecode(name.split(b"\0", 1)[0])
        # Not by a Path: its four objects take as long as the rest of opening a small photo.
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:  # no /proc
        real = path.resolve()
        try:
            return str(real) if os.path.samestat(real.stat(), os.fstat(descriptor)) else ""
        except OSError:
            return ""


_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of a container, by cgroups 2 and 1."""


class MemoryBudget:
    """Bytes that are lent to the decoders of this process and come back. Thread-safe.

    A PNG of 348 kB takes 1.9 GB to decode, and there may be sixteen decoders. What a picture takes
    is known from its header; one that takes much waits until the others leave room for it.
    """

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


MAX_UNREADABLE_IN_A_ROW = 20


class DiskWatch:
    """Tells a photo that cannot be read from a disk that went away. Thread-safe.

    It counts photos that could not be read, one after the other.

    `root` is the directory in which the photos were found; without it the one that is there now.
    """

    def __init__(self, photos_dir: Path, root: FileId | None = None) -> None:
        self._photos_dir = photos_dir
        self._root = root or root_id(photos_dir)
        self._unreadable_in_a_row = 0
        self._lock = threading.Lock()

    def readable(self) -> None:
        """A photo was read."""
        self._unreadable_in_a_row = 0

    def unreadable(self) -> None:
        """A photo could not be read. An unmounted disk leaves an empty directory.

        Raises:
            NoPhotosError: the photos went away, or 20 in a row could not be read.
        """
        with self._lock:
            self._unreadable_in_a_row += 1
            in_a_row = self._unreadable_in_a_row
        ensure_present(self._photos_dir, self._root)
        if not _has_entries(self._photos_dir):
            raise NoPhotosError(
                f"the photos directory {self._photos_dir} is empty now: is the disk still "
                "mounted? No photo was marked as broken; run the same command again"
            )
        if in_a_row >= MAX_UNREADABLE_IN_A_ROW:
            raise NoPhotosError(
                f"{in_a_row} photos in a row could not be read below {self._photos_dir}: check "
                "the disk and its permissions. None was marked as broken; then run again"
            )


def _has_entries(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
