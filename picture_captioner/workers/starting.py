"""How a child is started: by one thread that never ends, with three pipes.

`Started` is all that `process.py` knows of it: a child on another machine is one, too
(engines/ray_engine.py).
"""

from __future__ import annotations

import fcntl
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, Protocol

from picture_captioner.workers.ending import kill_group
from picture_captioner.workers.environment import child_environment

_PIPE_BYTES = 1 << 20  # what an unprivileged process may ask for; a batch has some MB


class Started(Protocol):
    """A child that runs, as `subprocess.Popen` has it, with a way to end all that it started."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def poll(self) -> int | None:
        """The exit status, once it has ended."""

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, if it can be had; `subprocess.TimeoutExpired` if it takes longer."""

    def kill_group(self) -> None:
        """SIGKILL for it and its children."""


class _ChildHere(subprocess.Popen[bytes]):
    """A child on this machine, in a process group of its own."""

    def kill_group(self) -> None:
        """As in `Started`."""
        kill_group(self.pid)


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

    def start(self, command: list[str], environment: Mapping[str, str]) -> _ChildHere:
        """`subprocess.Popen` with three pipes and a process group of its own."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="starter")
                self._thread.start()
        answer: queue.SimpleQueue[_ChildHere | BaseException] = queue.SimpleQueue()
        pipe = subprocess.PIPE
        self._jobs.put(
            (
                lambda: _ChildHere(
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


def start_child() -> _ChildHere:
    """A child that ends with this process; raises `OSError` where there is no room for one."""
    # Without -P the folder that a person is in would come before the library.
    command = [sys.executable, "-P", "-m", "picture_captioner.workers.child", str(os.getpid())]
    return _starter.start(command, child_environment())


def streams(process: Started) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """The ends of its pipes: stdin, made larger, stdout and stderr."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a child was started without its pipes")
    with suppress(
        AttributeError, OSError
    ):  # Linux alone; 64 KiB is two switches of process for each
        fcntl.fcntl(process.stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process.stdin, process.stdout, process.stderr
