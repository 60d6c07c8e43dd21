"""The flags of `cluster_report.py` that are no settings, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from picture_captioner.cli.flags import Flags
from picture_captioner.cli.search_flags import REPORT_DIR
from picture_captioner.declaration import WHERE, WHICH, Flag

_OUTPUT = "Output"
_CLUSTERS = "Clusters"


@dataclass(frozen=True, kw_only=True)
class ReportFlags(Flags):
    """The flags of `cluster_report.py` as they were given."""

    no_photos: Annotated[bool, Flag("report", "", "Use the journal alone.", WHERE)] = False
    include: Annotated[
        list[str] | None,
        Flag(
            "report",
            "PATTERN",
            "Only photos that match, such as '2023/**' or '*.heic'; repeatable.",
            WHICH,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        Flag("report", "PATTERN", "Not photos that match; wins over --include; repeatable.", WHICH),
    ] = None
    embedder: Annotated[
        str,
        Flag(
            "report",
            "NAME",
            "What tells photos apart: auto, siglip2, clip, onnx, caption, pixels.",
            _CLUSTERS,
        ),
    ] = "auto"
    model: Annotated[
        str | None,
        Flag(
            "report",
            "NAME",
            "The embedder's model: a name or a folder (default: the embedder's own).",
            _CLUSTERS,
        ),
    ] = None
    device: Annotated[str, Flag("report", "NAME", "auto, cpu, cuda, mps.", _CLUSTERS)] = "auto"
    download: Annotated[
        bool, Flag("report", "", "Let the embedder fetch its model, once.", _CLUSTERS)
    ] = False
    models_dir: Path | None = None  # as the settings say
    min_cluster_size: Annotated[
        int | None,
        Flag(
            "report",
            "N",
            "Photos in the smallest cluster (default: a third of the root of their "
            "number, at least 5; 2 of fewer than 30).",
            _CLUSTERS,
            least=2,
        ),
    ] = None
    seed: Annotated[
        int,
        Flag(
            "report",
            "N",
            "Same photos, same seed, same clusters.",
            _CLUSTERS,
            least=0,
            most=2**32 - 1,
        ),
    ] = 42
    fast: Annotated[
        bool,
        Flag("report", "", "Use all cores; the next run may then cluster differently.", _CLUSTERS),
    ] = False
    engine: Annotated[
        str,
        Flag("report", "NAME", "umap-hdbscan, or none for events and duplicates alone.", _CLUSTERS),
    ] = "umap-hdbscan"
    assign: Annotated[
        bool,
        Flag(
            "report",
            "",
            "Keep the clusters of the earlier report; put new photos into them.",
            _CLUSTERS,
        ),
    ] = False
    reassign_noise: Annotated[
        bool, Flag("report", "", "Give photos that are in no cluster the nearest one.", _CLUSTERS)
    ] = False
    vocabulary: Annotated[
        Path | None,
        Flag(
            "report",
            "FILE",
            "Terms, one a line, for photos without a caption (siglip2 and clip).",
            _CLUSTERS,
        ),
    ] = None
    out: Annotated[
        Path, Flag("report", "DIR", "Folder for the report; made if need be.", _OUTPUT)
    ] = REPORT_DIR
    no_people: Annotated[
        bool, Flag("report", "", "Leave out who is on the photos, and all faces.", _OUTPUT)
    ] = False
    excel: Annotated[
        bool,
        Flag("report", "", "Begin the CSV with the mark by which Excel knows UTF-8.", _OUTPUT),
    ] = False
    as_json: Annotated[
        bool, Flag("report", "", "Print the summary as JSON.", _OUTPUT, name="--json")
    ] = False
