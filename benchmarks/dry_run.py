"""`run --dry-run` over 400 photos, end to end, beside the loop that everybody writes first.

    python -m benchmarks.dry_run [--photos 400] [--rounds 1] [--quick]

90 % are JPEGs of 12 megapixels, 10 % HEIC. The program starts, walks, hashes and decodes in
isolated processes and writes a journal, one synced line a photo. The loop walks, decodes with
Pillow, makes a thumbnail of the same size and writes and syncs a line of JSON. Both may use two
cores. A round takes a minute, so there is one by default, and no warm-up: the photos were written
just now, and start-up is part of what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.children import adopt_orphans, reap
from benchmarks.contest import Contender, contest, rows
from benchmarks.cores import use_cores
from benchmarks.decoding_alone import FLOOR, decoding_alone
from benchmarks.finding import Finding
from benchmarks.photos import TWELVE_MEGAPIXELS, draw_mixture
from picture_captioner.backends.mock import MockBackend

ROOT = Path(__file__).parent.parent
EDGE = MockBackend.preferred_edge
"""What a dry run decodes to."""

AIM = 4
STAGE = partial(
    Finding,
    benchmark="dry_run",
    stage="`run --dry-run` over 400 photos of 12 megapixels, end to end, two cores",
    contender="os.walk, Pillow's decode and thumbnail, a line of JSON, fsync",
    aim="4 times as fast",
    limit=(
        "decoding on two cores: the tenth of the photos that is HEIC takes half of it, since "
        "libde265 decodes at full size only, and the JPEGs' Huffman code most of the rest"
    ),
)


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    size, count = ((480, 360), 20) if given.quick else (TWELVE_MEGAPIXELS, given.photos)
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        draw_mixture(photos, count, size)
        samples = contest(
            {
                "plain loop": _loop(photos, Path(work)),
                "this program": _program(photos, Path(work)),
                FLOOR: decoding_alone([p for p in photos.rglob("*") if p.is_file()], EDGE),
            },
            given.rounds,
            warm_ups=0,
        )
    if any(sample.result != count for sample in samples[FLOOR]):
        raise RuntimeError("not all photos were decoded")
    names = {name: [s.result for s in found] for name, found in samples.items()}
    if any(result != names["plain loop"][0] for result in names["this program"]):
        raise RuntimeError("the contenders did not open the same photos")
    if len(names["plain loop"][0]) != count:
        raise RuntimeError("not all photos were opened")
    found = [{"photos": count} | row for row in rows(samples, "plain loop")]
    _, ratio, floor = (row["times as fast"] for row in found)
    reached = f"{ratio} times (decoding in two processes and nothing else: {floor})"
    STAGE(rows=found, reached=reached, met=ratio >= AIM).tell()


def _loop(photos: Path, work: Path) -> Contender:
    def prepare() -> Callable[[], Any]:
        use_cores(2)
        return lambda: _walk_and_open(photos, work / f"loop-{os.getpid()}.jsonl")

    return prepare


def _walk_and_open(photos: Path, journal: Path) -> list[str]:
    with journal.open("w", encoding="utf-8") as lines:
        for folder, _, names in os.walk(photos):
            for name in names:
                with Image.open(Path(folder) / name) as image:
                    image.load()
                    full = image.size
                    image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
                lines.write(json.dumps({"rel_path": name, "size": full, "small": image.size}))
                lines.write("\n")
                lines.flush()
                os.fsync(lines.fileno())
    return _names(journal)


def _program(photos: Path, work: Path) -> Contender:
    def prepare() -> Callable[[], Any]:
        use_cores(2)
        adopt_orphans()  # the decoder processes, so that their time and memory are counted
        journal = work / f"program-{os.getpid()}.jsonl"
        command = [sys.executable, str(ROOT / "caption.py"), "run", "--dry-run"]
        command += [f"--photos-dir={photos}", f"--captions-jsonl={journal}"]

        def timed() -> list[str]:
            done = subprocess.run(  # noqa: S603 - this program
                command, cwd=work, capture_output=True, check=False
            )
            reap()
            if done.returncode:
                raise RuntimeError(done.stderr.decode(errors="replace"))
            return _names(journal)

        return timed

    return prepare


def _names(journal: Path) -> list[str]:
    """Of the photos with a line, and no error."""
    records = map(json.loads, journal.read_bytes().splitlines())
    return sorted(r["rel_path"].rpartition("/")[2] for r in records if not r.get("error"))


if __name__ == "__main__":
    main()
