"""How a child is started: by one thread that never ends, with three pipes."""

from __future__ import annotations

import fcntl
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

_PIPE_BYTES = 1 << 20  # what an unprivileged process may ask for; a batch has some MB


class _Starter:
    """A thread that starts children and never ends.

    The kernel's signal for the death of a parent is tied to the *thread* that started the child: of
    a thread that ends earlier than the process, the child would die early.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]]
        self._jobs = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """`subprocess.Popen` with three pipes and a process group of its own."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="starter")
                self._thread.start()
        answer: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()
        pipe = subprocess.PIPE
        self._jobs.put(
            (
                lambda: subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    bufsize=0,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=pipe,
                    env=environment,
                    process_group=0,
                ),
                answer,
            )
        )
        result = answer.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _run(self) -> None:
        while True:
            job, answer = self._jobs.get()
            try:
                answer.put(job())
            except BaseException as error:  # noqa: BLE001 - raised by who asked
                answer.put(error)


_starter = _Starter()


def start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a child, by the thread that never ends."""
    return _starter.start(command, environment)


def streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """The ends of its pipes: stdin, made larger, stdout and stderr."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a child was started without its pipes")
    with suppress(
        AttributeError, OSError
    ):  # Linux alone; 64 KiB is two switches of process for each
        fcntl.fcntl(process.stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process.stdin, process.stdout, process.stderr
