"""What a run does before its first photo: walk the library, read the journal, select.

    python -m benchmarks.starting [--photos 1000000] [--quick]

A million files in a thousand folders (empty ones: nobody opens them) and a journal of a million
records. The walk stands beside `find`, which is asked for sizes and times too; the journal beside
`json.loads` for each line into a dict, which validates nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contest import Contender, contest, rows
from benchmarks.finding import Finding
from benchmarks.journal_writes import made_records
from benchmarks.tiny_photos import touch_tiny_files
from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS
from picture_captioner.journal.reading import read_index
from picture_captioner.pipeline.selecting.selection import Identity, SelectionRules, select
from picture_captioner.pipeline.selecting.walk import PhotoKinds, walk_photos

MOST_MEMORY_MB = 1200.0
WALK, FIND = "walk: this program", "walk: find -printf"
FLOOR = "walk: scandir and stat alone"
READ, PLAIN = "journal: this program", "journal: json.loads a line"
ALL = "walk, journal and selection"
MADE_AT_ONCE = 10_000


def write_journal(path: Path, count: int) -> None:
    """A record for each of as many files as `touch_tiny_files` makes, in the same order."""
    with path.open("wb") as stream:
        for first in range(0, count, MADE_AT_ONCE):
            for record in made_records(min(MADE_AT_ONCE, count - first), first):
                stream.write(record.to_line())


def walk(folder: Path) -> Contender:
    """How many photos it finds."""
    kinds = PhotoKinds(PHOTO_EXTENSIONS)
    return lambda: lambda: len(walk_photos(folder, kinds).photos)


def find(folder: Path, work: Path) -> Contender:
    """As a script would use it: its lines go to a file, and are counted."""
    program = shutil.which("find") or "find"
    command = [program, str(folder), "-type", "f", "-printf", r"%s %T@ %P\n"]

    def timed() -> int:
        with tempfile.TemporaryFile(dir=work) as lines:
            subprocess.run(command, stdout=lines, check=True)  # noqa: S603 - find
            lines.seek(0)
            return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 20), b""))

    return lambda: timed


def bare_walk(folder: Path) -> Contender:
    """The floor in Python: every file's size and time, and nothing made of them."""

    def timed() -> int:
        files, folders = 0, [str(folder)]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        entry.stat(follow_symlinks=False)
                        files += 1
        return files

    return lambda: timed


def read(path: Path) -> Contender:
    """How many records it has; each was validated."""
    return lambda: lambda: len(read_index(path).entries)


def plain(path: Path) -> Contender:
    """The usual lines of code."""

    def timed() -> int:
        with path.open("rb") as lines:
            return len({record["rel_path"]: record for record in map(json.loads, lines)})

    return lambda: timed


def whole(folder: Path, path: Path) -> Contender:
    """All that is held in memory at the start of a run; how many photos are done."""
    identity = Identity("openai", "gpt-4o-mini", "0123456789ab", placeholder=False)

    def timed() -> int:
        index = read_index(path)
        photos = walk_photos(folder, PhotoKinds(PHOTO_EXTENSIONS)).photos
        pending = select(photos, index, SelectionRules(identity))
        if pending.photos:
            raise RuntimeError(f"{len(pending.photos)} photos are pending")
        return pending.done.total()

    return lambda: timed


def measure(photos: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each contender; fails unless all of them counted the same."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder, path = work / "photos", work / "captions.jsonl"
        touch_tiny_files(folder, photos)
        write_journal(path, photos)
        found = []
        for contenders in (
            {WALK: walk(folder), FLOOR: bare_walk(folder), FIND: find(folder, work)},
            {READ: read(path), PLAIN: plain(path)},
            {ALL: whole(folder, path)},
        ):
            samples = contest(contenders, rounds, warm_ups=min(rounds - 1, 1))
            counted = {sample.result for goes in samples.values() for sample in goes}
            if counted != {photos}:
                raise RuntimeError(f"of {photos} photos, {counted} were counted")
            found += rows(samples, list(contenders)[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    photos, rounds = (3000, 1) if given.quick else (given.photos, given.rounds)
    found = measure(photos, rounds)
    by_name = {row["contender"]: row for row in found}
    walked = round(by_name[WALK]["median s"] / by_name[FIND]["median s"], 2)
    least = round(by_name[FLOOR]["median s"] / by_name[FIND]["median s"], 2)
    read_faster = by_name[READ]["times as fast"]
    memory = by_name[ALL]["peak MB"]
    Finding(
        benchmark="starting",
        stage=f"walk, journal and selection of {photos:,} photos",
        contender="find -printf; json.loads for each line into a dict",
        aim="walk within 2 times; journal 2.5 times as fast; under 1.2 GB",
        reached=(
            f"walk {walked} times as long (scandir and stat alone: {least}); "
            f"journal {read_faster} times as fast; "
            f"{by_name[ALL]['median s']:.1f} s and {memory:,.0f} MB for all"
        ),
        met=walked <= 2 and read_faster >= 2.5 and memory < MOST_MEMORY_MB,
        limit=(
            "The walk: two thirds are the kernel's stat and the object that Python makes of it. "
            "The journal: half is msgspec's parsing, a fifth splitting at newlines, the rest the "
            "memory for what is remembered."
        ),
        rows=found,
    ).tell()


if __name__ == "__main__":
    main()
