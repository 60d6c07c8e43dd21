"""The flags of `cluster_report.py` that say how its report is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_OUTPUT = "Output"
_CLUSTERS = "Clusters"

NoPhotos: TypeAlias = Annotated[
    bool,
    typer.Option("--no-photos", metavar="", help="Use the journal alone.", rich_help_panel="Where"),
]
EmbedderName: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What tells photos apart: auto, siglip2, clip, onnx, caption, pixels.",
        rich_help_panel=_CLUSTERS,
    ),
]
EmbedderModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The embedder's model: a name or a folder (default: the embedder's own).",
        rich_help_panel=_CLUSTERS,
    ),
]
EmbedderDevice: TypeAlias = Annotated[
    str,
    typer.Option(metavar="NAME", help="auto, cpu, cuda, mps.", rich_help_panel=_CLUSTERS),
]
Download: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--download",
        metavar="",
        help="Let the embedder fetch its model, once.",
        rich_help_panel=_CLUSTERS,
    ),
]
MinClusterSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=2,
        metavar="N",
        help="Photos in the smallest cluster (default: a third of the root of their number, "
        "at least 5; 2 of fewer than 30).",
        rich_help_panel=_CLUSTERS,
    ),
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="N",
        help="Same photos, same seed, same clusters.",
        rich_help_panel=_CLUSTERS,
    ),
]
Fast: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--fast",
        metavar="",
        help="Use all cores; the next run may then cluster differently.",
        rich_help_panel=_CLUSTERS,
    ),
]
Engine: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="umap-hdbscan, or none for events and duplicates alone.",
        rich_help_panel=_CLUSTERS,
    ),
]
Assign: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--assign",
        metavar="",
        help="Keep the clusters of the earlier report; put new photos into them.",
        rich_help_panel=_CLUSTERS,
    ),
]
ReassignNoise: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--reassign-noise",
        metavar="",
        help="Give photos that are in no cluster the nearest one.",
        rich_help_panel=_CLUSTERS,
    ),
]
Vocabulary: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Terms, one a line, for photos without a caption (siglip2 and clip).",
        rich_help_panel=_CLUSTERS,
    ),
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="Folder for the report; made if need be.", rich_help_panel=_OUTPUT
    ),
]
AsJson: TypeAlias = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print the summary as JSON.", rich_help_panel=_OUTPUT),
]
