"""How many photos go to the device at a time: found by trying, halved when memory runs out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FORGET_SECONDS = 300.0
"""After so long without a failure as many as ever are tried again: the squeeze may be over."""

FINE_ENOUGH = 8
"""The search ends when the largest batch that fits is known to an eighth."""


class BatchSize:
    """A number of photos that fits into the memory of the device. Thread-safe.

    With `start` below `limit` it looks for the largest: it doubles while batches fit, and after one
    that did not fit goes halfway up to that one. What did not fit is remembered: as many photos are
    not tried again for five minutes, by when another program may have left the card.
    """

    def __init__(self, start: int, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed_at = 0.0
        self._size = start
        self._limit = self._most = limit
        self._searches = start < limit
        self._overran = False
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many to take next."""
        return self._size

    @property
    def limit(self) -> int:
        """The largest that is not known to be too large."""
        return self._limit

    def fitted(self, photos: int) -> None:
        """So many went through: after a full batch, more may be tried."""
        with self._lock:
            if self._overran and self._clock() - self._failed_at >= FORGET_SECONDS:
                self._limit, self._failed_at = self._most, self._clock()
                self._size = min(max(self._size, 2 * photos), self._limit)
                return
            room = self._limit - photos
            if not self._searches or photos < self._size or room <= 0:
                return
            if not self._overran:
                self._size = min(2 * photos, self._limit)
            elif room > self._limit // FINE_ENOUGH:
                self._size = photos + (room + 1) // 2

    def failed(self, photos: int) -> bool:
        """So many did not fit; returns whether that is news."""
        with self._lock:
            if not 1 < photos <= self._limit:
                return False
            self._overran = True
            self._failed_at = self._clock()
            self._limit = photos - 1
            self._size = min(self._size, photos // 2)
            return True
