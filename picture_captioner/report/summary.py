"""The report in numbers: for `--json`, and for the head of the other outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from picture_captioner.errors import Status
from picture_captioner.report.model import Chunk, Level, Report

LARGEST = 50
"""Clusters and events that the summary describes; the CSV has them all."""


def counts(report: Report) -> dict[str, int]:
    """How many there are of everything."""
    status = [photo.status for photo in report.photos]
    levels = [chunk.level for chunk in report.chunks]
    captioned = status.count(Status.SUCCESS)
    alone = sum(c.level is Level.EVENT and len(c.members) == 1 for c in report.chunks)
    return {
        "photos": len(report.photos),
        "present": sum(photo.present for photo in report.photos),
        "captioned": captioned,
        "errors": len(status) - status.count(None) - captioned,
        "without_record": status.count(None),
        "vocabulary_fallbacks": report.vocabulary_fallbacks,
        "with_vector": int(np.count_nonzero(~np.isnan(report.clustering.position[:, 0]))),
        "clusters": len(report.clusters),
        "events": levels.count(Level.EVENT) - alone,
        "photos_alone": alone,
        "days": levels.count(Level.DAY),
        "trips": levels.count(Level.TRIP),
        "duplicate_groups": len(report.duplicates),
        "people": len(report.people.persons) if report.people else 0,
    }


def as_mapping(report: Report, files: Sequence[Path]) -> dict[str, Any]:
    """What `--json` prints: counts, how it was made, the largest clusters and events, the files."""
    head = report.head
    ranked = sorted(report.clusters, key=lambda c: (-len(c.members), c.id))
    events = [chunk for chunk in report.chunks if chunk.level is Level.EVENT]
    events.sort(key=lambda c: (-len(c.members), c.id))
    return counts(report) | {
        "noise_share": round(report.noise_share, 4),
        "made_at": head.made_at.isoformat(),
        "embedder": head.embedder,
        "embedder_reason": head.embedder_reason,
        "themes_go_by": head.goes_by or None,
        "engine": head.engine,
        "seed": head.seed,
        "min_cluster_size": head.min_cluster_size,
        "notes": list(head.notes),
        "largest_clusters": [
            {
                "id": cluster.id,
                "photos": len(cluster.members),
                "name": cluster.name,
                "label": cluster.label,
                "keywords": list(cluster.keywords),
                "medoid": report.photos[cluster.medoid].rel_path,
            }
            for cluster in ranked[:LARGEST]
        ],
        "largest_events": [_event(report, event) for event in events[:LARGEST]],
        "files": [str(path) for path in files],
    }


def _event(report: Report, event: Chunk) -> dict[str, Any]:
    return {
        "id": event.id,
        "start": (event.start if event.hours else event.start.date()).isoformat(),
        "end": (event.end if event.hours else event.end.date()).isoformat(),
        "photos": len(event.members),
        "name": event.name,
        "place": event.place,
        "keywords": list(event.keywords),
        "typical": report.photos[event.typical].rel_path,
    }
