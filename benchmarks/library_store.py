"""How fast library.db takes and gives vectors, beside the same array in one .npy file.

    python -m benchmarks.library_store [--photos 50000] [--dimension 768] [--batch 32] [--quick]

The .npy file is the least that any store could do;
it can neither be added to in batches nor survive being killed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.finding import Finding
from picture_captioner.library import vectors
from picture_captioner.library.store import Library

SPACE = "benchmark:1"
NEAREST = 20
ROUNDS = 5
MOST_TIMES = 3.0

Vectors: TypeAlias = NDArray[np.float32]


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(folder: Path, photos: int, dimension: int, batch: int) -> list[dict[str, Any]]:
    """A row for each thing that is done: seconds of both, and how many times as long ours took.

    Loading and asking alternate with the peer; fails unless both give the same vectors.
    """
    rng = np.random.default_rng(1)
    array = rng.normal(size=(photos, dimension)).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    keys = [f"{n:064x}" for n in range(photos)]
    path, peer = folder / "library.db", folder / "vectors.npy"

    with Library.open(path, sys.exit) as library:

        def write() -> None:
            for start in range(0, photos, batch):
                library.save_vectors(SPACE, keys[start:][:batch], array[start:][:batch])

        rows = [_row("write", [timed(write)], [timed(lambda: _save(peer, array))])]
    opened = [timed(lambda: Library.open(path, sys.exit).close()) for _ in range(ROUNDS)]
    rows.append(_row("open and check", opened, [0.0]))
    with Library.open(path, sys.exit) as library:
        ours, theirs = _alternated(lambda: library.vectors(SPACE, keys), lambda: _load(peer))
        rows.append(_row("load all", ours, theirs))
        loaded = _load(peer)
        if not np.array_equal(library.vectors(SPACE, keys)[1], loaded):
            raise RuntimeError("library.db does not give the vectors that .npy gives")
        ours, theirs = _alternated(
            lambda: _nearest(library, array[0]),
            lambda: np.argpartition(-(loaded @ array[0]), NEAREST)[:NEAREST],
        )
        rows.append(_row(f"nearest {NEAREST}", ours, theirs))
    return rows


def _save(path: Path, array: Vectors) -> None:
    with path.open("wb") as stream:
        np.save(stream, array.astype(np.float16))
        os.fdatasync(stream.fileno())  # as SQLite does


def _nearest(library: Library, query: Vectors) -> list[tuple[str, float]]:
    with library.database.reading() as connection:
        return list(islice(vectors.nearest(connection, SPACE, query), NEAREST))


def _load(path: Path) -> Vectors:
    return np.load(path).astype(np.float32)  # type: ignore[no-any-return]


def _alternated(
    ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Seconds of both in turn; the first round warms up."""
    pairs = [(timed(ours), timed(theirs)) for _ in range(1 + ROUNDS)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _row(what: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    mine, peer = median(ours), median(theirs)
    return {
        "what": what,
        "library.db s": round(mine, 4),
        ".npy s": round(peer, 4),
        "times as long": round(mine / peer, 2) if peer else "",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="does it run and agree; no figures")
    given = parser.parse_args()
    photos, dimension = (500, 16) if given.quick else (given.photos, given.dimension)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), photos, dimension, given.batch)
    write, _, load, nearest = rows
    Finding(
        benchmark="library_store",
        stage=f"{photos:,} vectors of {dimension} in library.db",
        contender="one .npy file: neither added to in batches nor safe from being killed",
        aim="load within 3 times",
        reached=(
            f"load {load['times as long']} times as long, write {write['times as long']}, a query "
            f"{nearest['library.db s'] * 1000:.0f} ms"
        ),
        met=load["times as long"] <= MOST_TIMES,
        limit="Loading: SQLite copies each row out of its pages, and Python makes an object of it.",
        rows=rows,
    ).tell()


if __name__ == "__main__":
    main()
