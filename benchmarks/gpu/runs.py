"""`caption.py run --backend local` as a person starts it: its rate, and what befalls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.gpu.check import Given, Said
from benchmarks.gpu.loading import CAP_GB
from benchmarks.gpu.models import NEW_TOKENS, model_folder, photos_for_a_run

ROOT = Path(__file__).parent.parent.parent
HANGS_AFTER = {True: 10, False: 30}
"""Seconds that a model may be silent: on the tiny model, on a card."""

_FAILS = """
import os
from picture_captioner.backends import local_engine
from picture_captioner.backends.local_hf import LocalBackend

class Failing(LocalBackend):
    name = "failing"

    def check(self):
        super().check()
        engine, generate, seen = self._engine, self._engine.generate, []

        def generating(prepared, *more):
            seen.append(prepared)
            once = os.path.join(os.path.dirname(__file__), "once")
            if len(seen) == 3 and not os.path.exists(once):
                open(once, "w").close()
                fail()
            return generate(prepared, *more)

        engine.generate = generating

def fail():
    import torch
    if not torch.cuda.is_available():
        raise RuntimeError("CUDA error: device-side assert triggered")
    wrong = torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")]
    torch.cuda.synchronize()
    raise RuntimeError(f"no assert: {wrong}")
"""


class Run:
    """One run in a folder of its own."""

    def __init__(self, given: Given, name: str, photos: int, *flags: str, **env: str) -> None:
        """Start it."""
        self._photos = photos_for_a_run(given, photos, name)
        self.folder = self._photos.parent
        self.wanted = photos
        small = ("--max-pixels=50000", "--max-new-tokens=12") if given.tiny else ()
        command = [sys.executable, str(ROOT / "caption.py"), "run", f"--photos-dir={self._photos}"]
        if not any(flag.startswith("--backend") for flag in flags):
            command += ["--backend=local"]
        command += [f"--model={model_folder(given)}", f"--device={given.device}", *small, *flags]
        with (self.folder / "said.txt").open("w") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command, cwd=self.folder, stdout=said, stderr=said, env=os.environ | env
            )
        self.started = time.monotonic()

    def said(self) -> str:
        """What it has written for the person."""
        return (self.folder / "said.txt").read_text("utf-8", "replace")

    def records(self) -> list[dict[str, Any]]:
        """What is in its journal."""
        path = self.folder / "captions.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def child(self) -> psutil.Process:
        """The model's process."""
        for process in psutil.Process(self._process.pid).children():
            if "picture_captioner.workers.child" in process.cmdline():
                return process
        raise RuntimeError("the run has no model's process")

    def wait_for(self, what: Callable[[], object], seconds: float) -> bool:
        """Whether it came, before the run ended and within so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            if what():
                return True
            time.sleep(0.02)
        return bool(what())

    def end(self, seconds: float) -> int:
        """Its exit code; it is asked to stop when its time is over."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(15)
        self._process.kill()
        return self._process.wait()

    def must_be_whole(self, said: Said, code: int) -> None:
        """Every photo has one record, a caption."""
        written = self.records()
        good = [record for record in written if record["status"] == "success"]
        said.must(code == 0, f"ended with {code}: {self.said()[-600:]}")
        said.must(len(written) == self.wanted, f"{len(written)} records of {self.wanted}")
        said.must(len({r["rel_path"] for r in written}) == len(written), "a photo was done twice")
        said.must(len(good) == len(written), f"{len(written) - len(good)} photos failed")
        said.note(records=len(written))


def run_int4(given: Given, said: Said) -> None:
    """200 photos in nf4 with the memory of the card that it is meant for."""
    _rate(given, said, "int4", "--quantization=int4", f"--option=memory_gb={CAP_GB:g}")


def run_whole(given: Given, said: Said) -> None:
    """200 photos with 16-bit weights."""
    _rate(given, said, "whole", "--quantization=none")


def _rate(given: Given, said: Said, name: str, *flags: str) -> None:
    """Photos a second, from the first record on and with starting; what time allows counts."""
    run = Run(given, name, 24 if given.tiny else 200, *_capped(given, flags))
    run.wait_for(run.records, given.seconds)
    first = time.monotonic()
    early = len(run.records())
    code = run.end(max(given.seconds - (first - run.started) - 25, 5))
    ended = time.monotonic()
    written = len(run.records())
    if code == 130:  # its time was over
        said.must(written > early, "no photo was done in time")
        said.note(records=written)
    else:
        run.must_be_whole(said, code)
    said.note(photos_a_second=(written - early) / max(ended - first, 1e-9))
    said.note(seconds_to_the_first=first - run.started, with_start=written / (ended - run.started))
    said.note(line=run.said().splitlines()[-1][:200] if run.said() else "")


