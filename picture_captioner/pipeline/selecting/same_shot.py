"""RAW and JPEG (or HEIC) of one shot: two files of one name that the camera wrote together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from picture_captioner.pipeline.selecting.walk import Photo

_BESIDE_RAW = frozenset({".jpg", ".jpeg", ".heic", ".heif", ".hif"})

_TOGETHER_NS = 60 * 10**9
"""Between the two files' times at most: what was exported later may be cropped."""


def find_shots(photos: Iterable[Photo], raw_suffixes: Collection[str]) -> dict[str, Photo]:
    """The path of each RAW file that was taken together with one other photo, and that photo.

    They lie in one folder, have one name but for the suffix, and were written within a minute.
    """
    raws: dict[str, list[Photo]] = {}
    beside: dict[str, list[Photo]] = {}
    for photo in photos:
        stem, dot, suffix = photo.rel_path.rpartition(".")
        suffix = dot + suffix.lower()
        if suffix in _BESIDE_RAW:
            beside.setdefault(stem, []).append(photo)
        elif suffix in raw_suffixes:
            raws.setdefault(stem, []).append(photo)
    return {
        raw[0].rel_path: beside[stem][0]
        for stem, raw in raws.items()
        if len(raw) == 1
        and len(beside.get(stem, ())) == 1
        and PurePosixPath(stem).name
        and abs(raw[0].mtime_ns - beside[stem][0].mtime_ns) <= _TOGETHER_NS
    }
