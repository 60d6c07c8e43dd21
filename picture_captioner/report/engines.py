"""The table behind `--engine`: how vectors become a map and groups.

An engine is a function of unit vectors; another one is a row here and a file of its own. EVoC and
fast_hdbscan were measured and are not here: docs/log.md says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from picture_captioner.errors import UsageError, did_you_mean
from picture_captioner.report.density import FEW, Grouping, dense_groups, group_few
from picture_captioner.report.geometry import principal_components
from picture_captioner.report.identical import at_rows, counted, distinct, of_kinds
from picture_captioner.report.layout import lay_out
from picture_captioner.report.model import NOISE

Engine: TypeAlias = Callable[[NDArray[np.float32], int, "int | None"], Grouping]
"""Unit rows (n, d), the smallest cluster, and the seed; without one, all cores may race."""


class EngineInfo(NamedTuple):
    """One row of the table."""

    name: str
    engine: Engine
    summary: str


def _umap_hdbscan(rows: NDArray[np.float32], min_cluster_size: int, seed: int | None) -> Grouping:
    if len(rows) < FEW:
        return group_few(rows, min_cluster_size)
    first, kind = distinct(rows)
    if len(first) < FEW:
        few = group_few(rows[first], 1)
        large = np.bincount(kind) >= min_cluster_size  # so many of one are a theme by themselves
        few = replace(few, cluster=np.where(large, np.int32(NOISE), few.cluster))
        return of_kinds(few, kind, min_cluster_size)
    places = lay_out(rows[first], seed, parallel=seed is None)
    discs, middle = counted(places, kind, min_cluster_size)
    found = dense_groups(discs, min_cluster_size, parallel=seed is None)
    return of_kinds(at_rows(found, middle), kind, min_cluster_size)


def _none(rows: NDArray[np.float32], _size: int, _seed: int | None) -> Grouping:
    zeros = np.zeros(len(rows), dtype=np.float32)
    return Grouping(
        cluster=np.full(len(rows), NOISE, dtype=np.int32),
        probability=zeros,
        outlier_score=zeros,
        position=principal_components(rows, 2),
    )


BUILT_IN: tuple[EngineInfo, ...] = (
    EngineInfo("umap-hdbscan", _umap_hdbscan, "UMAP to a map, HDBSCAN on the map"),
    EngineInfo("none", _none, "no clusters; a map of the two principal components"),
)

DEFAULT_ENGINE = BUILT_IN[0].name


def engine_info(name: str) -> EngineInfo:
    """The row of one engine.

    Raises:
        UsageError: there is none of that name; the message lists the valid ones.
    """
    table = {info.name: info for info in BUILT_IN}
    if name not in table:
        raise UsageError(
            f"--engine {name}: there is no such engine{did_you_mean(name, table)} "
            f"(engines: {', '.join(table)})"
        )
    return table[name]