def _capped(given: Given, flags: tuple[str, ...]) -> tuple[str, ...]:
    """The tiny model on a CPU needs no limit, and would not know one."""
    length = () if given.tiny else (f"--max-new-tokens={NEW_TOKENS}",)
    return (*(f for f in flags if not (given.tiny and "memory_gb" in f)), *length)


def deaths(given: Given, said: Said) -> None:
    """Killed once, hung once: no photo is lost, and none is blamed."""
    count = 24 if given.tiny else 48
    flags = (
        "--batch-size=2" if given.tiny else "--batch-size=8",
        f"--timeout={HANGS_AFTER[given.tiny]}",
    )
    run = Run(given, "deaths", count, *_capped(given, flags))
    for number, number_of_signal in enumerate((signal.SIGKILL, signal.SIGSTOP), 1):
        before = len(run.records())
        came = run.wait_for(partial(_has_more, run, before), given.seconds / 2)
        if not came:
            said.must(False, f"no photo was done before fault {number}: {run.said()[-400:]}")
            break
        run.child().send_signal(number_of_signal)
        words = f"Model loaded again, {number + 1}"
        back = run.wait_for(partial(_has_said, run, words), given.seconds / 2)
        said.must(back, f"no other process loaded the model after {number_of_signal.name}")
    run.must_be_whole(said, run.end(given.seconds / 2))
    loads = [line for line in run.said().splitlines() if "Model loaded again" in line]
    said.note(loads="; ".join(loads)[:300])


def _has_more(run: Run, records: int) -> bool:
    return len(run.records()) > records


def _has_said(run: Run, words: str) -> bool:
    return words in run.said()


def _hog(leave_gb: float, seconds: float) -> subprocess.Popen[str]:
    """A program that has filled the card."""
    command = [sys.executable, "-m", "benchmarks.gpu.hog", str(leave_gb), str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if process.stdout is None or process.stdout.readline().strip() != "full":
        raise RuntimeError("the card could not be filled")
    return process


def squeeze(given: Given, said: Said) -> None:
    """Another program takes the card during a run, and leaves: photos wait, none is lost."""
    run = Run(given, "squeeze", 64, *_capped(given, ("--quantization=int4",)))
    said.must(run.wait_for(run.records, given.seconds / 2), f"no photo: {run.said()[-300:]}")
    hog = _hog(leave_gb=0.3, seconds=15)
    run.must_be_whole(said, run.end(given.seconds / 2))
    said.must(hog.wait(30) == 0, "the other program failed")
    said.note(halved="do not fit into the memory" in run.said())


def hogs(given: Given, said: Said) -> None:
    """Another program that was there first, and one that comes while the model is loaded."""
    hog = _hog(leave_gb=1.0, seconds=40)
    run = Run(given, "full", 8, *_capped(given, ("--quantization=int4",)))
    code = run.end(60)
    said.must(code == 69, f"on a full card the run ended with {code}: {run.said()[-300:]}")
    said.must("nvidia-smi" in run.said(), "the sentence names no cure")
    said.must(not run.records(), "something was recorded on a full card")
    hog.wait(60)
    run = Run(given, "loading", 8, *_capped(given, ("--quantization=int4",)))
    run.wait_for(lambda: "Loading" in run.said(), 60)
    hog = _hog(leave_gb=0.5, seconds=20)
    code = run.end(120)
    said.must(code in (0, 69), f"filled while loading, it ended with {code}: {run.said()[-300:]}")
    said.note(while_loading=code)
    hog.wait(60)


def device_assert(given: Given, said: Said) -> None:
    """A device-side assert costs the process, and no photo."""
    plugin = given.folder / "plugin"
    info = plugin / "benchmark_failing-1.0.dist-info"
    info.mkdir(parents=True)
    (plugin / "benchmark_failing.py").write_text(_FAILS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark-failing\nVersion: 1.0\n")
    entry = "[picture_captioner.backends]\nfailing = benchmark_failing:Failing\n"
    (info / "entry_points.txt").write_text(entry)
    path = os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")])
    flags = ("--backend=failing", "--batch-size=2")
    run = Run(given, "assert", 16, *_capped(given, flags), PYTHONPATH=path)
    run.must_be_whole(said, run.end(given.seconds - 20))
    said.must("lost its device" in run.said(), "nobody said that the device was lost")
