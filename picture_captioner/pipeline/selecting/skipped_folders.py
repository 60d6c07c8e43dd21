"""Folders that hold pictures nobody took: thumbnails, derivatives, deleted files, snapshots."""

from __future__ import annotations

import re

from picture_captioner.pipeline.selecting.path_filter import glob_regex

SKIPPED_FOLDERS: tuple[tuple[str, str], ...] = (
    ("@eaDir", "Synology: thumbnails of every photo"),
    ("@Recycle", "QNAP: deleted files"),
    ("#recycle", "Synology: deleted files"),
    ("#snapshot", "Synology: the whole share again, once per snapshot"),
    ("@__thumb", "QNAP: thumbnails of every photo"),
    ("@Recently-Snapshot", "QNAP: the whole share again, once per snapshot"),
    ("~snapshot", "NetApp: the same"),
    ("appdata_*/preview", "Nextcloud: previews of every photo"),
    ("files_trashbin", "Nextcloud: deleted files"),
    ("files_versions", "Nextcloud: earlier versions of files"),
    ("storage/cache/thumbnails", "PhotoPrism: thumbnails"),
    ("$RECYCLE.BIN", "Windows: deleted files"),
    ("System Volume Information", "Windows: restore points"),
    ("lost+found", "fsck: fragments without a name"),
    ("__MACOSX", "zip files made on a Mac: AppleDouble halves that end in .jpg"),
    ("Thumbs", "gallery programs: thumbnails"),
    ("*.clean-images", "this program: clean images (--keep-clean)"),
    ("*.lrdata", "Lightroom: previews"),
    ("iPod Photo Cache", "iTunes: smaller copies"),
    ("*.*library/resources/derivatives", "Apple Photos: smaller copies of the originals"),
    ("*.*library/resources/proxies/derivatives", "Apple Photos and Aperture: the same"),
    ("*.*library/scopes/*/resources/derivatives", "Apple Photos, shared library: the same"),
    ("*.*library/resources/media/face", "Apple Photos: faces cut out"),
    ("*.*library/Thumbnails", "Aperture: thumbnails"),
    ("*.*library/Previews", "Aperture: smaller copies of the originals"),
)
"""Folders with pictures nobody took, as patterns in any case; hidden names are skipped besides
(`.thumbnails`, `.Trash-1000`, AppleDouble's `._IMG_1.jpg`)."""

_SKIPPED = re.compile(
    "|".join(glob_regex(f"**/{pattern}") + "/" for pattern, _ in SKIPPED_FOLDERS),
    re.DOTALL | re.IGNORECASE,
)


def is_skipped(folder: str) -> bool:
    """Whether a folder is one of them, by its name and those of the folders that it is in."""
    return _SKIPPED.fullmatch(f"{folder}/") is not None
