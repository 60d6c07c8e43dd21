"""The parent's handle on one child: start it, ask it, watch its clock, know how it died."""

from __future__ import annotations

import collections
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from picture_captioner import errors
from picture_captioner.errors import (
    BackendUnavailableError,
    CaptionerError,
    PhotoError,
    TransientError,
)
from picture_captioner.workers.messages import (
    Answer,
    Close,
    Failed,
    LogLine,
    NonsenseError,
    Notice,
    OnDevice,
    Open,
    Ready,
    Unframer,
    Work,
    decode_reply,
    frame,
)
from picture_captioner.workers.starting import Started, cause_of_death, streams

LINES_KEPT = 40
REAP_SECONDS = 10.0
CLOSE_SECONDS = 10.0
_SLICE_SECONDS = 1.0
_LINE_CHARACTERS = 500


class DiedError(Exception):
    """The child is gone; `code` is what a record says of it, `lines` are its last words."""

    def __init__(self, cause: str, code: str, lines: str) -> None:
        super().__init__(cause)
        self.cause, self.code, self.lines = cause, code, lines


@dataclass(eq=False)
class Call:
    """Items that a child has. `cost` is how much work they are, in whatever the caller counts."""

    number: int
    kind: str
    items: list[Any]
    cost: float
    on_device: bool = False
    began: float = 0.0
    reply: Answer | Failed | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    tried: threading.Event = field(default_factory=threading.Event)
    """Set once it is known what became of the items, should the child die of them."""


class Clock:
    """How long a child may be silent while it has something to do, in seconds.

    Ten times the slowest that was seen for such work, and two minutes at the least. Nothing is
    known before the first answer, which on a CPU may take minutes.
    """

    LEAST = 120.0
    FIRST = 900.0
    TIMES = 10.0

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self._slowest = 0.0

    def limit(self, cost: float) -> float:
        """For work that costs so much."""
        if self._fixed is not None:
            return self._fixed
        if not self._slowest:
            return self.FIRST
        return max(self.LEAST, self.TIMES * self._slowest * cost)

    def took(self, cost: float, seconds: float) -> None:
        """Work that cost so much took so long."""
        self._slowest = max(self._slowest, seconds / cost)


