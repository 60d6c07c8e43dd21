"""What a child runs: it makes one host and lets it work, until the parent says so or is gone.

The main thread only reads, so that the end of the parent is noticed whatever the model does; the
work is done in other threads. On Linux the kernel ends the child with its parent, even if a driver
hangs with the interpreter's lock in its hands. Elsewhere the end of input does, which such a hang
would hold up.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from picture_captioner.errors import PhotoError, TransientError
from picture_captioner.workers.messages import (
    Answer,
    Close,
    Failed,
    LogLine,
    Notice,
    OnDevice,
    Open,
    Ready,
    Reply,
    Unframer,
    Work,
    decode_request,
    frame,
)
from picture_captioner.workers.sandbox import forbid_core_dumps, leave_network

PLAIN = "plain"
"""The kind of work that every host knows: one plain picture or text of its own making."""

_PR_SET_PDEATHSIG = 1
_OOM_SCORE = 800
"""Of at most 1,000: when memory runs out, the kernel ends the child, not the journal's writer."""


class Host(Protocol):
    """What a child hosts."""

    def work(self, kind: str, items: list[Any], shared: dict[str, Any]) -> list[Any]:
        """A result for each item; `PLAIN` comes with one item, None."""

    def state(self) -> dict[str, Any]:
        """What the parent may want to know after each answer."""

    def close(self) -> None:
        """Let go of everything."""


class Child:
    """What a host may tell its parent. Thread-safe."""

    def __init__(self, replies: int) -> None:
        self._replies = replies
        self._sending = threading.Lock()
        self._current = threading.local()

    def notice(self, text: str) -> None:
        """A line for the person."""
        self.send(Notice(text))

    def on_device(self) -> None:
        """What this thread prepared begins on the device now."""
        number: int | None = getattr(self._current, "number", None)
        if number is not None:
            self.send(OnDevice(number))

    def working_on(self, number: int) -> None:
        """This thread's work has this number."""
        self._current.number = number

    def send(self, reply: Reply) -> None:
        """Send a message whole; the process ends if there is nobody to read it."""
        data = memoryview(frame(reply))
        with self._sending:
            try:
                while data:
                    data = data[os.write(self._replies, data) :]
            except OSError:
                os._exit(0)


HostMaker = Callable[[dict[str, Any], Child], Host]


class _Forwarding(logging.Handler):
    """Log lines go to the parent, which has the log file."""

    def __init__(self, child: Child) -> None:
        super().__init__(logging.INFO)
        self._child = child

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # a line that cannot be formatted is not worth a caption
            self._child.send(LogLine(record.name, record.levelno, self.format(record)[:4000]))


class Server:
    """Serves the requests of one parent."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._host: Host | None = None
        self._pool = ThreadPoolExecutor(1)

    def serve(self, requests: int) -> None:
        """Read requests until `Close` or the end of input."""
        unframer = Unframer()
        while piece := os.read(requests, 1 << 20):
            for body in unframer.feed(piece):
                match decode_request(body):
                    case Open() as request:
                        self._pool = ThreadPoolExecutor(request.threads)
                        self._pool.submit(self._guarded, 0, self._open, request)
                    case Work() as request:
                        self._pool.submit(self._guarded, request.number, self._work, request)
                    case Close():
                        self._pool.shutdown()
                        if self._host is not None:
                            self._host.close()
                        return

    def _guarded(self, number: int, body: Callable[[Any], None], request: Open | Work) -> None:
        try:
            body(request)
        except BaseException as error:  # noqa: BLE001 - it crosses to the parent, which judges it
            self._child.send(_failed(number, error))

    def _open(self, request: Open) -> None:
        if request.restricted and not leave_network():
            logging.getLogger("caption.model").info("nothing keeps the model from the network")
        module, _, name = request.target.partition(":")
        make: HostMaker = getattr(importlib.import_module(module), name)
        self._host = make(request.arguments, self._child)
        self._child.send(Ready(self._host.state()))

    def _work(self, request: Work) -> None:
        if self._host is None:
            raise RuntimeError("there is no host yet")
        self._child.working_on(request.number)
        results = self._host.work(request.kind, request.items, request.shared)
        self._child.send(Answer(request.number, results, self._host.state()))


def _failed(number: int, error: BaseException) -> Failed:
    name, message = type(error).__name__, str(error)
    if isinstance(error, PhotoError):
        return Failed(number, name, message, error.code, dict(error.usage))
    if isinstance(error, TransientError):
        return Failed(number, name, message, error.code, retry_after=error.retry_after)
    logging.getLogger("caption.model").info("the model failed", exc_info=error)
    return Failed(number, name, message)


def end_with_parent(parent: int) -> None:
    """Let the kernel end this process with the thread that started it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was faster
        os._exit(0)


def _settle_in() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides what they mean
    with suppress(OSError):  # while this process still owns its files in /proc
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")
    forbid_core_dumps()
    faulthandler.enable()


def _private_pipes() -> tuple[int, int]:
    """The pipes to the parent, out of the way of libraries that print."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def main() -> None:
    """Serve the process whose number is the one argument."""
    end_with_parent(int(sys.argv[1]))
    _settle_in()
    requests, replies = _private_pipes()
    child = Child(replies)
    logging.getLogger().addHandler(_Forwarding(child))
    logging.getLogger("caption").setLevel(logging.INFO)
    Server(child).serve(requests)
    sys.stderr.flush()
    os._exit(0)  # a driver's own ending may hang, and there is nothing left to save


if __name__ == "__main__":
    main()
