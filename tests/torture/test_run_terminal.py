"""The window in which a run works is closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time

from tests.preloaded import wait_for
from tests.support import command, environment, library, records


def test_a_terminal_that_hangs_up_ends_the_run_after_what_is_under_way(tmp_path, plugin, tried):
    library(tmp_path / "photos", 60)
    ours, theirs = pty.openpty()
    log = f"--option=log={tmp_path / 'requests.txt'}"
    line = command("run", "--backend=service", "--photos-dir=photos", "--option=delay=0.2", log)
    script = f"exec setsid --ctty {' '.join(line)}"
    run = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=environment(PYTHONPATH=plugin),
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    wait_for(lambda: (tmp_path / "requests.txt").exists())
    time.sleep(0.5)
    os.close(ours)  # the window is closed
    assert run.wait(20) in (128 + signal.SIGHUP, -signal.SIGHUP)
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == len((tmp_path / "requests.txt").read_text().splitlines()) < 60
    tried("a terminal that hangs up", 1)
