"""A process that has imported the program and forks runs from it.

Starting python and importing the program takes half a second of processor time, a second with a
provider's SDK; a fork takes ten milliseconds. So thousands of runs fit where there was time for
hundreds. What runs is the program itself, from `main` on, in a process and a session of its own,
with arguments, environment, folder and streams of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

ROOMS = ("cli", "journal", "library", "pipeline", "report", "writeback")
HEAVY = ("picture_captioner.pipeline.people", "picture_captioner.cli.commands.batch")
"""What imports an SDK or onnxruntime, or with what is below it takes a second."""
SDKS = {
    "openai": (
        "picture_captioner.backends.openai",
        "openai.resources.chat",
        "openai.resources.models",
    ),
    "anthropic": ("picture_captioner.backends.anthropic", "anthropic.resources.messages"),
    "gemini": ("picture_captioner.backends.gemini", "google.genai.models"),
    "bedrock": ("picture_captioner.batch.bedrock",),
}
"""What is imported when it is first needed: half a second each."""


class Run:
    """One run of the program; it ends with the server at the latest."""

    def __init__(self, answers: socket.socket, output: Path | None) -> None:
        self._answers, self._output = answers, output
        self.pid = int(self._read(120))
        self.returncode: int | None = None

    def wait(self, seconds: float = 60) -> int:
        """The exit status, as `subprocess` has it: -9 after SIGKILL."""
        if self.returncode is None:
            if not self.ends_within(seconds):
                os.killpg(self.pid, signal.SIGKILL)
                self._read(10)
                said = f": {self.said}" if self._output else ""
                raise AssertionError(f"still running after {seconds} s{said}")
            self.returncode = os.waitstatus_to_exitcode(int(self._read(10)))
            self._answers.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit status if it has ended."""
        return self.wait() if self.returncode is None and self.ends_within(0) else None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)  # it is not reaped before the server says so

    @property
    def said(self) -> str:
        assert self._output
        return self._output.read_text(errors="replace")

    def ends_within(self, seconds: float) -> bool:
        return bool(select.select([self._answers], [], [], seconds)[0])

    def _read(self, seconds: float) -> bytes:
        assert self.ends_within(seconds), "the server of runs says nothing"
        line = b""
        while not line.endswith(b"\n"):
            byte = self._answers.recv(1)
            assert byte, "the server of runs has died"
            line += byte
        return line


class Preloaded:
    """Runs of the program, as many at a time as are wanted."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._address = f"{self._folder.name}/runs"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())], cwd=ROOT, env=_environment(),
                stdin=subprocess.PIPE, pass_fds=[listener.fileno()], start_new_session=True,
            )  # fmt: skip
        self._last: Run | None = None

    def __enter__(self) -> Preloaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)
        self._folder.cleanup()

    def start(
        self, *arguments: object, cwd: Path, faults: Sequence[tuple[Any, ...]] = (), **env: str
    ) -> Run:
        """Start the program with its output in `output.txt`, and end what was started before.

        `faults` are functions of faults.py by name, with arguments.
        """
        if self._last is not None and self._last.returncode is None:  # a test that failed left it
            with contextlib.suppress(ProcessLookupError):
                self._last.kill()
            self._last.wait()
        path = cwd / "output.txt"
        path.write_bytes(b"")
        with path.open("ab") as output:
            self._last = Run(
                self._ask(
                    "caption.py", arguments, cwd, (output, output), _environment(**env), faults
                ),
                path,
            )
        return self._last

    def run(self, *arguments: object, cwd: Path, seconds: float = 60, **more: Any) -> Run:
        """The same, to its end."""
        run = self.start(*arguments, cwd=cwd, **more)
        run.wait(seconds)
        return run

    def capture(
        self, program: str, *arguments: object, cwd: Path, seconds: float, env: Mapping[str, str]
    ) -> tuple[int, str, str]:
        """Run `caption.py` or `cluster_report.py` to its end: exit status, stdout and stderr."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = Run(self._ask(program, arguments, cwd, (out, err), env), None).wait(seconds)
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "surrogateescape"))
        return status, texts[0], texts[1]

    def _ask(
        self,
        program: str,
        arguments: Sequence[object],
        cwd: Path,
        streams: Sequence[IO[bytes]],
        env: Mapping[str, str],
        faults: Sequence[tuple[Any, ...]] = (),
    ) -> socket.socket:
        """The socket on which the server says the process id, and in the end the exit status."""
        asked = {
            "program": program, "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd), "env": dict(env), "faults": faults,
        }  # fmt: skip
        data = json.dumps(asked).encode()
        answers = socket.socket(socket.AF_UNIX)
        answers.connect(self._address)
        descriptors = [stream.fileno() for stream in streams]
        socket.send_fds(answers, [len(data).to_bytes(4, "big")], descriptors)
        answers.sendall(data)
        return answers


