"""What a run leaves for the next: which photo was in which cluster, and where clusters lie.

A numpy archive of plain arrays and one JSON text, `cluster_state.npz` beside the report. Nothing
in it is pickled: a state from elsewhere can be wrong, it cannot run anything. Photos are named by
digests, so the file says nothing about names.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picture_captioner.journal.durable import replacing
from picture_captioner.report.clustering import Centroids
from picture_captioner.report.model import NOISE, Clustering, ReportPhoto

STATE_FILE = "cluster_state.npz"
FORMAT = 1
_DIGEST = 16


class BrokenStateError(ValueError):
    """The file is there and is no state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run as the next one needs it; arrays have a row per photo, except `centroids`.

    `paths` and `contents` are digests, uint8 (n, 16), zeros where the content is unknown.
    `added` marks photos that were assigned after the clustering. `next_id` is the first id that
    no cluster ever had. `embedder` is the identity of what made the vectors.
    """

    embedder: str
    engine: str
    seed: int | None
    min_cluster_size: int
    next_id: int
    paths: NDArray[np.uint8]
    contents: NDArray[np.uint8]
    clustering: Clustering
    added: NDArray[np.bool_]
    centroids: Centroids

    def rows_of(self, photos: Sequence[ReportPhoto]) -> NDArray[np.int64]:
        """For each photo its row here, -1 if it is new; by path, else by content (it moved)."""
        by_path = {key.tobytes(): i for i, key in enumerate(self.paths)}
        by_content = {key.tobytes(): i for i, key in enumerate(self.contents) if key.any()}
        return np.array(
            [
                by_path.get(path_digest(photo), by_content.get(content_digest(photo), -1))
                for photo in photos
            ],
            dtype=np.int64,
        )

    def previous_ids(self, photos: Sequence[ReportPhoto]) -> NDArray[np.int32]:
        """The cluster each photo was in; `NOISE` for none and for photos that are new."""
        rows = self.rows_of(photos)
        found = np.full(len(rows), NOISE, dtype=np.int32)
        found[rows >= 0] = self.clustering.cluster[rows[rows >= 0]]
        return found


def path_digest(photo: ReportPhoto) -> bytes:
    """The photo by its path, 16 bytes."""
    return _digest(photo.rel_path)


def content_digest(photo: ReportPhoto) -> bytes:
    """The photo by its bytes, 16 bytes; zeros if they are unknown."""
    if photo.content_sha256 is None:
        return bytes(_DIGEST)
    return _digest(photo.content_sha256)


def _digest(text: str) -> bytes:
    """Of any text: a journal from elsewhere may hold a surrogate that no file name can."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=_DIGEST).digest()


def digests(photos: Sequence[ReportPhoto]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The digests of all photos by path and by content, each (n, 16)."""
    shape = (len(photos), _DIGEST)
    paths = b"".join(map(path_digest, photos))
    contents = b"".join(map(content_digest, photos))
    return (
        np.frombuffer(paths, dtype=np.uint8).reshape(shape),
        np.frombuffer(contents, dtype=np.uint8).reshape(shape),
    )


_CLUSTERING = ("cluster", "probability", "outlier_score", "distance", "position")
_HEADER = ("embedder", "engine", "seed", "min_cluster_size", "next_id")


def save_state(path: Path, state: RunState) -> None:
    """Write the state in place of the old one.

    Raises:
        OSError: it cannot be written; the old one is as it was.
    """
    header = {"format": FORMAT} | {name: getattr(state, name) for name in _HEADER}
    arrays = {name: getattr(state.clustering, name) for name in _CLUSTERING}
    arrays |= {"paths": state.paths, "contents": state.contents, "added": state.added}
    arrays |= {
        "centroid_ids": state.centroids.ids,
        "centroid_rows": state.centroids.rows,
        "centroid_limits": state.centroids.limits,
    }
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with replacing(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, header=text, **arrays)


def load_state(path: Path) -> RunState | None:
    """The state of the previous run, None if there is none.

    Raises:
        BrokenStateError: the file is no state, or of a later format.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return _checked(json.loads(archive["header"].tobytes()), dict(archive.items()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise BrokenStateError(f"{path} is no state of a report: {error}") from error


def _checked(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> RunState:
    if header["format"] != FORMAT:
        raise BrokenStateError(f"format {header['format']} is not known here")
    n, k = len(arrays["cluster"]), len(arrays["centroid_ids"])
    for name in (*_CLUSTERING, "paths", "contents", "added"):
        if len(arrays[name]) != n:
            raise BrokenStateError(f"{name} has {len(arrays[name])} rows, not {n}")
    if len(arrays["centroid_rows"]) != k or len(arrays["centroid_limits"]) != k:
        raise BrokenStateError("the centroids are not as many as their ids")
    return RunState(
        **{name: header[name] for name in _HEADER},
        paths=arrays["paths"],
        contents=arrays["contents"],
        clustering=Clustering(*(arrays[name] for name in _CLUSTERING)),
        added=arrays["added"],
        centroids=Centroids(
            arrays["centroid_ids"], arrays["centroid_rows"], arrays["centroid_limits"]
        ),
    )
