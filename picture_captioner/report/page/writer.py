"""Writes the page and its thumbnails so that a kill leaves the old report or the new one.

Thumbnails come first and never take another's name, so the old page keeps all of its own; then the
page is replaced in one step; only then do the thumbnails go that nothing shows any more.
"""

from __future__ import annotations

from pathlib import Path

from picture_captioner.journal.durable import make_folders, replacing
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
    content = document(payload(report, digests, name, root, people))
    with replacing(page) as stream:
        stream.write(content)
    folder.sweep()
    return page
