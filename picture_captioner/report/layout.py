"""The map: photos that are neighbours lie close, by UMAP (McInnes, Healy & Melville 2018).

A small library is laid out by t-SNE (van der Maaten 2014), which needs nothing compiled first.

UMAP's own entry point searches neighbours approximately (and for less than 4,096 photos in
Python), begins with an eigenproblem that takes longer than the layout, and works in more
dimensions than a map has. Here it is handed exact neighbours and begins with the two principal
components; its graph and its layout are used as they are. docs/log.md has the figures.

Compiling UMAP takes longer than laying out a small library, so numba's machine code is kept between
runs. Some of its functions ask numba to keep what it compiled, the three that cost most do not, and
a system-wide installation has no place to keep anything. So the code goes into the user's cache
directory.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from picture_captioner.report.geometry import principal_components

NEIGHBOURS = 15
"""UMAP's default: fewer shows finer structure, more the coarse one."""

MIN_DISTANCE = 0.1
"""How close points may lie; smaller would draw photos on top of each other."""

FEW_PHOTOS = 10_000
EPOCHS = 100
EPOCHS_FOR_FEW = 300
"""A round costs little with few photos, and they have fewer neighbours to be moved by."""

SMALL_LIBRARY = 1_500
TSNE_ROUNDS = 500
TSNE_EXTENT = 1e-4
"""t-SNE takes 2 s for so many photos and is compiled; UMAP compiles for up to a minute when it is
first used, and then takes 4 s. The groups in both maps are the same (docs/report.md).
The extent is van der Maaten's, who begins with all photos near the middle."""

INITIAL_EXTENT = 10.0
JITTER = 1e-4
"""Of the map's extent: identical photos must not begin in one point, which nothing parts."""


def lay_out(rows: NDArray[np.float32], seed: int | None, *, parallel: bool) -> NDArray[np.float32]:
    """Positions (n, 2) of unit rows (n, d), n over `NEIGHBOURS`.

    With a seed and without `parallel`, the same on every run of one machine: UMAP's layout is
    then done by one thread, since threads that share positions race.
    """
    components = principal_components(rows)
    if len(rows) <= SMALL_LIBRARY:
        return _by_tsne(components, seed)
    neighbours = nearest_neighbours(components, min(NEIGHBOURS, len(rows) - 1))
    random = np.random.RandomState(seed)
    start = _start(components, random)
    return _optimised(components, neighbours, start, random, parallel=parallel)


def _by_tsne(components: NDArray[np.float32], seed: int | None) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start = components[:, :2] * (TSNE_EXTENT / max(float(components[:, 0].std()), 1e-12))
    model = TSNE(
        perplexity=min(NEIGHBOURS, (len(components) - 1) / 3),
        init=np.asarray(start, dtype=np.float32),
        max_iter=TSNE_ROUNDS,
        random_state=seed,
    )
    # More threads take longer: on 500 photos and 2 busy cores 17 s in place of 1.9 s.
    with threadpool_limits(1):
        return np.asarray(model.fit_transform(components), dtype=np.float32)


def nearest_neighbours(
    components: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `count` nearest rows to each row, itself among them: indices and cosine distances.

    Exactly, by brute force in blocks that fit the caches. Between unit vectors the squared
    Euclidean distance is twice the cosine distance, and moving the origin (which the principal
    components do) changes neither.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(components)
    distances, indices = search.kneighbors(components)
    return indices.astype(np.int32), np.asarray(distances * distances / 2, dtype=np.float32)


def _start(components: NDArray[np.float32], random: np.random.RandomState) -> NDArray[np.float32]:
    plane = components[:, :2]
    plane = plane * (INITIAL_EXTENT / max(float(np.abs(plane).max()), 1e-12))
    noise = random.normal(scale=JITTER * INITIAL_EXTENT, size=plane.shape)
    return np.asarray(plane + noise, dtype=np.float32)


def _optimised(
    components: NDArray[np.float32],
    neighbours: tuple[NDArray[np.int32], NDArray[np.float32]],
    start: NDArray[np.float32],
    random: np.random.RandomState,
    *,
    parallel: bool,
) -> NDArray[np.float32]:
    umap = import_umap()
    indices, distances = neighbours
    graph, _, _ = umap.fuzzy_simplicial_set(
        components,
        indices.shape[1],
        random,
        "cosine",
        knn_indices=indices,
        knn_dists=distances,
    )
    a, b = umap.find_ab_params(1.0, MIN_DISTANCE)
    position, _ = umap.simplicial_set_embedding(
        components,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=EPOCHS_FOR_FEW if len(components) <= FEW_PHOTOS else EPOCHS,
        init=start,
        random_state=random,
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        euclidean_output=True,
        parallel=parallel,
        tqdm_kwds={"disable": True},
    )
    return np.asarray(position, dtype=np.float32)


def scaled(position: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map moved and scaled to 0 to 1 with its proportions kept, in the middle."""
    low, high = position.min(axis=0), position.max(axis=0)
    extent = float((high - low).max())
    if extent <= 0:
        return np.full_like(position, 0.5)
    moved = (position - (low + high) / 2) / extent + 0.5
    return np.asarray(np.clip(moved, 0.0, 1.0), dtype=np.float32)


CACHE_VARIABLE = "NUMBA_CACHE_DIR"
FOLDER = "picture-captioner-clusterer-chunker"


def user_cache_dir() -> Path:
    """Where programs keep what they can make again."""
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / FOLDER
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / FOLDER
    return Path.home() / ".cache" / FOLDER


def keep_compiled_code() -> None:
    """Let numba use a folder of the user's, unless the environment names another.

    Must run before numba is imported: it reads the variable then. Where the folder cannot be
    made, everything works as before, a minute slower.
    """
    if CACHE_VARIABLE in os.environ or "numba" in sys.modules:
        return
    folder = user_cache_dir() / "numba"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return
    if os.access(folder, os.W_OK | os.X_OK):
        os.environ[CACHE_VARIABLE] = str(folder)


def import_umap() -> ModuleType:
    """`umap.umap_`, with its compiled functions kept.

    Raises:
        ModuleNotFoundError: the `report` extra is not installed.
    """
    keep_compiled_code()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # it would like to have TensorFlow
        umap = importlib.import_module("umap.umap_")
        layouts = importlib.import_module("umap.layouts")
    for function in (
        umap.smooth_knn_dist,
        umap.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
        layouts._nb_optimize_layout_euclidean_single_epoch_parallel,
    ):
        _keep(function)
    return umap


def _keep(function: object) -> None:
    """Cache one compiled function; another numba may not offer it, or have nowhere to write."""
    enable = getattr(function, "enable_caching", None)
    if enable is None:
        return
    try:
        enable()
    except RuntimeError:  # "no locator available": the folder is read-only
        return
