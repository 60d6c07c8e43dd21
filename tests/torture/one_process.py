"""Commands of the program, one after the other in one process: importing it takes longer than most.

Started with a JSON list of commands, `[["caption", "stats"], ["cluster_report", "--json"]]`. On a
descriptor of its own it writes a line with the exit code of each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__)
APPS = {"caption": "caption_app", "cluster_report": "report_app"}


def command(commands: list[list[str]], descriptor: int) -> list[str]:
    """The command line that runs these commands."""
    return [sys.executable, str(SCRIPT), str(descriptor), json.dumps(commands)]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    for program, *arguments in json.loads(sys.argv[2]):
        app = importlib.import_module(f"picture_captioner.cli.{APPS[program]}")
        code = app.execute(arguments)
        sys.stdout.flush()
        os.write(int(sys.argv[1]), f"{int(code)}\n".encode())


if __name__ == "__main__":
    main()
