"""The flags of the report as they were given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """The flags of `cluster_report.py`."""

    photos_dir: Path | None = None
    captions_jsonl: Path | None = None
    no_photos: bool = False
    library_db: Path | None = None
    include: list[str] | None = None
    exclude: list[str] | None = None
    follow_links: bool | None = None
    embedder: str = "auto"
    model: str | None = None
    device: str = "auto"
    download: bool = False
    models_dir: Path | None = None
    min_cluster_size: int | None = None
    seed: int = 42
    fast: bool = False
    engine: str = "umap-hdbscan"
    assign: bool = False
    reassign_noise: bool = False
    vocabulary: Path | None = None
    out: Path = Path("report_out")
    as_json: bool = False
