"""How fast library.db takes and gives vectors, beside the same array in one .npy file.

    python benchmarks/library_store.py [--photos 50000] [--dimension 768] [--batch 32]

Prints a table and ends with one line of JSON. The .npy file is the least that any store could do;
it can neither be added to in batches nor survive being killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from library import Library

QUERIES = 20


def timed(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(folder: Path, photos: int, dimension: int, batch: int) -> dict[str, float]:
    """Seconds by what was done, and megabytes."""
    rng = np.random.default_rng(1)
    array = rng.normal(size=(photos, dimension)).astype(np.float32)
    array /= np.linalg.norm(array, axis=1, keepdims=True)
    keys = [f"{n:064x}" for n in range(photos)]
    path, peer = folder / "library.db", folder / "vectors.npy"

    with Library.open(path, sys.exit) as library:

        def write() -> None:
            for start in range(0, photos, batch):
                end = start + batch
                library.save_vectors("benchmark:1", keys[start:end], array[start:end])

        figures = {"write in batches, s": timed(write)}
    figures["open and check, s"] = timed(lambda: Library.open(path, sys.exit).close())
    with Library.open(path, sys.exit) as library:
        figures["load all, s"] = timed(lambda: library.vectors("benchmark:1", keys))

        def query() -> None:
            for row in range(QUERIES):
                library.nearest("benchmark:1", array[row], 20)

        figures["nearest 20, s"] = timed(query) / QUERIES
    figures["size, MB"] = path.stat().st_size / 1e6
    figures[".npy write, s"] = timed(lambda: np.save(peer, array.astype(np.float16)))
    figures[".npy load, s"] = timed(lambda: np.load(peer).astype(np.float32))
    figures[".npy size, MB"] = peer.stat().st_size / 1e6
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--batch", type=int, default=32)
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), **given)
    for name, value in figures.items():
        sys.stdout.write(f"{name:<22}{value:>10.3f}\n")
    rounded = {name: round(value, 4) for name, value in figures.items()}
    sys.stdout.write(json.dumps(given | rounded) + "\n")


if __name__ == "__main__":
    main()
