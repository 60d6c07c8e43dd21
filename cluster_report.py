"""`cluster_report.py`: see the library: its themes, events and near-duplicates.

This file parses flags and maps errors to exit codes (docs/exit-codes.md). What is in the report
and how it is made is in docs/report.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from console import options as flag
from console.execution import execute as run_app
from console.search_options import REPORT_DIR
from console.terminal import reopen_closed_streams, show

_OUTPUT = "Output"
_CLUSTERS = "Clusters"

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
    no_photos: Annotated[
        bool,
        typer.Option(
            "--no-photos", metavar="", help="Use the journal alone.", rich_help_panel="Where"
        ),
    ] = False,
    library_db: flag.LibraryDb = None,
    include: flag.Include = None,
    exclude: flag.Exclude = None,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What tells photos apart: auto, siglip2, clip, onnx, caption, pixels.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = "auto",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The embedder's model: a name or a folder (default: the embedder's own).",
            rich_help_panel=_CLUSTERS,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, mps.", rich_help_panel=_CLUSTERS),
    ] = "auto",
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            metavar="",
            help="Let the embedder fetch its model, once.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = False,
    min_cluster_size: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Photos in the smallest cluster (default: a third of the root of their number, "
            "at least 5).",
            rich_help_panel=_CLUSTERS,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            metavar="N",
            help="Same photos, same seed, same clusters.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = 42,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            metavar="",
            help="Use all cores; the next run may then cluster differently.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="umap-hdbscan, or none for events and duplicates alone.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = "umap-hdbscan",
    assign: Annotated[
        bool,
        typer.Option(
            "--assign",
            metavar="",
            help="Keep the clusters of the earlier report; put new photos into them.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = False,
    reassign_noise: Annotated[
        bool,
        typer.Option(
            "--reassign-noise",
            metavar="",
            help="Give photos that are in no cluster the nearest one.",
            rich_help_panel=_CLUSTERS,
        ),
    ] = False,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Terms, one a line, for photos without a caption (siglip2 and clip).",
            rich_help_panel=_CLUSTERS,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder for the report; made if need be.", rich_help_panel=_OUTPUT
        ),
    ] = REPORT_DIR,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", metavar="", help="Print the summary as JSON.", rich_help_panel=_OUTPUT
        ),
    ] = False,
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
    from commands.report import make_report
    from commands.report_flags import ReportFlags

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
