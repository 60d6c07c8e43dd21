"""Runs of the real program that die at a chosen moment, as forks of a process that has it loaded.

As a program: `python -m tests.torture.dying_runs FOLDER SEED DEATHS CULPRITS` captions libraries of
12 photos in FOLDER, one after the other, until so many runs died. Up to eight runs on each library
are to die of a SIGKILL at a random event (a write, a rename, an unlink, a request to the backend;
before or after it); CULPRITS of the photos kill a run as well. Prints what came of it as JSON.
Photos are decoded in the process itself: decoders have tests of their own, and starting them would
take most of the time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
from pathlib import Path

import test_killer  # put on PYTHONPATH by `install_killer`

from picture_captioner import image_loader
from picture_captioner.cli import caption_app as caption
from picture_captioner.pipeline.asking import trials  # noqa: F401 - loaded before the forks
from picture_captioner.pipeline.decoding import decode_ahead
from tests.killer import draw_killer
from tests.support import effective, library, records

PHOTOS = 12
EVENTS = 60
"""A first run has up to a hundred; a kill that is planned for later than the end does not come."""
DEATHS_OF_A_CULPRIT = 5


class Fault:
    """SIGKILL at the nth event."""

    def __init__(self, at):
        self.left = at
        self.lock = threading.Lock()

    def around(self, owner, name):
        real = getattr(owner, name)

        def function(*arguments, **named):
            self.event()
            result = real(*arguments, **named)
            self.event()
            return result

        setattr(owner, name, function)

    def event(self):
        with self.lock:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Here:
    """Stands in for the decoder process."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def load(self, path, edge, known=frozenset(), jpeg_quality=None, **flags):
        return image_loader.load_image(path, edge, known, **flags)


def run(folder, arguments, fault):
    """One run in a fork; its exit code, or minus the signal that it died of."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        decode_ahead.Decoder = Here
        if fault:
            fault.around(os, "write")
            fault.around(os, "unlink")
            fault.around(os, "replace")
            fault.around(test_killer.Driver, "caption")
        os._exit(caption.execute(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Library:
    """12 photos, of which some are culprits, and what the runs on them came to."""

    def __init__(self, folder, rng, culprits):
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.journal = folder, folder / "captions.jsonl"
        library(folder / "photos", PHOTOS - culprits)
        self.culprits = {f"000/{rng.randrange(PHOTOS):05d}x{n}.png" for n in range(culprits)}
        for n, name in enumerate(sorted(self.culprits)):
            draw_killer(folder / "photos" / name, mark=n)
        backend = rng.choice(["driver", "batches"])
        option = f"--option=signal={rng.choice(['SIGSEGV', 'SIGKILL'])}"
        self.arguments = ["run", f"--backend={backend}", "--photos-dir=photos", option]
        self.deaths = self.runs = 0

    def caption_all(self, rng):
        """Run again and again until all is done; false if that takes more than it should."""
        faulty = rng.randrange(1, 9)
        while self.runs <= faulty + DEATHS_OF_A_CULPRIT * len(self.culprits):
            fault = Fault(rng.randrange(1, EVENTS)) if self.runs < faulty else None
            code = run(self.folder, self.arguments, fault)
            self.runs += 1
            if code == 0:
                return True
            if code not in {-signal.SIGKILL, -signal.SIGSEGV}:
                raise AssertionError((self.folder / "output.txt").read_text())
            self.deaths += 1
        return False

    def wrongs(self):
        """What must not be: blamed though innocent, not found out, lost, or left behind."""
        found = effective(self.journal)
        blamed = {n for n, r in found.items() if r["status"] != "success"}
        names = {str(p.relative_to(self.folder / "photos")) for p in self.folder.rglob("0*.*")}
        left = [p.name for p in self.folder.iterdir() if "inflight" in p.name]
        return {
            "innocent and blamed": sorted(blamed - self.culprits),
            "guilty and not found out": sorted(self.culprits - blamed),
            "lost": sorted(names - set(found)),
            "recorded twice": len(records(self.journal)) - len(found),
            "left behind": left,
        }


def main(folder, seed, deaths, culprits):
    rng, done = random.Random(seed), {"deaths": 0, "runs": 0, "libraries": 0, "wrong": []}
    while done["deaths"] < deaths:
        one = Library(folder / "library", rng, culprits)
        ended = one.caption_all(rng)
        wrongs = {what: value for what, value in one.wrongs().items() if value}
        if wrongs or not ended:
            said = (one.folder / "output.txt").read_text()
            done["wrong"].append(wrongs | {"ended": ended, "said": said})
        done["deaths"] += one.deaths
        done["runs"] += one.runs
        done["libraries"] += 1
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
