"""How many requests are under way at a time, and when none may be sent."""

from __future__ import annotations

import threading
import time


class Pace:
    """A gate around requests; a context manager that gives the time at which it let one through.

    It starts with one request and allows one more with every success: a service that is down or
    refuses the key meets one request, not hundreds, and a good one has all workers busy after a
    few round trips. A failure halves what is allowed; from there on it grows by one for each round
    of successes (additive increase, multiplicative decrease, as TCP does; Chiu and Jain 1989).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._allowed = 1.0
        self._slow_start_until = float(limit)
        self._active = 0
        self._held_until = 0.0
        self._halved_at = 0.0
        self._stopped = False
        self._changed = threading.Condition()

    def __enter__(self) -> float:
        with self._changed:
            while not self._stopped:
                held = self._held_until - time.monotonic()
                if held <= 0 and self._active < int(self._allowed):
                    break
                self._changed.wait(held if held > 0 else None)
            self._active += 1
            return time.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._active -= 1
            self._changed.notify()

    def succeeded(self) -> None:
        """A request was answered: more may be under way."""
        with self._changed:
            step = 1.0 if self._allowed < self._slow_start_until else 1.0 / self._allowed
            self._allowed = min(self._allowed + step, float(self._limit))
            self._changed.notify(2)

    def failed(self, let_through: float) -> None:
        """A request that was let through at this time met an overloaded or dead service.

        Requests that were under way together say the same thing: they halve once.
        """
        with self._changed:
            if let_through >= self._halved_at:
                self._allowed = max(self._allowed / 2, 1.0)
                self._slow_start_until = self._allowed
                self._halved_at = time.monotonic()

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long, whoever's request it was that brought this about."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def stop(self) -> None:
        """Let everybody who waits through, so that they see that the run stops."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
