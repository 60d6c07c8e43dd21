"""How many photos go to the device at a time: found by trying, halved when memory runs out."""

from __future__ import annotations

import threading

FINE_ENOUGH = 8
"""The search ends when the largest batch that fits is known to an eighth."""


class BatchSize:
    """A number of photos that fits into the memory of the device. Thread-safe.

    With `start` below `limit` it looks for the largest: it doubles while batches fit, and after one
    that did not fit goes halfway up to that one. What did not fit is remembered: as many photos are
    not tried again.
    """

    def __init__(self, start: int, limit: int) -> None:
        self._size = start
        self._limit = limit
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
            self._limit = photos - 1
            self._size = min(self._size, photos // 2)
            return True
