"""What the tests of run_loop.sh share: the loop in a folder of its own, and what it did there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

from tests.support import ROOT, environment, install_plugin, library

SCRIPT = ROOT / "run_loop.sh"
PROGRAM = ROOT / "tests" / "loop_program.py"
OWN_SETTINGS = ("CAPTION", "BATCH", "CRASH_PAUSE", "VIRTUAL_ENV")


def loop_environment(**settings):
    """The environment of a person who has set nothing but `settings`."""
    inherited = {k: v for k, v in environment().items() if k not in OWN_SETTINGS}
    return inherited | {"CRASH_PAUSE": "0"} | settings


class Loop:
    """run_loop.sh in a folder of its own, with a planned program."""

    seconds = 30  # that it may take

    def __init__(self, folder):
        self.folder = folder
        self.cwd = folder / "where I am"
        self.cwd.mkdir(parents=True)
        self.journal = self.cwd / "captions.jsonl"
        self.script = SCRIPT
        self.program = shutil.copy(PROGRAM, folder / "caption.py")
        self.env = {"CAPTION": f"{sys.executable} -S {self.program}"}

    def plan(self, *batches):
        (self.folder / "plan.json").write_text(json.dumps({"batches": batches}))
        return self

    def drive_the_real_program(self, photos):
        """caption.py with the backend `service` of the tests, and some photos in `my photos`."""
        library(self.cwd / "my photos", photos)
        plugin = install_plugin(self.folder / "plugin")
        program = f"{sys.executable} {ROOT / 'caption.py'}"
        self.env = {"CAPTION": program, "PYTHONPATH": plugin}
        return self

    def run(self, *arguments, **env):
        return subprocess.run(
            [str(self.script), *arguments],
            cwd=self.cwd,
            env=loop_environment(**(self.env | env)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )

    def start(self, *arguments, ignore=(), **env):
        """Start the loop in a session of its own; its stderr goes to a file."""

        def disposition():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number in ignore else signal.SIG_DFL)

        with open(self.folder / "stderr", "wb") as stderr:
            return subprocess.Popen(
                [str(self.script), *arguments],
                cwd=self.cwd,
                env=loop_environment(**(self.env | env)),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=disposition,
            )

    def wait_for(self, file):
        """Wait until the file is there with something in it; it is made before it is written."""
        path = self.folder / file
        self.wait_until(lambda: path.exists() and path.stat().st_size > 0, f"no {file}")

    def wait_until(self, condition, otherwise):
        deadline = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline, f"{otherwise}: {self.said()}"
            time.sleep(0.02)

    def said(self):
        return (self.folder / "stderr").read_text()

    def notes(self, file):
        path = self.folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def batches(self):
        """The arguments of every batch, without the leading `run`."""
        assert all(arguments[0] == "run" for arguments in self.notes("batches"))
        return [arguments[1:] for arguments in self.notes("batches")]
