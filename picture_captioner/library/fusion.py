"""One ranking from several: photos found by words, and photos found by vectors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

_RANK_OFFSET = 60
"""The constant of the paper; it keeps the first places from outweighing everything."""

T = TypeVar("T", bound=Hashable)


def fuse(rankings: Iterable[Sequence[T]]) -> dict[T, float]:
    """The scores of what stands in several rankings, best first in each, best first here.

    Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009.
    """
    scores: dict[T, float] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_RANK_OFFSET + place)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
