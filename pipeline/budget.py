"""Ceilings on what a journal may cost, in dollars and in requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from errors import CeilingReachedError
from journal import JournalIndex


@dataclass(frozen=True)
class Ceilings:
    """The most that all runs of a journal together may spend; None is no ceiling.

    `max_photo_cost` is for a single photo (runaway.py).
    """

    max_cost: float | None = None
    max_requests: int | None = None
    max_photo_cost: float | None = None


class Budget:
    """Asked before every request. Thread-safe.

    The journal counts superseded lines and billed failures, and compacting keeps the sums, so a
    ceiling holds over restarts. Requests of this run count when they are sent, their cost when it
    is known: cost overshoots by no more than what is under way.
    """

    def __init__(self, ceilings: Ceilings, index: JournalIndex) -> None:
        self._ceilings = ceilings
        self._index = index
        self._requests = index.requests
        self._lock = threading.Lock()

    @property
    def max_photo_cost(self) -> float | None:
        """US dollars that a single photo may bill; None: by its estimate."""
        return self._ceilings.max_photo_cost

    def take_request(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            CeilingReachedError: it may not be.
        """
        cost, most = self._index.cost_usd, self._ceilings.max_cost
        if most is not None and cost >= most:
            raise CeilingReachedError(
                f"stopped at --max-cost {most:g}: this journal has cost {cost:.4f} USD. Raise the "
                "ceiling and run the same command again to go on"
            )
        with self._lock:
            limit = self._ceilings.max_requests
            if limit is not None and self._requests >= limit:
                raise CeilingReachedError(
                    f"stopped at --max-requests {limit}: this journal has taken {self._requests}. "
                    "Raise the ceiling and run the same command again to go on"
                )
            self._requests += 1
