"""Copies of one model on several nodes, behind one backend."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from picture_captioner.backends.base import Caption
from picture_captioner.backends.hosted import HostedBackend
from picture_captioner.engines.on_node import PIECE_BYTES
from picture_captioner.errors import BackendUnavailableError, PhotoError, TransientError

if TYPE_CHECKING:
    from picture_captioner.engines.ray_engine import RayEngine

PAUSE_SECONDS = 60.0
"""Before a copy that found no place, or did not load, is tried again."""


class ProcessOnNode:
    """A model's process on a node as `workers.process` knows one: three pipes and an end.

    If the actor or its node is gone, all three pipes end, and there is no exit status. The kernel
    kills the actor's child with it.
    """

    def __init__(self, ray: Any, actor: Any, pid: int) -> None:
        self._ray, self._actor, self.pid = ray, actor, pid
        self._code: int | None = None
        self._ended = threading.Event()
        theirs, self.stdin = _pipe()
        self.stdout, out = _pipe()
        self.stderr, err = _pipe()
        for body, *arguments in (
            (self._send, theirs),
            (self._receive, out, False),
            (self._receive, err, True),
            (self._bury,),
        ):
            threading.Thread(target=body, args=arguments, daemon=True, name="ray-pipe").start()

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def poll(self) -> int | None:
        """As in `Started`."""
        return self._code

    def wait(self, timeout: float | None = None) -> int | None:
        """As in `Started`."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("the model's process on a node", timeout or 0.0)
        return self._code

    def kill_group(self) -> None:
        """As in `Started`; the actor goes, too, and gives its share of a GPU back."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    def _send(self, pipe: IO[bytes]) -> None:
        with pipe, suppress(self._ray.exceptions.RayError):
            while data := os.read(pipe.fileno(), PIECE_BYTES):
                self._ray.get(self._actor.write.remote(data))

    def _receive(self, pipe: IO[bytes], errors: bool) -> None:
        with pipe, suppress(self._ray.exceptions.RayError, OSError):
            while data := self._ray.get(self._actor.read.remote(errors=errors)):
                while data:
                    data = data[os.write(pipe.fileno(), data) :]

    def _bury(self) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._code = self._ray.get(self._actor.wait.remote())
        self._ended.set()
        self.kill_group()


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)


class HostedOnNodes(HostedBackend):
    """A backend whose model is on several nodes, each copy with a supervisor of its own."""

    def __init__(self, hosted: HostedBackend, engine: RayEngine) -> None:
        super().__init__(*hosted.made_of)
        self._engine = engine
        self._copies: list[Copy] = []
        self._turn = threading.Condition()
        self._stopped = False

    @property
    def batch_now(self) -> int:
        """What all copies can take."""
        return min((c.backend.batch_now for c in self._copies), default=super().batch_now)

    @property
    def batch_limit(self) -> int:
        """The most that one of them may come to take."""
        return max((c.backend.batch_limit for c in self._copies), default=super().batch_limit)

    def status(self) -> str:
        """How many photos each copy has, those put aside in brackets."""
        shown = [
            f"({c.outstanding})" if c.pause_until else f"{c.outstanding}" for c in self._copies
        ]
        return "models " + "+".join(shown)

    def check(self) -> None:
        """Load the copies, all at the same time.

        Raises:
            FatalError: none loads, or the model's files are missing.
        """
        self._inner.find_files()
        share, number = self._engine.share_of_gpu()
        kind = type(self._inner)
        self.batch_threads = number * kind.batch_threads  # type: ignore[misc]  # else of the class
        self.default_workers = number * kind.default_workers  # type: ignore[misc]
        self.max_workers = number * kind.max_workers  # type: ignore[misc]
        start = self._engine.start_model
        self._copies = [
            Copy(self.copy(partial(start, share, copy)), max(kind.batch_threads, kind.max_workers))
            for copy in range(number)
        ]
        with ThreadPoolExecutor(number) as pool:
            try:
                errors = list(pool.map(_loaded, self._copies))
            except BaseException:
                self.abandon()
                raise
        failed = [error for error in errors if error is not None]
        if len(failed) == number:
            raise failed[0]
        for copy, error in zip(self._copies, errors, strict=True):
            if error is not None:
                self._put_aside(copy, error)

    def stop(self) -> None:
        """Start no child any more."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
        for copy in self._copies:
            copy.backend.stop()

    def abandon(self) -> None:
        """Kill the children."""
        for copy in self._copies:
            copy.backend.abandon()

    def close(self) -> None:
        """End the children properly."""
        for copy in self._copies:
            copy.backend.close()

    def _ask(self, *question: Any) -> list[Caption | str | PhotoError]:
        """Ask the copy with the least to do, and where its node has no room any more another."""
        while True:
            copy = self._take()
            try:
                answers = copy.backend._ask(*question)
            except BackendUnavailableError as error:
                self._put_aside(copy, error)
            else:
                copy.pause_until = 0.0
                return answers
            finally:
                with self._turn:
                    copy.outstanding -= 1
                    self._turn.notify()

    def _take(self) -> Copy:
        with self._turn:
            while True:
                now = time.monotonic()
                ready = [c for c in self._copies if c.outstanding < c.most and c.pause_until <= now]
                if ready:
                    copy = min(ready, key=lambda c: c.outstanding)
                    copy.outstanding += 1
                    return copy
                if self._stopped:
                    raise TransientError("the run is being stopped", code="stopped")
                self._turn.wait(1.0)

    def _put_aside(self, copy: Copy, error: BackendUnavailableError) -> None:
        """Ask it nothing for a minute.

        Raises:
            BackendUnavailableError: it was the last.
        """
        now = time.monotonic()
        copy.pause_until = now + PAUSE_SECONDS
        if all(other.pause_until > now for other in self._copies):
            raise error
        self.settings.notice(f"A copy of the model is put aside for a minute: {error}")


@dataclass(eq=False)
class Copy:
    """One of several models, and how many calls it has of the most it may have."""

    backend: HostedBackend
    most: int
    outstanding: int = 0
    pause_until: float = 0.0


def _loaded(copy: Copy) -> BackendUnavailableError | None:
    try:
        copy.backend.check()
    except BackendUnavailableError as error:
        return error
    return None
