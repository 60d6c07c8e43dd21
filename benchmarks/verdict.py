"""How a stage's benchmark ends: a table for people, and one JSON line for `benchmarks.run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.tables import print_table


@dataclass(frozen=True)
class Stage:
    """What is measured, beside whom, how fast it should be, and what keeps it from being faster."""

    benchmark: str
    stage: str
    contender: str
    aim: str
    limit: str


def print_verdict(stage: Stage, rows: Sequence[dict[str, Any]], reached: str, *, met: bool) -> None:
    """Print the table, then the line with all of it."""
    print_table(rows)
    print(json.dumps(asdict(stage) | {"reached": reached, "met": met, "rows": list(rows)}))