@functools.cache
def shared() -> Preloaded:
    """The one of this process, which ends with it."""
    server = Preloaded()
    atexit.register(server.close)
    return server


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    """Until it is true, asked every 5 ms."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def _environment(**env: str) -> dict[str, str]:
    from tests.support import environment

    return environment(**env)


# -- inside that process ---------------------------------------------------------------------------


class _Server:
    """Forks; a run's end is the end of a pipe whose other side it alone has."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def next_run(self) -> dict[str, Any] | None:
        """In a new process: what it is to run. In this one: None, when nobody asks any more."""
        while True:
            ready = select.select([0, self._listener, *self._running], [], [])[0]
            for end in self._running.keys() & set(ready):
                self._ended(end)
            if self._listener in ready and (asked := self._begin()) is not None:
                return asked
            if 0 in ready:
                for pid, _ in self._running.values():
                    with contextlib.suppress(ProcessLookupError):  # it may not have a group yet
                        os.killpg(pid, signal.SIGKILL)
                return None

    def _begin(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        length, streams, *_ = socket.recv_fds(connection, 4, 2)
        with connection.makefile("rb") as stream:
            asked: dict[str, Any] = json.loads(stream.read(int.from_bytes(length, "big")))
        _import_what_it_will_need(asked["arguments"])
        end, ours = os.pipe()
        if (pid := os.fork()) == 0:
            os.setsid()
            for number in (end, self._listener.fileno(), connection.fileno(), *self._running):
                os.close(number)
            os.set_inheritable(ours, False)
            for number, descriptor in zip((1, 2), streams, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return asked
        for number in (ours, *streams):
            os.close(number)
        self._running[end] = pid, connection
        _tell(connection, pid)
        return None

    def _ended(self, end: int) -> None:
        pid, connection = self._running.pop(end)
        os.close(end)
        with connection:
            _tell(connection, os.waitpid(pid, 0)[1])


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # a test that failed does not listen
        connection.sendall(f"{number}\n".encode())


def _import_what_it_will_need(arguments: Sequence[str]) -> None:
    for name, modules in SDKS.items():
        if any(name in argument for argument in arguments):
            for module in modules:
                importlib.import_module(module)


def _become(asked: dict[str, Any]) -> None:
    """The process as a shell would have started it."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.path[:0] = [path for path in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = [str(ROOT / asked["program"]), *asked["arguments"]]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    faults = importlib.import_module("tests.torture.faults")
    for name, *arguments in asked["faults"]:
        getattr(faults, name)(*arguments)


def _run_to_the_end(program: str) -> NoReturn:
    """`main`, and what the interpreter does at its end, but for taking its heap to pieces:

    in a forked process that copies every page of it, which takes two seconds.
    """
    status: object = 0
    try:
        importlib.import_module(program.removesuffix(".py")).main()
    except SystemExit as ended:
        status = ended.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def _warm_up() -> None:
    """What every run would do once more: imports, the table of prices, the decoders' fork server.

    A fork server is its maker's child, and multiprocessing looks after it with `waitpid`; a run
    that inherits it must leave that out.
    """
    for room in ROOMS:
        package = importlib.import_module(f"picture_captioner.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(HEAVY) and not module.name.endswith("decoder_server"):
                importlib.import_module(module.name)
    for name in ("caption", "cluster_report", "tests.torture.faults"):
        importlib.import_module(name)
    prices = importlib.import_module("picture_captioner.pipeline.asking.prices")
    prices.Prices("openai", "gpt-5-mini").cost({"input_tokens": 1, "output_tokens": 1})
    decoders = importlib.import_module("picture_captioner.pipeline.decoding.decoder_process")
    with decoders._signals_held_back(), decoders._clean_environment():
        forkserver.ensure_running()
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    gc.freeze()


def _main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    _warm_up()
    if (asked := _Server(listener).next_run()) is not None:
        _become(asked)
        _run_to_the_end(asked["program"])


if __name__ == "__main__":
    _main()
