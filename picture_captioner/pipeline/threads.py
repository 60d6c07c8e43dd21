"""The threads of a run: an error in one stops all, a signal lets them finish for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from picture_captioner.errors import BackendUnavailableError


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


GRACE_SECONDS = 10.0
"""How long what is under way may take to finish after the run was asked to stop."""


class ThreadGroup:
    """Starts threads and waits for them.

    Args:
        stop: told when a thread raises, or when `interrupted` says so.
        interrupted: asked ten times a second while waiting.
    """

    def __init__(self, stop: Stop, interrupted: Callable[[], bool], grace_seconds: float) -> None:
        self._stop = stop
        self._interrupted = interrupted
        self._grace_seconds = grace_seconds

    def start(self, body: Callable[[], None], count: int) -> list[threading.Thread]:
        """Run `body` in so many threads; where the machine has no room for one, all are stopped."""

        def guarded() -> None:
            try:
                body()
            except BaseException as error:  # noqa: BLE001 - told in the main thread
                self._stop.fail(error)

        threads: list[threading.Thread] = []
        try:
            for _ in range(count):
                thread = threading.Thread(target=guarded, daemon=True)
                thread.start()
                threads.append(thread)
        except RuntimeError as error:
            self._stop.fail(_too_many(len(threads), count, error))
        return threads

    def wait(self, threads: Sequence[threading.Thread]) -> bool:
        """Join the threads in short steps, so that signals are handled in between.

        Returns False when the run was stopped and they did not end within the grace period.
        """
        deadline: float | None = None
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
                if not self._stop.requested and self._interrupted():
                    self._stop.request()
                if self._stop.requested:
                    deadline = deadline or time.monotonic() + self._grace_seconds
                    if time.monotonic() > deadline:
                        return False
        return True


def _too_many(started: int, wanted: int, error: RuntimeError) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"only {started} of {wanted} threads could be started ({error}): is the machine out of "
        "memory or processes (ulimit -u)? Fewer --max-workers and --decode-workers need less"
    )
