"""`cluster_report.py`: see the library: its themes, events and near-duplicates.

This file parses flags and maps errors to exit codes (docs/exit-codes.md). What is in the report
and how it is made is in docs/report.md.
"""

from __future__ import annotations

import picture_captioner.cli.quiet_start  # noqa: F401 - before what takes long to load

# isort: split
import sys
from typing import Annotated

import typer

from picture_captioner.cli.execution import execute as run_app
from picture_captioner.cli.flags import Command, make_app, takes_flags
from picture_captioner.cli.report_flags import ReportFlags
from picture_captioner.cli.terminal import reopen_closed_streams, show

app = make_app(
    name="cluster-report",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        show(version("picture-captioner-clusterer-chunker"))
        raise typer.Exit


@app.command(cls=Command)
@takes_flags
def report(
    flags: ReportFlags,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option(
            "--version",
            metavar="",
            help="Print the version and exit.",
            is_eager=True,
            callback=_version,
        ),
    ] = False,
) -> int:
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
