"""A program that loads photos with faulty decoders, and what it says of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "tests" / "faults" / "decoder"

_PROGRAM = """
import json, sys, time
from pathlib import Path
from picture_captioner.errors import CaptionerError
from picture_captioner.pipeline.decoding.decoder import DecodeLimits, Decoder

def load(loader, path):
    start = time.monotonic()
    try:
        loaded = loader.load(path, 100)
    except CaptionerError as error:
        code, text = error.code, str(error)
    else:
        code, text = "picture", f"{loaded.width}x{loaded.height}"
    return code, text, time.monotonic() - start

if __name__ == "__main__":
    paths = [Path(path) for path in sys.argv[2:]]
    with Decoder(DecodeLimits(**json.loads(sys.argv[1]))) as loader:
        loads = [load(loader, path) for path in paths]
        headers = [getattr(header, "code", "header") for header in loader.read_headers(paths)]
    print(json.dumps([loads, headers]))
"""


class Load(NamedTuple):
    """`code` is "picture" or an error's; `text` its words, or the picture's size."""

    code: str
    text: str
    seconds: float


def faulty_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTS), str(ROOT)])}


def run_scenario(
    folder: Path, paths: Sequence[Path], env: Mapping[str, str] | None = None, **limits: float
) -> tuple[list[Load], list[str]]:
    """Load every path, then read all headers, with one loader; stderr has to stay empty."""
    script = folder / "scenario.py"
    script.write_text(_PROGRAM)
    answer = subprocess.run(
        [sys.executable, "-W", "error", script, json.dumps(limits), *paths],
        capture_output=True,
        text=True,
        env=env or faulty_environment(),
        timeout=280,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    loads, headers = json.loads(answer.stdout)
    return [Load(*load) for load in loads], headers
