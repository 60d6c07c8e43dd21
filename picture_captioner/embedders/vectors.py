"""Rows of unit length: what every embedder hands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import ModelError

Item = TypeVar("Item")

SMALLEST_NORM = 1e-12
"""Shorter rows have no direction that float32 could tell."""


def unit_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale each row of an (n, dim) array to length 1.

    A row without a direction becomes the diagonal, 1/sqrt(dim) in every place: inputs that give a
    model nothing to go by lie together in one spot, and a cosine is defined for every row.

    Raises:
        ModelError: a row holds NaN or infinity.
    """
    wide = rows.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ModelError("the model answered with NaN or infinity", code="not_finite")
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    wide[norms[:, 0] < SMALLEST_NORM] = 1.0
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide.astype(np.float32)


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut `items` into runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def stacked(parts: Sequence[NDArray[np.float32]], dimension: int) -> NDArray[np.float32]:
    """Put the vectors of several batches under each other; (0, dimension) for none."""
    return np.concatenate(parts) if parts else np.empty((0, dimension), np.float32)
