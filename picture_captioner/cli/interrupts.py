"""Ctrl+C, SIGTERM and SIGHUP: the first one asks, a second one insists."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SIGNAL_SECONDS = 1.0
"""A terminal, `uv run` and a shell loop may each pass the same Ctrl+C on: that is one."""


class Interrupts:
    """Which signal, if any, asked for the end.

    The handler only takes a note: it runs between any two instructions of the main thread, which
    may hold a lock at that moment. The run asks `requested` several times a second.
    """

    def __init__(self, say: Callable[[str], None], at_once: Callable[[], None]) -> None:
        """`at_once` is the last thing done when a second signal ends the process."""
        self._say = say
        self._at_once = at_once
        self._said = False
        self._since = 0.0
        self.received: signal.Signals | None = None

    def handle(self, number: int, _: FrameType | None) -> None:
        """Signal handler: the first one is noted, a second one ends the process."""
        now = time.monotonic()
        if self.received is None:
            self.received = signal.Signals(number)
            self._since = now
        elif now - self._since > SAME_SIGNAL_SECONDS:
            # Acknowledged records are on the disk already; the rest is tried again next time.
            self._at_once()
            os._exit(128 + number)

    def requested(self) -> bool:
        """Whether a signal arrived; says so the first time."""
        if self.received is None:
            return False
        if not self._said:
            self._said = True
            self._say(
                f"{self.received.name}: finishing what is under way (up to 10 s); "
                "once more to stop at once"
            )
        return True

    @property
    def exit_status(self) -> int | None:
        """128+n if a signal ended the run."""
        return None if self.received is None else 128 + self.received


@contextlib.contextmanager
def note_signals(
    say: Callable[[str], None], at_once: Callable[[], None] = lambda: None
) -> Iterator[Interrupts]:
    """While the block runs, signals are noted. One that is ignored (nohup) stays ignored."""
    interrupts = Interrupts(say, at_once)
    previous = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, interrupts.handle) or signal.SIG_DFL
    try:
        yield interrupts
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
