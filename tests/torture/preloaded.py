"""A process that has imported the program and forks one run after the other from it.

Starting python and importing a provider's SDK takes a second of processor time; a fork takes ten
milliseconds. So a thousand runs can be killed where there was time for fifty. What runs is the
program itself, from `caption.main` on, in a process and a session of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.support import environment

PRELOADED = (
    "picture_captioner.cli.caption_app",
    "picture_captioner.cli.commands.run",
    "picture_captioner.cli.commands.estimate",
    "picture_captioner.cli.commands.summary",
    "picture_captioner.cli.commands.price",
    "picture_captioner.cli.commands.maintain",
    "picture_captioner.cli.commands.people_decisions",
    "tqdm",
    "picture_captioner.pipeline.runner",
    "picture_captioner.pipeline.decoding.decoder_worker",
    "picture_captioner.backends.deadline",
    "tests.torture.faults",
)
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
SDKS["all"] = tuple(itertools.chain.from_iterable(SDKS.values()))


class Run:
    """One run of the program; its output is in `output.txt` of its directory."""

    def __init__(self, server: Preloaded, pid: int, output: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server, self._output = server, output

    def wait(self, seconds: float = 60) -> int:
        """The exit status, as `subprocess` has it: -9 after SIGKILL."""
        if self.returncode is None:
            answer = self._server.read(seconds)
            if answer is None:
                os.killpg(self.pid, signal.SIGKILL)
                self._server.read(10)
                raise AssertionError(f"still running after {seconds} s: {self.said}")
            self.returncode = os.waitstatus_to_exitcode(int(answer))
        return self.returncode

    def poll(self) -> int | None:
        """The exit status if it has ended."""
        return self.wait() if self.returncode is None and self._server.readable(0) else None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)  # it is not reaped before the server says so

    @property
    def said(self) -> str:
        return self._output.read_text(errors="replace")


class Preloaded:
    """Runs of the program, one at a time; `sdk` is the backend that has been imported already."""

    def __init__(self, sdk: str = "openai") -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, sdk], cwd=ROOT, env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self.read(120) == "ready"
        self._last: Run | None = None

    def __enter__(self) -> Preloaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def start(
        self, *arguments: object, cwd: Path, faults: Sequence[tuple[Any, ...]] = (), **env: str
    ) -> Run:
        """Start the program; `faults` are functions of faults.py by name, with arguments."""
        if self._last is not None and self._last.returncode is None:  # a test that failed left it
            with contextlib.suppress(ProcessLookupError):
                self._last.kill()
            self._last.wait()
        output = cwd / "output.txt"
        output.write_bytes(b"")
        asked = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd), "env": environment(**env), "faults": faults, "output": str(output),
        }  # fmt: skip
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        pid = self.read(30)
        assert pid is not None
        self._last = Run(self, int(pid), output)
        return self._last

    def run(self, *arguments: object, cwd: Path, seconds: float = 60, **more: Any) -> Run:
        """Run the program to its end."""
        run = self.start(*arguments, cwd=cwd, **more)
        run.wait(seconds)
        return run

    def readable(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def read(self, seconds: float) -> str | None:
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip() if self.readable(seconds) else None


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    """Until it is true, asked every 5 ms."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _next_run() -> dict[str, Any] | None:
    """In a new process: what it is to run. In this one: None, when nothing more is asked for."""
    _tell("ready")
    for line in sys.stdin.buffer:
        if (pid := os.fork()) == 0:
            asked: dict[str, Any] = json.loads(line)
            return asked
        _tell(pid)
        _tell(os.waitpid(pid, 0)[1])
    return None


def _become(asked: dict[str, Any]) -> None:
    """The process as a shell would have started it."""
    os.setsid()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[:0] = [path for path in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = [str(ROOT / "caption.py"), *asked["arguments"]]
    output = os.open(asked["output"], os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    faults = importlib.import_module("tests.torture.faults")
    for name, *arguments in asked["faults"]:
        getattr(faults, name)(*arguments)


def _run_to_the_end() -> NoReturn:
    """`caption.main`, and what the interpreter does at its end, but for taking its heap to pieces:

    in a forked process that copies every page of it, which takes two seconds.
    """
    status: object = 0
    try:
        importlib.import_module("caption").main()
    except SystemExit as ended:
        status = ended.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(status if isinstance(status, int) else 1)


def _warm_up() -> None:
    """What every run would do once more: imports, the table of prices, the decoders' fork server.

    A fork server is its maker's child, and multiprocessing looks after it with `waitpid`; a run
    that inherits it must leave that out.
    """
    for module in (*PRELOADED, *SDKS[sys.argv[1]]):
        importlib.import_module(module)
    prices = importlib.import_module("picture_captioner.pipeline.asking.prices")
    prices.Prices("openai", "gpt-5-mini").cost({"input_tokens": 1, "output_tokens": 1})
    decoders = importlib.import_module("picture_captioner.pipeline.decoding.decoder_process")
    with decoders._signals_held_back():
        forkserver.ensure_running()
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]


if __name__ == "__main__":
    _warm_up()
    if (request := _next_run()) is not None:
        _become(request)
        _run_to_the_end()
