"""12-megapixel JPEGs to clean images of 1,024 pixels in two decoder processes, beside one thread.

    python -m benchmarks.decode_pool [--rounds 5] [--quick]

The same code on the same photo in this process's only thread, on one core; behind one pipe in one
decoder process on one core, which shows what the isolation costs; and in two decoder processes on
two cores. All pixels arrive in the process that asked for them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.children import workers
from benchmarks.contest import Contender, Sample, contest, rows
from benchmarks.cores import use_cores
from benchmarks.finding import Finding
from benchmarks.photos import TWELVE_MEGAPIXELS, photo_like
from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.image_loader.loading import load_image
from picture_captioner.pipeline.decoding.decoder import Decoder
from picture_captioner.pipeline.decoding.decoder_worker import keep_freed_memory

EDGE = 1024
PHOTOS = 24
LEAST_GAIN = 1.6
MOST_COST = 0.15

STAGE = partial(
    Finding,
    benchmark="decode_pool",
    stage="the same in isolated decoder processes, two at a time on two cores",
    contender="the same in one thread, on one core, without isolation",
    aim="1.6 times as fast; isolation alone costs under 15 %",
    limit=(
        "two cores: decoding is nine tenths of a photo's time in its process, and the pixels' way "
        "through the pipe (2.4 MB) most of the rest"
    ),
)


def main() -> None:
    """Run, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    size, photos = ((800, 600), 4) if given.quick else (TWELVE_MEGAPIXELS, PHOTOS)
    rounds, warm_ups = (1, 0) if given.quick else (given.rounds, 1)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "photo.jpg"
        photo_like(size, seed=1).save(path, quality=90, subsampling="4:2:0")
        samples = contest(
            {
                "one thread": _in_one_thread(path, photos),
                "one process": _in_processes(path, photos, 1),
                "two processes": _in_processes(path, photos, 2),
            },
            rounds,
            warm_ups,
        )
    if len({digest for found in samples.values() for s in found for digest in s.result[0]}) != 1:
        raise RuntimeError("the contenders did not get the same pixels")
    found = rows({name: list(map(_with_workers, s)) for name, s in samples.items()}, "one thread")
    cost, gain = 1 / found[1]["times as fast"] - 1, found[2]["times as fast"]
    reached = f"{gain} times; isolation costs {cost:.0%}"
    STAGE(rows=found, reached=reached, met=gain >= LEAST_GAIN and cost < MOST_COST).tell()


def _in_one_thread(path: Path, photos: int) -> Contender:
    def prepare() -> Callable[[], Any]:
        use_cores(1)
        keep_freed_memory()  # as decoder processes do
        return _going([lambda: _digest(load_image(path, EDGE))], photos)

    return prepare


def _in_processes(path: Path, photos: int, count: int) -> Contender:
    def prepare() -> Callable[[], Any]:
        use_cores(count)
        loaders = [Decoder() for _ in range(count)]  # ended with this contender's process
        return _going([partial(_load, loader, path) for loader in loaders], photos)

    return prepare


def _load(loader: Decoder, path: Path) -> str:
    return _digest(loader.load(path, EDGE))


def _going(ways: Sequence[Callable[[], str]], photos: int) -> Callable[[], Any]:
    """Each way loads its share in a thread of its own; one photo before it starts the process."""
    threads = ThreadPoolExecutor(len(ways))
    list(threads.map(lambda way: way(), ways))

    def timed() -> tuple[set[str], float, float]:
        before, _ = workers()
        share = photos // len(ways)
        digests = set[str]().union(*threads.map(lambda way: {way() for _ in range(share)}, ways))
        after, peak = workers()
        return digests, after - before, peak

    return timed


def _digest(loaded: LoadedImage) -> str:
    """Of few of the pixels, which takes no time: those of a whole photo differ in all places."""
    if loaded.image is None:
        raise RuntimeError("no pixels")
    return sha256(loaded.image.crop((0, 300, EDGE, 302)).tobytes()).hexdigest()


def _with_workers(sample: Sample) -> Sample:
    _, cpu, peak = sample.result
    return replace(sample, cpu=sample.cpu + cpu, peak_mb=sample.peak_mb + peak)


if __name__ == "__main__":
    main()
