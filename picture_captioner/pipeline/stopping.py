"""Ending a run early: asked for by a signal, or because going on makes no sense."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stop:
    """Set once; whoever waits is woken by the callbacks registered with `on_stop`. Thread-safe."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self.error: BaseException | None = None

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call this when the run is to stop."""
        self._callbacks.append(callback)

    def request(self) -> None:
        """Start nothing new; what is under way may finish."""
        self._event.set()
        for callback in self._callbacks:
            callback()

    def fail(self, error: BaseException) -> None:
        """Stop because of this error; the first one is the one that is told."""
        if self.error is None:
            self.error = error
        self.request()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the run is to stop."""
        self._event.wait(seconds)

    @property
    def requested(self) -> bool:
        """Whether the run is being stopped."""
        return self._event.is_set()
