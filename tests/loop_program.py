"""A program that `run_loop.sh` can drive: it does what plan.json beside it says, and takes notes.

The plan is {"batches": [[ending, new records], ...]}. An ending is an exit code, the name of a
signal to die of, `wait` (end properly on the first signal) or `stubborn` (on the second one). A
batch after the last one ends with 99. New records are told in the file CAPTION_LOOP, but for None.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PLAN = json.loads((HERE / "plan.json").read_text())
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def note(file, value):
    with open(HERE / file, "a") as notes:
        notes.write(json.dumps(value) + "\n")


def wait_for_signals(count):
    received = []
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda n, _: received.append(n))
    sys.stderr.write("at work\n")  # as a progress bar does
    note("waiting", os.getpid())
    deadline = time.monotonic() + 20
    while len(received) < count and not (HERE / "finish").exists():
        if time.monotonic() > deadline:
            sys.exit(98)
        if received and not (HERE / "signalled").exists():
            note("signalled", received[0])
        time.sleep(0.01)
    return received


def run_batch(ending, new):
    if new is not None:
        Path(os.environ["CAPTION_LOOP"]).write_text(str(new))
    if isinstance(ending, int):
        return ending
    if ending in {"wait", "stubborn"}:
        received = wait_for_signals(count=2 if ending == "stubborn" else 1)
        note("ended_properly", received)
        return 128 + received[0] if received else 0
    os.kill(os.getpid(), signal.Signals[ending])
    raise AssertionError("still alive")


def main():
    arguments = sys.argv[1:]
    note("calls", {"arguments": arguments, "cwd": os.getcwd(), "python": sys.executable})
    note("batches", arguments)
    done = len((HERE / "batches").read_text().splitlines()) - 1
    return run_batch(*PLAN["batches"][done]) if done < len(PLAN["batches"]) else 99


if __name__ == "__main__":
    sys.exit(main())
