"""Opens photos for decoders, which may open nothing; gives up on a disk that does not answer."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from picture_captioner.errors import CaptionerError
from picture_captioner.image_loader import open_descriptor


class Opener:
    """A thread that opens files for another one; it is left behind where it hangs.

    Opening a file on a dead network disk never ends. A thread of its own for each file would cost
    a tenth of what a small photo costs the parent.
    """

    def __init__(self) -> None:
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
            ways = (self._asked, self._opened)
            threading.Thread(target=_serve, args=ways, daemon=True, name="opener").start()
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
    asked: queue.SimpleQueue[Path | None], opened: queue.SimpleQueue[int | CaptionerError]
) -> None:
    while (path := asked.get()) is not None:
        try:
            opened.put(open_descriptor(path))
        except CaptionerError as error:
            opened.put(error)
