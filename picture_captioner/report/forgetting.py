"""Taking photos out of a report: one that shows them is deleted, to be made again without them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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


def about(folder: Path, paths: Iterable[str], hashes: Iterable[str]) -> list[Path]:
    """What of the report in the folder shows these photos."""
    if not _shows(folder, paths, hashes):
        return []
    files = [folder / name for name in _SHOWN if (folder / name).is_file()]
    return [*files, *filter(Path.is_dir, [folder / FILES_NAME])]


def forget(folder: Path, paths: Iterable[str], hashes: Iterable[str]) -> list[Path]:
    """Delete the report in the folder, if it shows them; clusters' ids stay, for the next one.

    Returns:
        What was deleted; nothing where the report does not show them.

    Raises:
        OSError: something of it cannot be deleted.
    """
    paths, hashes = set(paths), set(hashes)
    if not _shows(folder, paths, hashes):
        return []
    gone = about(folder, paths, hashes)
    for file in gone:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    try:
        state = load_state(folder / STATE_FILE)
    except BrokenStateError:
        (folder / STATE_FILE).unlink()
        return [*gone, folder / STATE_FILE]
    if state is not None:
        save_state(folder / STATE_FILE, _without(state, paths, hashes))
    return gone


def _shows(folder: Path, paths: Iterable[str], hashes: Iterable[str]) -> bool:
    """Whether the report is about one of them, by path or content; also where that is not sure.

    The CSV has a row for every photo and is written first, the state last: files that are not in
    this order are of different reports.
    """
    files = [folder / csv_export.FILE_NAME, *(folder / n for n in _SHOWN[1:]), folder / STATE_FILE]
    try:
        times = [file.stat().st_mtime_ns for file in files]
        with files[0].open(encoding="utf-8-sig", newline="") as stream:
            shown = {row["path"] for row in csv.DictReader(stream)}
        state = load_state(files[-1])
    except (OSError, ValueError, KeyError, csv.Error, BrokenStateError):
        return True
    if state is None or times != sorted(times) or not shown.isdisjoint(map(csv_export.cell, paths)):
        return True
    return not _stays(state, paths, hashes).all()


def _stays(state: RunState, paths: Iterable[str], hashes: Iterable[str]) -> NDArray[np.bool_]:
    """Of each row of the state whether it is about none of these photos."""
    by_path = {path_digest(ReportPhoto(rel_path=path)) for path in paths}
    by_content = {content_digest(ReportPhoto(rel_path="", content_sha256=h)) for h in hashes}
    return np.array(
        [
            path.tobytes() not in by_path and content.tobytes() not in by_content
            for path, content in zip(state.paths, state.contents, strict=True)
        ],
        dtype=bool,
    )


def _without(state: RunState, paths: Iterable[str], hashes: Iterable[str]) -> RunState:
    """The state without the rows of these photos."""
    stays = _stays(state, paths, hashes)
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
