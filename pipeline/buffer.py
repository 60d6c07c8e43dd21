"""A bounded buffer between the decoders and the backend."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Buffer(Generic[T]):
    """A queue of at most `size` items that can be closed from either side. Thread-safe.

    Unlike `queue.Queue` it hands out batches, and closing it wakes everybody at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Add an item, waiting for room; False if the buffer was closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self, most: int, linger: float = 0.0) -> list[T]:
        """Wait for an item, then up to `linger` seconds for `most` of them; [] once closed."""
        with self._changed:
            self._gather(most, linger)
            while not self._items and not self._closed:  # another taker was faster
                self._gather(most, linger)
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._changed.notify_all()
            return taken

    def _gather(self, most: int, linger: float) -> None:
        self._changed.wait_for(lambda: self._closed or bool(self._items))
        if linger and most > 1:
            self._changed.wait_for(lambda: self._closed or len(self._items) >= most, timeout=linger)

    def close(self, *, discard: bool = False) -> None:
        """Take no more items; what is inside can still be taken unless it is discarded."""
        with self._changed:
            self._closed = True
            if discard:
                self._items.clear()
            self._changed.notify_all()
