"""How the person called this program, so that a suggested command can be pasted back."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program() -> list[str]:
    """The words before the subcommand: `uv run caption.py`, `python caption.py` or `caption`."""
    called = sys.argv[0]
    if not called.endswith(".py"):
        return [Path(called).name]
    # `uv run` puts this into the environment of what it runs.
    return [*(["uv", "run"] if "UV_RUN_RECURSION_DEPTH" in os.environ else ["python"]), called]


def report_program() -> list[str]:
    """The words that make the report, in the same way."""
    words = program()
    called = words[-1]
    report = "cluster_report.py" if called.endswith(".py") else "cluster-report"
    return [*words[:-1], str(Path(called).with_name(report))]
