"""The flags of `caption.py search`, and where it looks for a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from picture_captioner.cli.flags import Flags
from picture_captioner.settings import Flag

REPORT_DIR = Path("report_out")
"""Where a report is written to, and looked for."""


@dataclass(frozen=True, kw_only=True)
class SearchFlags(Flags):
    """The flags of `search` as they were given."""

    limit: Annotated[int, Flag("search", "N", "Print at most N photos.", least=1)] = 20
    as_json: Annotated[bool, Flag("search", "", "Print JSON.", name="--json")] = False
    model: Annotated[
        str | None,
        Flag(
            "search",
            "NAME",
            "Model of the report's embedder, if it was not the default: a name or a folder.",
        ),
    ] = None
    captions_only: Annotated[
        bool,
        Flag("search", "", "Do not load the report's embedder to search the pictures themselves."),
    ] = False
    open_report: Annotated[
        bool, Flag("search", "", "Show the report in a browser, with this search in it.")
    ] = False
    models_dir: Path | None = None  # as the settings say
    out: Annotated[Path, Flag("search", "DIR", "Folder of that report.")] = REPORT_DIR
