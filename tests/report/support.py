"""Photos, vectors and captions whose groups are known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from picture_captioner.errors import Status
from picture_captioner.report.build import Built, ReportOptions, build_report
from picture_captioner.report.model import Clustering, Report, ReportHead, ReportPhoto

MADE_AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

THEMES = (
    "beach sand waves",
    "mountain snow skiing",
    "birthday cake candles",
    "dog grass ball",
    "cat sofa sleeping",
    "city night lights",
    "forest trees path",
    "lake boat fishing",
    "wedding bride flowers",
    "football stadium crowd",
    "airport plane luggage",
    "kitchen cooking pan",
)


def photo(rel_path: str, **known) -> ReportPhoto:
    if "caption" in known:
        known.setdefault("status", Status.SUCCESS)
    return ReportPhoto(rel_path=rel_path, **known)


def options(**known) -> ReportOptions:
    return ReportOptions(
        **({"made_at": MADE_AT, "embedder": "test:1", "embedder_reason": "for a test"} | known)
    )


def themed(per_theme: int, seed: int = 0, dim: int = 64):
    """Photos of the 12 themes with captions, their vectors and theme numbers."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(THEMES), dim))
    theme = np.repeat(np.arange(len(THEMES)), per_theme)
    vectors = centres[theme] + random.normal(scale=0.5, size=(len(theme), dim))
    photos = [
        photo(f"s{seed}/{i:04d}.jpg", caption=f"A photo of {THEMES[t]}, number {i}.")
        for i, t in enumerate(theme)
    ]
    return photos, vectors.astype(np.float32), theme


def build(photos, vectors, previous=None, **known) -> Built:
    return build_report(photos, np.asarray(vectors, dtype=np.float32), options(**known), previous)


def bare_report(photos, **parts) -> Report:
    """A report of these photos, none of them in a cluster."""
    n = len(photos)
    nothing = np.full(n, np.nan, dtype=np.float32)
    clustering = Clustering(
        np.full(n, -1, dtype=np.int32),
        nothing,
        nothing,
        nothing,
        np.full((n, 2), 0.5, dtype=np.float32),
    )
    head = ReportHead(MADE_AT, "test:1", "for a test", "umap-hdbscan", 42, 5)
    known = {"clustering": clustering, "clusters": (), "chunks": (), "duplicates": ()}
    return Report(head=head, photos=tuple(photos), **(known | parts))
