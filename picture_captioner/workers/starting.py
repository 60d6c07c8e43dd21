"""How a child is started: by one thread that never ends, with three pipes; and how it ended.

What a process that reads photos gets of the environment is one list for all of them, decoders and
models: what libraries read, and no secrets.

`Started` is all that `process.py` knows of it: a child on another machine is one, too
(engines/ray_engine.py).
"""

from __future__ import annotations

import fcntl
import os
import queue
import re
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SHELL"),
        *("VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    }
)
_PREFIXES = (
    *("LC_", "PYTHON", "LD_", "DYLD_", "GLIBC_"),
    *("CUDA", "NVIDIA_", "CUDNN_", "NCCL_", "HIP_", "ROCR_", "HSA_", "MIOPEN_"),
    *("HF_", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_", "TORCH", "PYTORCH_", "TRITON_", "BNB_"),
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "NUMEXPR_", "DNNL_", "ONEDNN_", "ORT_", "MALLOC_"),
)
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH")

_ADDRESS_WITH_PASSWORD = re.compile(r"://[^/\s]*@")

_ROOT = Path(__file__).parent.parent.parent


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What may pass: where things are, how to spell them, how libraries compute; no keys."""
    return {name: value for name, value in variables.items() if _is_allowed(name, value)}


def child_environment(parent: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a model's process.

    The hub is out of reach: what has to be downloaded is downloaded by the parent, aloud.
    """
    given = os.environ if parent is None else parent
    allowed = clean_environment(given)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return allowed | offline | _import_path(allowed)


def _is_allowed(name: str, value: str) -> bool:
    if any(word in name.upper() for word in _SECRET) or _ADDRESS_WITH_PASSWORD.search(value):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def _import_path(allowed: Mapping[str, str]) -> dict[str, str]:
    """Let a child find this package in a checkout; where it is installed, it does so by itself."""
    if Path(sysconfig.get_path("purelib")) == _ROOT:
        return {}
    paths = [str(_ROOT), allowed.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def cause_of_death(code: int | None) -> str:
    """What an exit status says, to follow a noun: `crashed (SIGSEGV)`.

    `code` is as subprocess and multiprocessing give it: minus the signal's number after one.
    """
    if code is None:
        return "broke off the conversation"
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL): was the machine out of memory?"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def kill_group(leader: int | None) -> None:
    """SIGKILL for a process that leads a group, and for its children.

    To be asked for only while the number is known to be that process's own.
    """
    if leader is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


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
