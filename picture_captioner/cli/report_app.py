"""`cluster_report.py`: see the library: its themes, events and near-duplicates.

This file parses flags and maps errors to exit codes (docs/exit-codes.md). What is in the report
and how it is made is in docs/report.md.
"""

from __future__ import annotations

import picture_captioner.cli.quiet_start  # noqa: F401 - before what takes long to load

# isort: split
import sys

from picture_captioner.cli.command_flags import ReportFlags
from picture_captioner.cli.execution import execute as run_app
from picture_captioner.cli.flags import App, Version
from picture_captioner.cli.terminal import reopen_closed_streams

app = App(name="cluster-report")


@app.command()
def report(flags: ReportFlags, version: Version = False) -> int:  # noqa: ARG001 - it prints itself
    """Group photos into themes and events, find duplicates; write CSV, Markdown and a page."""
    from picture_captioner.cli.commands.report import make_report

    return make_report(flags)


def execute(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    return run_app(app, arguments)


def main() -> None:
    """Entry point of the `cluster-report` script."""
    reopen_closed_streams()
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()
