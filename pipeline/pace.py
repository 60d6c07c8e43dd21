"""How many requests are under way at a time."""

from __future__ import annotations

import threading


class Pace:
    """A gate that lets one request through, and one more with every success, up to a limit.

    A service that is down or refuses the key thus meets one request, not hundreds; a good one
    has all of its workers busy after a few round trips. Use as a context manager around a request.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._allowed = 1
        self._active = 0
        self._stopped = False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._active < self._allowed)
            self._active += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._active -= 1
            self._changed.notify()

    def succeeded(self) -> None:
        """A request was answered: one more may be under way."""
        with self._changed:
            if self._allowed < self._limit:
                self._allowed += 1
                self._changed.notify()

    def stop(self) -> None:
        """Let everybody who waits through, so that they see that the run stops."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
