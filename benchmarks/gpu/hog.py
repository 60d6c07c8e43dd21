"""Another program that takes the card's memory, holds it, and leaves.

    python -m benchmarks.gpu.hog LEAVE_GB SECONDS

It leaves so much free, takes what becomes free meanwhile, and says `full` once it is.
"""

from __future__ import annotations

import sys
import time

import torch

_PIECE = 256 * 2**20


def main() -> None:
    """Fill the card for so many seconds."""
    leave, seconds = float(sys.argv[1]) * 1e9, float(sys.argv[2])
    held, told = [], False
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if torch.cuda.mem_get_info()[0] - leave > _PIECE:
            try:
                held.append(torch.empty(_PIECE, dtype=torch.uint8, device="cuda"))
            except torch.OutOfMemoryError:
                time.sleep(0.1)
            continue
        if not told:
            print("full", flush=True)
            told = True
        time.sleep(0.1)


if __name__ == "__main__":
    main()
