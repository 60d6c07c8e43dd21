"""The floor of a run: its photos decoded in two processes, and nothing else.

No journal, no limits on a bad file, no answer for each photo: what is left when everything around
the decoders costs nothing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.contest import Contender
from benchmarks.cores import use_cores
from picture_captioner.image_loader.loading import load_image
from picture_captioner.pipeline.decoding.decoder_worker import keep_freed_memory

PROCESSES = 2
FLOOR = "floor: decoding alone"
_MOST_AT_ONCE = 50


def decoding_alone(paths: Sequence[Path], edge: int) -> Contender:
    """How many photos were decoded."""
    at_once = max(min(len(paths) // (20 * PROCESSES), _MOST_AT_ONCE), 1)

    def prepare() -> Callable[[], int]:
        use_cores(PROCESSES)

        def timed() -> int:
            fork = multiprocessing.get_context("fork")
            with fork.Pool(PROCESSES, keep_freed_memory) as pool:
                decoded = sum(pool.imap_unordered(partial(_decode, edge=edge), paths, at_once))
                pool.close()
                pool.join()  # waited for, so that their processor time is counted
            return decoded

        return timed

    return prepare


def _decode(path: Path, edge: int) -> bool:
    return load_image(path, edge).image is not None
