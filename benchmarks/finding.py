"""How every benchmark ends: a table, then one line of JSON that says what was aimed at and reached.

`benchmarks.run` makes docs/performance.md of these lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.tables import print_table


@dataclass(frozen=True)
class Finding:
    """What a stage reached, beside whom, and what limits it."""

    benchmark: str
    stage: str
    contender: str
    aim: str
    reached: str
    met: bool
    limit: str
    """One sentence, from a profile."""
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)
    skipped: str = ""
    """Why it could not be measured here; then there are no rows."""

    def tell(self) -> None:
        """Print the table and, as the last line, the JSON."""
        if self.rows:
            print_table(self.rows)
        print(json.dumps(asdict(self)))