class ChildProcess:
    """One child with a loaded model. Thread-safe.

    `state` is what its host said last. `proved` is set by the supervisor once it did something.
    """

    LOAD_SECONDS = 1200.0
    """To load a model: 7.5 GB from a network disk take some minutes."""

    def __init__(
        self,
        request: Open,
        clock: Clock,
        notice: Callable[[str], None],
        start: Callable[[], Started],
    ) -> None:
        """Start it, and send the request; `wait_until_ready` waits for what comes of it.

        Raises:
            BackendUnavailableError: the machine has no room for a process.
        """
        self.state: dict[str, Any] = {}
        self.proved = False
        self.restricted = request.restricted
        self.asked = 0
        self.casualties: list[Call] = []
        self.out_of_memory = False
        """Whether somebody else killed it: mostly the kernel, for want of memory."""
        self._clock, self._notice = clock, notice
        self._lines: collections.deque[str] = collections.deque(maxlen=LINES_KEPT)
        self._calls: dict[int, Call] = {}
        self._numbers = iter(range(1, sys.maxsize))
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._killed_as: tuple[str, str] | None = None
        self._death: tuple[str, str] | None = None
        self._closing = False
        try:
            self._process = start()
            self._stdin, self._stdout, self._stderr = streams(self._process)
            self._opening = self._expect(Call(0, "open", [], 1.0))
            self._threads = [
                self._thread(self._read_replies, "replies"),
                self._thread(self._read_lines, "stderr"),
            ]
        except (OSError, RuntimeError) as error:
            raise BackendUnavailableError(
                f"no process for the model can be started ({error}): is the machine out of memory "
                "or processes (ulimit -u)?"
            ) from error
        with suppress(DiedError):  # told by `wait_until_ready`
            self._send(frame(request))

    def _thread(self, body: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=body, daemon=True, name=f"model-{name}")
        thread.start()
        return thread

    @property
    def cause(self) -> str:
        """What it died of, to follow its name."""
        return self._death[0] if self._death else "ended"

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    @property
    def dead(self) -> bool:
        """Whether it can be asked no more."""
        return self._death is not None

    def wait_until_ready(self) -> None:
        """Wait for the model.

        Raises:
            DiedError: the child died while it loaded.
            FatalError, and what else loading raises.
        """
        self.result(self._opening)

    def submit(
        self, kind: str, items: list[Any], shared: dict[str, Any], cost: float = 1.0
    ) -> Call:
        """Send work; `result` waits for what comes of it."""
        call = self._expect(Call(next(self._numbers), kind, items, cost))
        self.asked += len(items)
        with suppress(DiedError):  # told by `result`
            self._send(frame(Work(call.number, kind, items, shared)))
        return call

    def result(self, call: Call) -> list[Any]:
        """The results of its items, in their order.

        Raises:
            DiedError: the child died, hung or lost its device meanwhile.
            CaptionerError: as raised in the child; another exception has the name it had there.
        """
        call.ended.wait()
        match call.reply:
            case Answer(results=results):
                return results
            case Failed() as failed:
                raise _error(failed)
            case None:
                raise self._died()

    def _expect(self, call: Call) -> Call:
        with self._lock:
            if self._death is not None:
                call.ended.set()
            else:
                call.began = time.monotonic()
                self._calls[call.number] = call
        return call

    def _died(self) -> DiedError:
        self._threads[1].join(1.0)  # its last words may come after its end
        cause, code = self._death or ("broke off the conversation", "process_died")
        return DiedError(cause, code, self.last_lines())

    def last_lines(self) -> str:
        """What it wrote to stderr last; empty for nothing."""
        return "\n".join(self._lines)

    def _send(self, data: bytearray) -> None:
        try:
            rest = memoryview(data)
            with self._sending:
                while rest:
                    rest = rest[os.write(self._stdin.fileno(), rest) :]
        except (OSError, ValueError) as error:
            raise DiedError("broke off the conversation", "process_died", "") from error

    def _read_replies(self) -> None:
        """Read until the child ends, and be its clock."""
        pipe, unframer, silent = self._stdout.fileno(), Unframer(), 0.0
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while True:
            before = time.monotonic()
            if poll.poll(_SLICE_SECONDS * 1000):
                silent = 0.0
                piece = os.read(pipe, 1 << 20)
                if not piece or not self._take(unframer, piece):
                    break
            elif self._calls and not self._closing:
                # A pause by Ctrl-Z or a lid that was closed counts as one slice.
                silent += min(time.monotonic() - before, _SLICE_SECONDS)
                if silent > (limit := self._limit()):
                    self.kill(f"hung: no sign of it for {limit:.0f} s", "hung")
                    silent = 0.0
            else:
                silent = 0.0
        self._bury()

    def _limit(self) -> float:
        with self._lock:
            calls = list(self._calls.values())
        if any(call.number == 0 for call in calls):
            return self.LOAD_SECONDS
        return max((self._clock.limit(call.cost) for call in calls), default=self._clock.FIRST)

    def _take(self, unframer: Unframer, piece: bytes) -> bool:
        """Act on what is complete; False if it makes no sense."""
        try:
            for body in unframer.feed(piece):
                self._act(decode_reply(body))
        except (NonsenseError, msgspec.MsgspecError):
            self.kill("sent what makes no sense", "process_died")
            return False
        return True

    def _act(self, reply: object) -> None:
        match reply:
            case Notice(text=text):
                self._notice(text)
            case LogLine(logger=name, level=level, text=text):
                logging.getLogger(name).log(level, text)
            case OnDevice(number=number):
                with self._lock:
                    if call := self._calls.get(number):
                        call.on_device, call.began = True, time.monotonic()
            case Ready(state=state):
                self._settle(0, Answer(0, [], state))
            case Failed(error="DeviceLostError", message=message):
                self.kill(f"lost its device: {message}", "process_died")
            case Answer(number=number) | Failed(number=number):
                self._settle(number, reply)

    def _settle(self, number: int, reply: Answer | Failed) -> None:
        with self._lock:
            call = self._calls.pop(number, None)
        if call is None:
            return
        if isinstance(reply, Answer):
            self.state = reply.state
            if call.on_device and call.cost:
                self._clock.took(call.cost, time.monotonic() - call.began)
        call.reply = reply
        call.ended.set()

    def _read_lines(self) -> None:
        for line in self._stderr:
            self._lines.append(line.decode("utf-8", "replace").rstrip()[:_LINE_CHARACTERS])

    def _bury(self) -> None:
        """Wait for the end, and tell all who wait for an answer."""
        try:
            code: int | None = self._process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill_group()
            code = None
        with self._lock:
            self.out_of_memory = self._killed_as is None and code == -signal.SIGKILL
            self._death = self._killed_as or (cause_of_death(code), "process_died")
            self.casualties = list(self._calls.values())
            self._calls.clear()
        for call in self.casualties:
            call.ended.set()

    def kill(self, cause: str, code: str) -> None:
        """End it at once; this is what it is said to have died of."""
        with self._lock:
            self._killed_as = self._killed_as or (cause, code)
        if self._process.poll() is None:
            self._process.kill_group()

    def reap(self) -> None:
        """Kill what is left of it, and wait until it is gone: the next one needs its memory.

        Raises:
            BackendUnavailableError: it does not die.
        """
        self.kill("was ended", "process_died")
        try:
            self._process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BackendUnavailableError(
                f"the model's process {self._process.pid} does not end, {REAP_SECONDS:.0f} s after "
                "it was killed: the driver hangs. Restart the machine, then run the same command"
            ) from None
        for thread in self._threads:
            thread.join(REAP_SECONDS)
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def close(self) -> None:
        """Let it end properly; kill it if it takes over ten seconds."""
        self._closing = True
        with suppress(DiedError):
            self._send(frame(Close()))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        self.reap()


_KINDS: dict[str, type[CaptionerError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, CaptionerError)
}


_KINDS["ModelMissingError"] = errors.ConfigurationError  # the parent has looked already


def _error(failed: Failed) -> Exception:
    """The exception that crossed the border, of the class that it had, or a new one of its name."""
    kind = _KINDS.get(failed.error)
    if kind is None:
        return cast("Exception", type(failed.error, (RuntimeError,), {})(failed.message))
    if issubclass(kind, PhotoError):
        return kind(failed.message, code=failed.code, usage=cast("errors.Usage", failed.usage))
    if issubclass(kind, TransientError):
        return kind(failed.message, code=failed.code or "model", retry_after=failed.retry_after)
    return kind(failed.message)
