"""What a check of the card is given, what it says, and which there are."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Given:
    """`folder` holds models and photos; `tiny`: a small model on the CPU; `seconds`: its time."""

    folder: Path
    tiny: bool
    seconds: float

    @property
    def device(self) -> str:
        """Where models run."""
        return "cpu" if self.tiny else "cuda"


@dataclass
class Said:
    """Figures, and what failed; `skipped` says why nothing was done."""

    figures: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    skipped: str = ""

    def must(self, truth: object, otherwise: str) -> None:
        """Note a failure, and go on."""
        if not truth:
            self.failed.append(otherwise)

    def note(self, **figures: Any) -> None:
        """Note figures; fractions are rounded to what is worth reading."""
        for name, value in figures.items():
            self.figures[name] = float(f"{value:.4g}") if isinstance(value, float) else value


class Check(NamedTuple):
    """A row: where it is, its part (0: both), how many seconds it may take on a card."""

    target: str
    part: int
    seconds: float
    needs_card: bool = False


CHECKS = {
    "card": Check("card:card", 0, 60),
    "draw": Check("models:draw", 1, 150),
    "linear4bit": Check("card:linear4bit", 1, 60),
    "int4": Check("loading:int4", 1, 120),
    "16 bit": Check("loading:whole", 1, 120),
    "run int4": Check("runs:run_int4", 1, 150),
    "deaths": Check("runs:deaths", 1, 120),
    "squeeze": Check("runs:squeeze", 1, 120, needs_card=True),
    "run 16 bit": Check("runs:run_whole", 1, 120),
    "draw others": Check("models:draw_others", 2, 240),
    "reserved": Check("memory:reserved", 2, 180),
    "out of memory": Check("memory:out_of_memory", 2, 120),
    "hogs": Check("runs:hogs", 2, 200, needs_card=True),
    "assert": Check("runs:device_assert", 2, 150),
    "alone": Check("answers:alone_and_together", 2, 200),
    "lengths": Check("answers:lengths", 2, 120),
    "stages": Check("loading:stages", 2, 150),
    "windows": Check("answers:windows", 2, 120),
    "float16": Check("answers:float16", 2, 120),
    "embedders": Check("answers:embedders", 2, 90),
    "Qwen3-VL-2B, 16 bit": Check("loading:small_whole", 2, 120),
    "Qwen3-VL-4B, int4": Check("loading:large_int4", 2, 150),
}
"""In this order. What is drawn first is used by those after it."""


def run_here(name: str, given: Given) -> Said:
    """Run one in this process; an exception is a failure like any other."""
    module, _, function = CHECKS[name].target.partition(":")
    said = Said()
    try:
        body: Callable[[Given, Said], None] = getattr(
            importlib.import_module(f"benchmarks.gpu.{module}"), function
        )
        body(given, said)
    except Exception as error:  # noqa: BLE001 - the next check goes on
        traceback.print_exc()
        said.failed.append(f"{type(error).__name__}: {str(error)[:500]}")
    return said


def main() -> None:
    """Run the check named by the first argument, and say as JSON what it said."""
    name, folder, tiny, seconds = sys.argv[1:]
    said = run_here(name, Given(Path(folder), tiny == "tiny", float(seconds)))
    print(json.dumps(vars(said)))
