"""How the person called this program, so that a suggested command can be pasted back."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> list[str]:
    """The words before the subcommand: `uv run caption.py`, `python caption.py` or `caption`.

    Where `python` is another one, or none, the one that runs this is named by its path.
    """
    called = sys.argv[0]
    if not called.endswith(".py"):
        return [Path(called).name]
    # `uv run` puts this into the environment of what it runs.
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        return ["uv", "run", called]
    return ["python" if shutil.which("python") == sys.executable else sys.executable, called]


def report_program() -> list[str]:
    """The words that make the report, in the same way."""
    words = program()
    called = words[-1]
    report = "cluster_report.py" if called.endswith(".py") else "cluster-report"
    return [*words[:-1], str(Path(called).with_name(report))]


def as_called(message: str) -> str:
    """The message with the commands in it as this person would type them.

    Rooms below know no launcher: they write `'caption.py status'`.
    """
    for name, words in (("caption.py", program), ("cluster_report.py", report_program)):
        if f"'{name} " in message:
            message = message.replace(f"'{name} ", f"'{shlex.join(words())} ")
    return message
