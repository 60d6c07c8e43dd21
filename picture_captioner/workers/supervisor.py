"""Keeps a model at work although its child may die, and finds out which item it dies of.

One death says little: of the items that the child had, each is asked again by itself, those first
that were only being prepared. An item is to blame if the child died of it twice while it had
nothing else, and did a plain picture in time just before and after. Where children die of nothing
in particular, the run ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from picture_captioner.errors import BackendUnavailableError, FatalError, TransientError
from picture_captioner.workers.child import PLAIN
from picture_captioner.workers.messages import Open
from picture_captioner.workers.process import Call, ChildProcess, Clock, DiedError
from picture_captioner.workers.starting import Started, start_child

_log = logging.getLogger("caption.model")

DEATHS_ALONE = 2
MAX_BLAMED = 5
"""Items found guilty without one success between them, before it is the model that is to blame."""

MAX_CHILDREN = 3
"""Children in a row that cannot load, or do the plain picture."""

RENEW_EVERY = 5000
"""Items after which a child is replaced: long runs on a GPU leak."""


@dataclass(frozen=True)
class Blamed:
    """In place of an item's result: the child died of it; `code` is `process_died` or `hung`."""

    code: str
    message: str


class Supervisor:
    """A model in a child, whichever child that is. Thread-safe.

    Args:
        request: what a child is to load. `arguments["before"]` of a later one is the state in
            which the first came up, so that it may wait for the memory of its predecessor.
        notice: takes a line for the person.
        timeout: seconds that the child may be silent; None for what its own past suggests.
        renew_every: items after which the child is replaced.
        start: starts a child: on this machine, or where else there is room.
    """

    def __init__(
        self,
        request: Open,
        notice: Callable[[str], None],
        timeout: float | None = None,
        renew_every: int = RENEW_EVERY,
        start: Callable[[], Started] = start_child,
    ) -> None:
        self._request, self._notice, self._start = request, notice, start
        self._clock = Clock(timeout)
        self._renew_every = renew_every
        self._child: ChildProcess | None = None
        self._first_state: dict[str, Any] = {}
        self._learned: dict[str, Any] = {}
        self._loads = self._failed = self._blamed = 0
        self._restricted = True
        self._stopping = False
        self._inside = 0
        self._exclusive = False
        self._changed = threading.Condition()

    @property
    def state(self) -> dict[str, Any]:
        """What the host said last of itself; empty before it is loaded."""
        return self._child.state if self._child else {}

    def start(self) -> None:
        """Load the model, unless it is.

        Raises:
            FatalError: it does not load.
        """
        with self._alone():
            if self._child is None:
                self._replace()

    def stop(self) -> None:
        """Load no model any more: the run is being stopped."""
        self._stopping = True

    def kill(self) -> None:
        """End the child at once; what it has is lost."""
        self._stopping = True
        if (child := self._child) is not None:
            child.kill("was ended", "process_died")

    def close(self) -> None:
        """Let the child end properly; nothing can be asked afterwards."""
        self._stopping = True
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def ask(
        self, kind: str, items: Sequence[Any], shared: dict[str, Any], cost: float
    ) -> list[Any]:
        """The result of each item; `Blamed`, or an exception, for one that is by itself at fault.

        Raises:
            FatalError: no item can be done.
            TransientError: the child died while the run is being stopped.
            CaptionerError, RuntimeError: as the host raised it for all of them.
        """
        while True:
            with self._admitted() as child:
                if child is not None:
                    call = child.submit(kind, list(items), shared, cost)
                    try:
                        results = child.result(call)
                    except DiedError as death:
                        _tell_log(death)
                    else:
                        self._worked(child)
                        return results
            if child is None:
                self._renew()
            else:
                return self._try_each(child, call, shared)

    @contextmanager
    def _admitted(self) -> Iterator[ChildProcess | None]:
        """A child that may be asked now, beside others; None if it is to be replaced first."""
        with self._changed:
            self._changed.wait_for(lambda: not self._exclusive)
            self._inside += 1
        try:
            yield None if self._is_due(self._child) else self._child
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _is_due(self, child: ChildProcess | None) -> bool:
        return child is None or child.dead or child.asked >= self._renew_every

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else asks anything meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._exclusive)
            self._exclusive = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._exclusive = False
                self._changed.notify_all()

    def _renew(self) -> None:
        with self._alone():
            if self._is_due(self._child):
                self._replace()

    def _worked(self, child: ChildProcess) -> None:
        self._proved(child)
        self._blamed = 0

    def _proved(self, child: ChildProcess) -> None:
        child.proved, self._failed = True, 0
        if self._restricted and not child.restricted:
            self._restricted = False
            self._notice(
                "The model's process runs without the restriction that keeps it from the network: "
                "it does not work under it on this machine; please report it"
            )

    def _replace(self) -> ChildProcess:
        """A new child, once the old one is gone.

        Raises:
            FatalError: it does not load, or children in a row died of loading.
            TransientError: the run is being stopped.
        """
        old, self._child = self._child, None
        if old is not None:
            if old.dead:
                self._learn(old)
                old.reap()
            else:
                old.close()
                self._learned = {}
        while True:
            if self._stopping:
                raise TransientError("the model's process ended while the run is being stopped")
            started = time.monotonic()
            opening = self._opening()
            child = self._child = ChildProcess(opening, self._clock, self._notice, self._start)
            try:
                child.wait_until_ready()
            except DiedError as death:
                child.reap()
                self._failed_again(death)
            except BaseException as error:
                self._child = None
                child.reap()
                if not opening.restricted or type(error).__name__ != "PermissionError":
                    raise
                self._failed = MAX_CHILDREN - 1  # what is refused would be so again
            else:
                self._loaded(child, time.monotonic() - started)
                return child

    def _learn(self, dead: ChildProcess) -> None:
        """Of a child that somebody killed for its memory: its successor takes fewer at a time."""
        largest = max((len(call.items) for call in dead.casualties), default=0)
        if dead.out_of_memory and largest > 1:
            self._learned = {"batch_that_was_killed": largest}

    def _opening(self) -> Open:
        before = self._first_state | self._learned if self._first_state else {}
        arguments = self._request.arguments | {"before": before}
        # The last child that is tried does without: it may be the restrictions that it dies of.
        restricted = self._restricted and self._failed < MAX_CHILDREN - 1
        return Open(self._request.target, arguments, self._request.threads, restricted)

    def _loaded(self, child: ChildProcess, seconds: float) -> None:
        self._loads += 1
        self._first_state = self._first_state or child.state
        if self._loads > 1:
            self._notice(f"Model loaded again, {_ordinal(self._loads)} time, {seconds:.0f} s")

    def _failed_again(self, death: DiedError) -> None:
        """Count a child that came to nothing.

        Raises:
            BackendUnavailableError: it was the third in a row.
        """
        _tell_log(death)
        self._failed += 1
        if self._failed >= MAX_CHILDREN:
            raise BackendUnavailableError(
                f"the model's process {death.cause}; {MAX_CHILDREN} in a row could not load the "
                "model and describe a plain picture, so it is no photo's fault. Look at the driver "
                f"(dmesg, nvidia-smi) and the memory, then run the same command.{_words(death)}"
            )

    def _try_each(self, child: ChildProcess, call: Call, shared: dict[str, Any]) -> list[Any]:
        """The items of a call during which the child died, one by one and alone."""
        try:
            for other in child.casualties:
                if call.on_device and not other.on_device:
                    other.tried.wait()
            self._tell_death(child, call)
            with self._alone():
                was_alone = child.casualties == [call] and len(call.items) == 1
                deaths = 1 if was_alone else 0
                cost = call.cost / len(call.items)
                return [self._try(call.kind, item, shared, cost, deaths) for item in call.items]
        finally:
            call.tried.set()

    def _tell_death(self, child: ChildProcess, call: Call) -> None:
        if child.casualties and child.casualties[0] is call and not self._stopping:
            items = sum(len(other.items) for other in child.casualties)
            self._notice(
                f"The model's process {child.cause}; the {items} that it had are asked again, one "
                "at a time"
                if items > 1
                else f"The model's process {child.cause}; asking again"
            )

    def _try(self, kind: str, item: Any, shared: dict[str, Any], cost: float, deaths: int) -> Any:
        """The result of one item that nothing else is asked beside.

        Raises:
            FatalError, TransientError: as in `ask`.
        """
        while True:
            child = self._proved_child()
            try:
                (result,) = child.result(child.submit(kind, [item], shared, cost))
            except DiedError as death:
                _tell_log(death)
                deaths += 1
                if deaths >= DEATHS_ALONE:
                    self._proved_child()
                    return self._blame(death)
            except (FatalError, TransientError):
                raise
            except Exception as error:  # noqa: BLE001 - the item's own, told with it
                return error
            else:
                self._worked(child)
                return result

    def _blame(self, death: DiedError) -> Blamed:
        self._blamed += 1
        if self._blamed >= MAX_BLAMED:
            raise BackendUnavailableError(
                f"the model's process died of {MAX_BLAMED} photos in a row, the last time it "
                f"{death.cause}: that is the model's or the driver's fault. Try another --model or "
                f"a smaller --max-pixels, and look at the driver (dmesg).{_words(death)}"
            )
        return Blamed(
            death.code,
            "the model's process died of this photo twice while it had nothing else, and described "
            f"a plain picture before and after; it {death.cause}",
        )

    def _proved_child(self) -> ChildProcess:
        """A child that did the plain picture, or an item, since it was started.

        Raises:
            FatalError: three in a row could not.
        """
        while True:
            child = self._child
            if child is None or child.dead:
                child = self._replace()
            if child.proved:
                return child
            try:
                child.result(child.submit(PLAIN, [None], {}))
            except DiedError as death:
                self._failed_again(death)
            else:
                self._proved(child)
                return child


def _tell_log(death: DiedError) -> None:
    words = {"event": "model_died", "trace": death.lines}
    _log.error("the model's process %s", death.cause, extra=words)


def _words(death: DiedError) -> str:
    return f" Its last words:\n{death.lines}" if death.lines else ""


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 < number % 100 < 14 else ending}"
