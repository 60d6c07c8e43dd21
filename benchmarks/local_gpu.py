"""Captions per second of a model in this process, beside the plain loop that people write.

    uv run --extra local python -m benchmarks.local_gpu                on a CUDA GPU
    uv run --extra local python -m benchmarks.local_gpu --tiny         anywhere, in a minute
    ... --server http://localhost:8000/v1 --model NAME                 vLLM or the like, too

The model is Qwen2.5-VL-3B as its configuration says, with random weights: nothing is downloaded,
and every answer has the same number of tokens, so that all ways do equal work. The plain loop opens
a photo, prepares it and generates, one after the other; this program decodes in worker processes,
prepares one batch while another is on the device, and writes its journal. Both use the same model,
quantisation and pixel limit. bf16 is measured without the cap on memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a model of 0.4 million parameters")
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "mps", "cpu"])
    parser.add_argument("--photos", type=int, help="photos for the program (256; tiny: 48)")
    parser.add_argument("--loop-photos", type=int, help="photos for the loop (32; tiny: 24)")
    parser.add_argument("--megapixels", type=float, default=12.0, help="of each photo (12)")
    parser.add_argument("--new-tokens", type=int, help="of each answer (64; tiny: 12)")
    parser.add_argument("--batch-size", default="auto", help="a number or auto")
    parser.add_argument("--memory-gb", type=float, default=8.0, help="cap for int4, on CUDA (8)")
    parser.add_argument("--server", help="address of an OpenAI-compatible server to measure, too")
    parser.add_argument("--model", default="", help="the server's model")
    parser.add_argument("--only-server", action="store_true", help="measure nothing else")
    settings = parser.parse_args(arguments)
    settings.photos = settings.photos or (48 if settings.tiny else 256)
    settings.loop_photos = settings.loop_photos or (24 if settings.tiny else 32)
    settings.new_tokens = settings.new_tokens or (12 if settings.tiny else 64)
    if settings.only_server and not settings.server:
        parser.error("--only-server needs --server")
    return settings


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """Rows of figures, as Markdown."""
    names = ["photos_per_second", "times_the_loop", "device_busy", "peak_gb", "batch"]
    sys.stdout.write(f"| | {' | '.join(name.replace('_', ' ') for name in names)} | stages |\n")
    sys.stdout.write(f"|{'---|' * (len(names) + 2)}\n")
    for title, row in rows.items():
        stages = ", ".join(f"{stage} {spent} s" for stage, spent in row["stage_seconds"].items())
        cells = [str(row.get(name, "")) for name in names]
        sys.stdout.write(f"| {title} | {' | '.join(cells)} | {stages} |\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    settings = parse(arguments)
    from benchmarks import local_ways as ways

    if not (ways.has_gpu() or settings.tiny or settings.only_server):
        raise SystemExit("no CUDA GPU here: --tiny measures a tiny model on the CPU instead")
    with tempfile.TemporaryDirectory() as folder:
        rows = ways.measure(settings, Path(folder))
    print_table(rows)
    about = {
        "benchmark": "local_gpu",
        "model": "tiny" if settings.tiny else "Qwen2.5-VL-3B, random weights",
        "memory_cap_gb": settings.memory_gb,
        "megapixels": settings.megapixels,
        "new_tokens": settings.new_tokens,
    }
    sys.stdout.write(json.dumps(about | ways.machine() | {"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
