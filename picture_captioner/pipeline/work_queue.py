"""Hands photos out until every one is settled, and buffers what is decoded until it is asked.

`WorkQueue` stands before the decoders, `Buffer` between them and the backend.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from PIL.Image import Image

from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.pipeline.selecting.walk import Photo


@dataclass(eq=False, slots=True)
class Item:
    """A photo under way. `alone` marks the second try of one whose decoder died."""

    photo: Photo
    alone: bool = False


class WorkQueue:
    """A source of items that others can put items back into. Thread-safe.

    First come items that were put back, then the pending photos, then those that were deferred
    because the service failed; suspects, whose decoder died or overran, come last and one at a
    time, with nothing else under way: only then is it certain that the file was to blame.
    `next` waits while an item under way may still come back, and returns None when all are settled
    or `stop` was called. A queue that is `fed` gets its photos by `add`, and ends after `end`.
    """

    def __init__(
        self,
        photos: Iterable[Photo],
        waited_for: Collection[str] = frozenset(),
        *,
        fed: bool = False,
    ) -> None:
        """`waited_for` are the paths of photos for which others may wait."""
        self._source = iter(photos)
        self._added: deque[Photo] = deque()
        self._fed = fed
        self._waited_for = waited_for
        self._waiting: dict[str, list[Item]] = {}
        self._settled: set[str] = set()
        self._exhausted = False
        self._again: deque[Item] = deque()
        self._later: deque[Item] = deque()
        self._suspects: deque[Item] = deque()
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
                if self._under_way == 0 and not self._suspects and not self._fed:
                    return None
                self._changed.wait()
            return None

    def _take(self) -> Item | None:
        if self._again:
            return self._again.popleft()
        if self._added:
            return Item(self._added.popleft())
        if not self._exhausted:
            photo = next(self._source, None)
            if photo is not None:
                return Item(photo)
            self._exhausted = True
        if self._later:
            return self._later.popleft()
        if self._suspects and self._under_way == 0:
            return self._suspects.popleft()
        return None

    def add(self, photos: Iterable[Photo]) -> None:
        """Hand these out, too."""
        with self._changed:
            self._added.extend(photos)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more is added."""
        with self._changed:
            self._fed = False
            self._changed.notify_all()

    def waiting(self) -> int:
        """How many that were added nobody has taken yet."""
        return len(self._added)

    def idle(self) -> bool:
        """Whether nothing is under way, nor about to be."""
        with self._changed:
            held = self._added or self._again or self._later or self._suspects
            return self._under_way == 0 and not held

    @property
    def stopped(self) -> bool:
        """Whether nothing is handed out any more."""
        return self._stopped

    def settle(self, item: Item | None = None) -> None:
        """One item, this one, is done with; who waited for it is handed out again."""
        with self._changed:
            self._under_way -= 1
            path = item.photo.rel_path if item is not None else ""
            if path in self._waited_for:
                self._settled.add(path)
                self._again.extend(self._waiting.pop(path, ()))
            self._changed.notify_all()

    def wait_for(self, item: Item, rel_path: str) -> bool:
        """Hold an item back until another is settled; False if it is, or nobody works on it."""
        with self._changed:
            if rel_path in self._settled or rel_path not in self._waited_for:
                return False
            self._under_way -= 1
            self._waiting.setdefault(rel_path, []).append(item)
            self._changed.notify_all()
            return True

    def put_back(self, items: Iterable[Item]) -> None:
        """Hand these items, which are under way, out again."""
        with self._changed:
            for item in items:
                self._under_way -= 1
                self._again.append(item)
            self._changed.notify_all()

    def defer(self, item: Item) -> None:
        """Hand this item, which is under way, out again once all others were."""
        if item.alone:
            self.suspect(item)
            return
        with self._changed:
            self._under_way -= 1
            self._later.append(item)
            self._changed.notify_all()

    def suspect(self, item: Item) -> None:
        """Try this item, which is under way, once more at the end, alone."""
        item.alone = True
        with self._changed:
            self._under_way -= 1
            self._suspects.append(item)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


T = TypeVar("T")


class Buffer(Generic[T]):
    """A queue of at most `size` items that can be closed from either side. Thread-safe.

    Unlike `queue.Queue` it hands out batches, and closing it wakes everybody at once. An item wakes
    one taker: with 64 or 500 waiting, waking all for each photo took a sixth of the interpreter.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._closed = False
        lock = threading.Lock()
        self._filled = threading.Condition(lock)
        self._room = threading.Condition(lock)

    def put(self, item: T) -> bool:
        """Add an item, waiting for room; False if the buffer was closed instead."""
        with self._room:
            self._room.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                return False
            self._items.append(item)
            self._filled.notify()
            return True

    def take(self, most: int, linger: float = 0.0) -> list[T]:
        """Wait for an item, then up to `linger` seconds for `most` of them; [] once closed."""
        with self._filled:
            self._gather(most, linger)
            while not self._items and not self._closed:  # another taker was faster
                self._gather(most, linger)
            taken = self._pick(most)
            self._room.notify(len(taken))
            return taken

    def _gather(self, most: int, linger: float) -> None:
        self._filled.wait_for(lambda: self._closed or bool(self._items))
        if linger and most > 1:
            self._filled.wait_for(lambda: self._closed or self._suffices(most), timeout=linger)

    def _suffices(self, most: int) -> bool:
        return len(self._items) >= most

    def _pick(self, most: int) -> list[T]:
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]

    def close(self, *, discard: bool = False) -> None:
        """Take no more items; what is inside can still be taken unless it is discarded."""
        with self._filled:
            self._closed = True
            if discard:
                self._items.clear()
            self._filled.notify_all()
            self._room.notify_all()


class BatchBuffer(Buffer[T]):
    """A buffer whose batches are of one kind where enough of a kind is inside.

    The kind whose oldest item is oldest, of those that fill a batch; else the one of which most
    are inside, if they fill half of it. Where there is none the oldest go together, whatever they
    are: half a batch takes a device nearly as long as a whole one. The oldest is passed over
    `PASSED_OVER` times in a row at most.
    """

    PASSED_OVER = 16

    def __init__(self, size: int, kind: Callable[[T], Hashable]) -> None:
        super().__init__(size)
        self._kind = kind
        self._passed = 0

    def _places(self) -> list[list[int]]:
        """Where the items of each kind are; first the kind of the oldest."""
        places: dict[Hashable, list[int]] = {}
        for place, item in enumerate(self._items):
            places.setdefault(self._kind(item), []).append(place)
        return list(places.values())

    def _suffices(self, most: int) -> bool:
        if len(self._items) >= self._size:
            return True
        return len(self._items) >= most and any(len(same) >= most for same in self._places())

    def _pick(self, most: int) -> list[T]:
        kinds = self._places()[: 1 if self._passed >= self.PASSED_OVER else None]
        full = (same for same in kinds if len(same) >= most)
        chosen = next(full, None) or max(kinds, key=len, default=[])
        if 2 * len(chosen) < most:
            chosen = list(range(len(self._items)))
        chosen = chosen[:most]
        self._passed = self._passed + 1 if chosen and chosen[0] > 0 else 0
        taken = [self._items[place] for place in chosen]
        for place in reversed(chosen):
            del self._items[place]
        return taken


class DecodedPhoto(NamedTuple):
    """A photo that waits for the backend."""

    item: Item
    loaded: LoadedImage
    image: Image
