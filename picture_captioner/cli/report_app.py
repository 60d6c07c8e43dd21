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

from picture_captioner.cli import options as flag
from picture_captioner.cli import report_options as shape
from picture_captioner.cli.execution import execute as run_app
from picture_captioner.cli.search_options import REPORT_DIR
from picture_captioner.cli.terminal import reopen_closed_streams, show

app = typer.Typer(
    name="cluster-report",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        show(version("picture-captioner-clusterer-chunker"))
        raise typer.Exit


@app.command()
def report(
    photos_dir: flag.PhotosDir = None,
    captions_jsonl: flag.CaptionsJsonl = None,
    no_photos: shape.NoPhotos = False,
    library_db: flag.LibraryDb = None,
    include: flag.Include = None,
    exclude: flag.Exclude = None,
    follow_links: flag.FollowLinks = None,
    embedder: shape.EmbedderName = "auto",
    model: shape.EmbedderModel = None,
    device: shape.EmbedderDevice = "auto",
    download: shape.Download = False,
    models_dir: flag.ModelsDir = None,
    min_cluster_size: shape.MinClusterSize = None,
    seed: shape.Seed = 42,
    fast: shape.Fast = False,
    engine: shape.Engine = "umap-hdbscan",
    assign: shape.Assign = False,
    reassign_noise: shape.ReassignNoise = False,
    vocabulary: shape.Vocabulary = None,
    out: shape.Out = REPORT_DIR,
    as_json: shape.AsJson = False,
    version: Annotated[
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
    given = dict(locals())  # first statement, so exactly the parameters
    from picture_captioner.cli.commands.report import make_report
    from picture_captioner.cli.commands.report_flags import ReportFlags

    del given["version"]
    return make_report(ReportFlags(**given))


def execute(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    return run_app(app, arguments)


def main() -> None:
    """Entry point of the `cluster-report` script."""
    reopen_closed_streams()
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()
