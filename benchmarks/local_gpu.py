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
import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.finding import Finding

AIM_TIMES = 2.0


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
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    settings = parser.parse_args(arguments)
    if settings.quick:
        settings.photos, settings.loop_photos, settings.megapixels = 6, 3, 0.5
    settings.photos = settings.photos or (48 if settings.tiny else 256)
    settings.loop_photos = settings.loop_photos or (24 if settings.tiny else 32)
    settings.new_tokens = settings.new_tokens or (12 if settings.tiny else 64)
    if settings.only_server and not settings.server:
        parser.error("--only-server needs --server")
    return settings


def table(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What ways.measure found, a row for each way."""
    names = ["photos", "photos_per_second", "times_the_loop", "device_busy", "peak_gb", "batch"]
    found = []
    for way, row in rows.items():
        stages = ", ".join(f"{stage} {spent} s" for stage, spent in row["stage_seconds"].items())
        cells = {name.replace("_", " "): row.get(name, "") for name in names}
        found.append({"way": way} | cells | {"stages": stages})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    settings = parse(arguments)
    if reason := why_not(settings):
        finding(settings, {}, skipped=reason).tell()
        return
    from benchmarks import local_ways as ways

    with tempfile.TemporaryDirectory() as folder:
        rows = ways.measure(settings, Path(folder))
    finding(settings, rows).tell()


def why_not(settings: argparse.Namespace) -> str:
    """Why nothing can be measured here; empty if it can."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed (extra local)"
    import torch

    if torch.cuda.is_available() or settings.tiny or settings.only_server:
        return ""
    return "no CUDA GPU here; --tiny measures a tiny model on the CPU instead"


def finding(
    settings: argparse.Namespace, rows: dict[str, dict[str, Any]], skipped: str = ""
) -> Finding:
    """What was reached: the slowest of the programs beside its loop counts."""
    times = [row["times_the_loop"] for row in rows.values() if "times_the_loop" in row]
    busy = [row["device_busy"] for way, row in rows.items() if way.endswith("caption.py")]
    model = "a tiny model" if settings.tiny else "Qwen2.5-VL-3B with random weights"
    return Finding(
        benchmark="local_gpu",
        stage=f"{model} in this process, {settings.megapixels:g} megapixels",
        contender="the plain loop: open, prepare, generate",
        aim=f"{AIM_TIMES:g} times as fast",
        reached=(
            f"{min(times)} times as fast, device busy for {min(busy):.0%}" if times and busy else ""
        ),
        met=bool(times) and min(times) >= AIM_TIMES,
        limit="The model's own generating of tokens.",
        rows=table(rows),
        skipped=skipped,
    )


if __name__ == "__main__":
    main()
