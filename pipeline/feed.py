"""Hands photos out to the decoders until every one of them is settled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.walk import Photo


@dataclass(eq=False, slots=True)
class Item:
    """A photo under way. `alone` marks the second try of one whose decoder died.

    `on_trial` marks one that the backend gets with nothing else under way (deaths.py).
    """

    photo: Photo
    alone: bool = False
    on_trial: bool = False


class Feed:
    """A source of items that others can put items back into. Thread-safe.

    First come items that were put back, then the pending photos; suspects, whose decoder died or
    overran, or with which the whole process died (`on_trial`), come last and one at a time, with
    nothing else under way: only then is it certain that the file was to blame.
    `next` waits while an item under way may still come back, and returns None when all are settled
    or `stop` was called.
    """

    def __init__(self, photos: Iterable[Photo], on_trial: Iterable[Photo] = ()) -> None:
        self._source = iter(photos)
        self._exhausted = False
        self._again: deque[Item] = deque()
        self._suspects = deque(Item(photo, on_trial=True) for photo in on_trial)
        self._under_way = 0
        self._stopped = False
        self._changed = threading.Condition()

    def next(self) -> Item | None:
        """The next item; it must be settled, put back or suspected later."""
        with self._changed:
            while not self._stopped:
                if (item := self._take()) is not None:
                    self._under_way += 1
                    return item
                if self._under_way == 0 and not self._suspects:
                    return None
                self._changed.wait()
            return None

    def _take(self) -> Item | None:
        if self._again:
            return self._again.popleft()
        if not self._exhausted:
            photo = next(self._source, None)
            if photo is not None:
                return Item(photo)
            self._exhausted = True
        if self._suspects and self._under_way == 0:
            return self._suspects.popleft()
        return None

    def settle(self) -> None:
        """One item is done with."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def put_back(self, items: Iterable[Item]) -> None:
        """Hand these items, which are under way, out again."""
        with self._changed:
            for item in items:
                self._under_way -= 1
                self._again.append(item)
            self._changed.notify_all()

    def suspect(self, item: Item) -> None:
        """Try this item, which is under way, once more at the end, alone."""
        item.alone = True
        self._put_last(item)

    def put_on_trial(self, item: Item) -> None:
        """Let the backend have this item, which is under way, at the end, alone."""
        item.on_trial = True
        self._put_last(item)

    def _put_last(self, item: Item) -> None:
        with self._changed:
            self._under_way -= 1
            self._suspects.append(item)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
