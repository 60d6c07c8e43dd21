"""One ranking from two: photos found by words and photos found by vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from picture_captioner.library.captions import CaptionHit

_RANK_OFFSET = 60
"""The constant of the paper; it keeps the first places from outweighing everything."""


def fuse(rankings: Sequence[Sequence[CaptionHit]], limit: int) -> list[CaptionHit]:
    """The best of several rankings, whose scores need not compare; `score` is the fused one.

    Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    scores: dict[str, float] = {}
    hits: dict[str, CaptionHit] = {}
    for ranking in rankings:
        for place, hit in enumerate(ranking, start=1):
            scores[hit.rel_path] = scores.get(hit.rel_path, 0.0) + 1 / (_RANK_OFFSET + place)
            hits.setdefault(hit.rel_path, hit)
    best = sorted(hits, key=lambda path: -scores[path])[:limit]
    return [replace(hits[path], score=scores[path]) for path in best]
