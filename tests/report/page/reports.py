"""Reports made by hand, with thumbnails that are real WebP files."""

from __future__ import annotations

import functools
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from picture_captioner.errors import Status
from picture_captioner.report.model import (
    NOISE,
    Chunk,
    Cluster,
    Clustering,
    DuplicateGroup,
    LabelSource,
    Level,
    Likeness,
    Report,
    ReportHead,
    ReportPhoto,
)
from picture_captioner.report.page.columns import Json

HEAD = ReportHead(
    made_at=datetime(2026, 11, 21, 7, 42, tzinfo=UTC),
    embedder="pixels:1",
    embedder_reason="no model is installed",
    engine="umap and hdbscan",
    seed=42,
    min_cluster_size=5,
    notes=("A note on how it was made.",),
)


@functools.cache
def webp(seed: int = 0, size: tuple[int, int] = (32, 24)) -> bytes:
    """A small picture."""
    stream = io.BytesIO()
    colour = (seed * 67 % 256, seed * 131 % 256, seed * 29 % 256)
    Image.new("RGB", size, colour).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def clustering(cluster: np.ndarray, position: np.ndarray | None = None) -> Clustering:
    """Where photos stand, with nothing to say of probabilities."""
    n = len(cluster)
    unknown = np.full(n, np.nan, np.float32)
    if position is None:
        position = np.random.default_rng(1).random((n, 2), dtype=np.float32)
    return Clustering(
        cluster=cluster.astype(np.int32),
        probability=unknown,
        outlier_score=unknown,
        distance=unknown,
        position=position.astype(np.float32),
    )


def bare_report(photos: tuple[ReportPhoto, ...], head: ReportHead = HEAD) -> Report:
    """Photos without vectors, clusters, events and duplicates."""
    n = len(photos)
    where = clustering(np.full(n, NOISE), np.full((n, 2), np.nan))
    return Report(head=head, photos=photos, clustering=where, clusters=(), chunks=(), duplicates=())


def photo(i: int, **known: object) -> ReportPhoto:
    """A captioned photo in a folder of a hundred, taken i hours after the first."""
    facts: dict[str, object] = {
        "rel_path": f"{i // 100:03d}/IMG_{i:05d}.jpg",
        "status": Status.SUCCESS,
        "caption": f"Picture number {i} of a harbour.",
        "size": 1000 + i,
        "width": 400,
        "height": 300,
        "taken_at": datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=i),
        "present": True,
    }
    return ReportPhoto(**(facts | known))  # type: ignore[arg-type]


def rich_report(n: int, clusters: int = 6) -> Report:
    """Photos in equal clusters with a tenth left as noise, events of ten, some duplicates."""
    subjects = ("beach", "café", "mountain", "dog", "train", "garden")
    cluster = np.arange(n) % (clusters + 1) - 1
    photos = tuple(
        photo(
            i,
            caption=f"Picture number {i}: a {subjects[cluster[i] % 6]} in the evening light.",
            tags=(subjects[cluster[i] % 6],),
            camera="Canon EOS 80D",
        )
        for i in range(n)
    )
    groups = tuple(
        Cluster(
            id=c + 1,
            label=f"A {subjects[c % 6]} in the evening light, group {c + 1}",
            label_source=LabelSource.CAPTION,
            keywords=(subjects[c % 6], "evening"),
            members=np.flatnonzero(cluster == c),
        )
        for c in range(clusters)
    )
    events = tuple(
        chunk(k, Level.EVENT, photos, np.arange(k * 10, min(n, k * 10 + 10)))
        for k in range((n + 9) // 10)
    )
    trips = (chunk(0, Level.TRIP, photos, np.arange(n)),)
    pairs = tuple(
        DuplicateGroup(
            id=k, likeness=Likeness.NEAR, members=np.array([2 * k, 2 * k + 1]), keeper=2 * k + 1
        )
        for k in range(min(5, n // 2))
    )
    ids = np.where(cluster == NOISE, NOISE, cluster + 1)
    return Report(HEAD, photos, clustering(ids), groups, events + trips, pairs)


def chunk(number: int, level: Level, photos: tuple[ReportPhoto, ...], members: np.ndarray) -> Chunk:
    """A chunk of photos that all have a time."""
    start, end = photos[members[0]].taken_at, photos[members[-1]].taken_at
    assert start is not None
    assert end is not None
    return Chunk(number, level, start, end, members, int(members[0]), ("evening",), "Lisbon")


def thumbnail(one: ReportPhoto) -> bytes:
    """A picture that differs from photo to photo, a few hundred altogether."""
    return webp(sum(one.rel_path.encode("utf-8", "surrogatepass")) % 300)


def no_thumbnail(_photo: ReportPhoto) -> None:
    """What a source says that has none."""


def data_of(page: Path) -> dict[str, Json]:
    """The data as the browser gets it: the text of the script element, parsed."""
    import json

    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script',
        page.read_text("utf-8"),
        re.DOTALL,
    )
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data
