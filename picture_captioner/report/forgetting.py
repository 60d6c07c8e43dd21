"""Taking photos out of a report: what shows them is deleted, to be made again without them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from picture_captioner.report import csv_export, markdown
from picture_captioner.report.model import Clustering, ReportPhoto
from picture_captioner.report.page.writer import FILES_NAME, PAGE_NAME
from picture_captioner.report.run_state import (
    STATE_FILE,
    BrokenStateError,
    RunState,
    content_digest,
    load_state,
    path_digest,
    save_state,
)

_SHOWN = (csv_export.FILE_NAME, markdown.FILE_NAME, PAGE_NAME)


def forget(folder: Path, paths: Iterable[str], hashes: Iterable[str]) -> list[Path]:
    """Delete the report in the folder; the clusters' ids stay, for the next one.

    Returns:
        What was deleted.

    Raises:
        OSError: something of it cannot be deleted.
    """
    gone = [folder / name for name in _SHOWN if (folder / name).is_file()]
    for file in gone:
        file.unlink()
    if (thumbnails := folder / FILES_NAME).is_dir():
        shutil.rmtree(thumbnails)
        gone.append(thumbnails)
    try:
        state = load_state(folder / STATE_FILE)
    except BrokenStateError:
        (folder / STATE_FILE).unlink()
        return [*gone, folder / STATE_FILE]
    if state is not None:
        save_state(folder / STATE_FILE, _without(state, paths, hashes))
    return gone


def _without(state: RunState, paths: Iterable[str], hashes: Iterable[str]) -> RunState:
    """The state without the rows of these photos."""
    by_path = {path_digest(ReportPhoto(rel_path=path)) for path in paths}
    by_content = {content_digest(ReportPhoto(rel_path="", content_sha256=h)) for h in hashes}
    stays = np.array(
        [
            path.tobytes() not in by_path and content.tobytes() not in by_content
            for path, content in zip(state.paths, state.contents, strict=True)
        ],
        dtype=bool,
    )
    found = state.clustering
    return replace(
        state,
        paths=state.paths[stays],
        contents=state.contents[stays],
        added=state.added[stays],
        clustering=Clustering(
            found.cluster[stays],
            found.probability[stays],
            found.outlier_score[stays],
            found.distance[stays],
            found.position[stays],
        ),
    )
