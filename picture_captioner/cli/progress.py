"""The progress of a run: a bar in a terminal, plain lines in a file or a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from picture_captioner.cli.terminal import Verbosity, duration, rate, safe, say
from picture_captioner.errors import count

if TYPE_CHECKING:
    from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome

FAILURES_SHOWN = 5
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_SIGNS = 4.0


class _Display(Protocol):
    """Where progress is drawn."""

    def update(self, done: int, failed: int, status: str) -> None: ...
    def line(self, text: str) -> None: ...
    def close(self) -> None: ...


class _Bar:
    """tqdm on a terminal; its ETA knows nothing of the photos that were skipped."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="photo", dynamic_ncols=True, smoothing=0.05)

    def update(self, done: int, failed: int, status: str) -> None:
        told = ", ".join(part for part in (f"{failed} failed" if failed else "", status) if part)
        if told:
            self._bar.set_postfix_str(safe(told), refresh=False)
        self._bar.update(done - self._bar.n)

    def line(self, text: str) -> None:
        self._bar.write(safe(text), file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """A line every ten seconds, readable in a log file the next morning."""

    def __init__(self, total: int, between: float) -> None:
        self._total, self._between = total, between
        self._done = self._failed = self._said = 0
        self._status = ""
        self._started = self._last = time.monotonic()

    def update(self, done: int, failed: int, status: str) -> None:
        self._done, self._failed, self._status = done, failed, status
        now = time.monotonic()
        if now - self._last >= self._between:
            self._last = now
            self._say(now - self._started)

    def _say(self, elapsed: float) -> None:
        self._said = self._done
        speed = self._done / elapsed if elapsed else 0.0
        left = f", {duration((self._total - self._done) / speed)} left" if speed else ""
        failed = f", {self._failed:,} failed" if self._failed else ""
        status = f", {self._status}" if self._status else ""
        done = f"{self._done:,}/{count(self._total)} ({100 * self._done // self._total}%)"
        say(f"{done}, {rate(speed)}{left}{failed}{status}")

    def line(self, text: str) -> None:
        say(text)

    def close(self) -> None:
        if self._done > self._said:
            self._say(time.monotonic() - self._started)


def _is_terminal() -> bool:
    """Whether stderr can show a bar; a container's terminal may say that it has no size.

    Without columns tqdm fails, without lines it shows nothing.
    """
    return sys.stderr.isatty() and min(os.get_terminal_size(sys.stderr.fileno())) > 0


@contextlib.contextmanager
def told(step: str) -> Iterator[Callable[[str], None]]:
    """Say every few seconds that this goes on: nobody should wonder if it hangs.

    Work goes on in the caller's thread; another one looks at the clock. What is yielded takes the
    name of the next step.
    """
    began, over = time.monotonic(), threading.Event()

    def begin(name: str) -> None:
        nonlocal step, began
        step, began = name, time.monotonic()

    def watch() -> None:
        while not over.wait(SECONDS_BETWEEN_SIGNS):
            say(f"{step}, {duration(time.monotonic() - began)} so far")

    thread = threading.Thread(target=watch, daemon=True)
    with contextlib.suppress(RuntimeError):  # no room for a thread: it works in silence
        thread.start()
    try:
        yield begin
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()


class ProgressReporter:
    """The pipeline's `Reporter` for a person. Thread-safe; survives a closed terminal."""

    def __init__(self, seconds_between_lines: float | None = None) -> None:
        self._between = seconds_between_lines
        self.status: Callable[[], str] = str
        """What to show besides, such as the memory that a backend takes."""
        self.advanced: Callable[[], object] = bool
        """Called after each photo."""
        self._display: _Display | None = None
        self._done = 0
        self._failed = 0
        self._shown = 0
        self._lock = threading.Lock()

    def start(self, total: int) -> None:
        """Draw the bar, with its total."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if Verbosity.quiet:
                return
            between = self._between or SECONDS_BETWEEN_LINES
            self._display = _Bar(total) if _is_terminal() else _Lines(total, between)

    def advance(self, outcome: Outcome) -> None:
        """Move on by one photo."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._done += 1
            self._failed += outcome.failed
            if self._display is not None:
                self._display.update(self._done, self._failed, self.status())
            self.advanced()

    def failed(self, failure: FailedPhoto) -> None:
        """Show the first few failures; the log has them all."""
        with self._lock:
            self._shown += 1
            shown = self._shown
        if shown <= FAILURES_SHOWN:
            self.notice(f"{failure.rel_path}: {failure.message} [{failure.code}]")
        elif shown == FAILURES_SHOWN + 1:
            self.notice("(further failures are counted here and named in the log)")

    def notice(self, text: str) -> None:
        """A line above the bar."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._display is None:
                say(text)
            else:
                self._display.line(text)

    def close(self) -> None:
        """Leave the last state of the bar on the screen."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._display is not None:
                self._display.close()
                self._display = None
