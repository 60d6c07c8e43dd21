"""Which photos the page may link to, and how their names are written there.

A journal may come from elsewhere, so a path in it is only followed when the walk of the photos
directory found that photo, and never out of that directory. A link is relative and built from
percent-encoded bytes alone: no name can bring a scheme, a query or a fragment.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from picture_captioner.report.model import ReportPhoto

SHOWN_BY_BROWSERS = frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


def root_link(photos_dir: Path, out_dir: Path) -> str:
    """The way from the page to the photos directory, percent-encoded.

    Symbolic links are left alone: the browser, too, takes `..` by the letters of the path.
    """
    return quote(os.fsencode(os.path.relpath(photos_dir.absolute(), out_dir.absolute())))


def photo_link(photo: ReportPhoto) -> str | None:
    """The photo below the photos directory, percent-encoded; None if it must not be linked."""
    parts = photo.rel_path.split("/")
    if not photo.present or not set(parts).isdisjoint({"", ".", ".."}):
        return None
    return quoted(photo.rel_path)


def quoted(path: str) -> str | None:
    """The path's bytes on disk, percent-encoded; None for a text that no file can be named."""
    try:
        return quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def shown_by_browsers(rel_path: str) -> bool:
    """Whether browsers show this format by themselves; HEIC, TIFF and RAW they do not."""
    return PurePosixPath(rel_path).suffix.lower() in SHOWN_BY_BROWSERS
