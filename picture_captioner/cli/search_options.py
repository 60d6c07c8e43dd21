"""The flags of `caption.py search`, and where it looks for a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Query: TypeAlias = Annotated[
    list[str],
    typer.Argument(help='Words to look for; "a phrase" in double quotes.', metavar="WORDS"),
]
SearchLimit: TypeAlias = Annotated[
    int, typer.Option("--limit", min=1, metavar="N", help="Print at most N photos.")
]
OpenReport: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--open-report", metavar="", help="Show the report in a browser, with this search in it."
    ),
]
ReportDir: TypeAlias = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder of that report.")
]
REPORT_DIR = Path("report_out")
"""Where a report is written to, and looked for."""

EmbedderModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="Model of the report's embedder, if it was not the default: a name or a folder.",
    ),
]
CaptionsOnly: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--captions-only",
        metavar="",
        help="Do not load the report's embedder to search the pictures themselves.",
    ),
]
