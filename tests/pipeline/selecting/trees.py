"""What the tests of the walk share: trees of files that look like photos to it."""

from __future__ import annotations

import os

import pytest

from picture_captioner.pipeline.selecting.path_filter import PathFilter
from picture_captioner.pipeline.selecting.walk import PhotoKinds, walk_photos

KINDS = PhotoKinds(
    photo=frozenset({".jpg", ".heic", ".dng"}), raw=frozenset({".dng"}), video=frozenset({".mov"})
)


def make(root, *rel_paths):
    """Files of one byte; names may be bytes."""
    for rel_path in rel_paths:
        path = os.path.join(os.fsencode(root), os.fsencode(rel_path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "wb") as file:
                file.write(b"x")
        except OSError as error:
            pytest.skip(f"this file system refuses the name {rel_path!r}: {error}")


def paths(result):
    return [photo.rel_path for photo in result.photos]


def walk(root, **filters):
    return walk_photos(root, KINDS, PathFilter(**filters))
