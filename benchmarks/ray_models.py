"""How much faster two copies of a model on Ray are than one.

    python -m benchmarks.ray_models [--photos 100] [--quick]

The model is a stub that takes 200 ms a photo and no processor; what is measured is the way to it
and back: decoded by Ray's decoders, sent to a copy, captioned, journalled and synced. Counted
from the tenth acknowledged photo on, so that Ray's start is left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.finding import Finding
from benchmarks.photos import draw_photos

STUB_SECONDS = 0.2
AIM = 1.9
WARM = 10


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    photos = WARM + 10 if given.quick else given.photos
    with tempfile.TemporaryDirectory() as work:
        draw_photos(Path(work) / "photos", photos, 128)
        rows = [_measure(Path(work), copies, photos) for copies in (1, 2)]
    times = rows[1]["captions/s"] / rows[0]["captions/s"]
    Finding(
        benchmark="ray_models",
        stage="a stub of 200 ms a photo on Ray, two copies",
        contender="one copy",
        aim=f"{AIM:g} times as fast",
        reached=f"{times:.2f} times",
        met=times >= AIM,
        limit="The moment between a copy's answer and its next photo.",
        rows=rows,
    ).tell()


def _measure(work: Path, copies: int, photos: int) -> dict[str, Any]:
    """Captions a second with so many copies."""
    from tests.killer import install_killer

    plugin = work / f"plugin{copies}"
    journal = work / f"{copies}.jsonl"
    command = [sys.executable, str(ROOT / "caption.py"), "run", f"--photos-dir={work / 'photos'}"]
    command += ["--backend=driver", "--option=batch=1", f"--option=delay={STUB_SECONDS}"]
    command += ["--engine=ray", f"--model-copies={copies}", "--no-library"]
    command += [f"--captions-jsonl={journal}"]
    environment = os.environ | {"PYTHONPATH": install_killer(plugin)}
    with (work / f"{copies}.txt").open("wb") as output:
        run = subprocess.Popen(  # noqa: S603 - this program
            command, cwd=work, env=environment, stdout=output, stderr=output
        )
    began, before = 0.0, 0
    while (done := _lines(journal)) < photos:
        if run.poll() is not None and _lines(journal) < photos:
            raise SystemExit((work / f"{copies}.txt").read_text())
        if not began and done >= WARM:
            began, before = time.monotonic(), done
        time.sleep(0.005)
    seconds = time.monotonic() - began
    run.wait()
    return {
        "copies": copies,
        "captions/s": round((photos - before) / seconds, 2),
        "at best": copies / STUB_SECONDS,
    }


def _lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


if __name__ == "__main__":
    main()
