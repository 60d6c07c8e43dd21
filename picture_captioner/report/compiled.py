"""numba's machine code, kept between runs.

Compiling UMAP takes longer than laying out a small library. Some of its functions ask numba to
keep what it compiled, the three that cost most do not, and a system-wide installation has no
place to keep anything. So the code goes into the user's cache directory.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

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
