"""Writes the page and its thumbnails so that a kill leaves the old report or the new one.

Thumbnails come first and never take another's name, so the old page keeps all of its own; then the
page is replaced in one step; only then do the thumbnails go that nothing shows any more.
"""

from __future__ import annotations

import os
from pathlib import Path

from picture_captioner.journal.durable import make_folders
from picture_captioner.report.model import Report, ThumbnailSource
from picture_captioner.report.page.document import document
from picture_captioner.report.page.payload import payload, people_payload, root_link
from picture_captioner.report.page.thumbnails import ThumbnailFolder

PAGE_NAME = "cluster_report.html"
FILES_NAME = "cluster_report_files"
"""The page's folder; assets/data.js knows it, too."""

UNNAMED_LIBRARY = "Photo library"


def write_page(
    report: Report, out_dir: Path, thumbnails: ThumbnailSource, photos_dir: Path | None
) -> Path:
    """Write the page and its folder into `out_dir`; returns the page's path.

    Photos are linked relative to `photos_dir`; without one, nothing is linked. New files are
    readable by their owner only. One thumbnail at a time is in memory.

    Raises:
        OSError: something cannot be written; a report that was there before still works.
    """
    make_folders(out_dir)
    folder = ThumbnailFolder(out_dir / FILES_NAME / "thumbnails")
    digests = [folder.add(thumbnails(photo)) for photo in report.photos]
    people = people_payload(report.people, folder.add)
    root = None if photos_dir is None else root_link(photos_dir, out_dir)
    name = (photos_dir.absolute().name if photos_dir else "") or UNNAMED_LIBRARY
    page = out_dir / PAGE_NAME
    _replace(page, document(payload(report, digests, name, root, people)))
    folder.sweep()
    return page


def _replace(page: Path, content: bytes) -> None:
    """Put `content` in the page's place in one step; its mode is kept."""
    unfinished = page.with_name(f".{page.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if page.exists():
                os.fchmod(stream.fileno(), page.stat().st_mode & 0o777)
            os.fsync(stream.fileno())
        unfinished.replace(page)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
