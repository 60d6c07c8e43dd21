"""Photos into which another program wrote: other bytes, the same picture, so the same faces.

digiKam, Lightroom and exiftool change a file's hash with each keyword. A hash that no file has any
more, and that has the same faces in the same places as one that a file has, was that photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from picture_captioner.library.faces import Where
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.people_file import PeopleFile

SAME_FACE = 0.999
"""Cosine of one face cut out of one picture twice; two faces of a burst reach .99."""

_Boxes = tuple[tuple[int, ...], ...]


def follow_rewritten(library: Library, file: PeopleFile) -> None:
    """Let what was said and found of such photos hold of them as they are now.

    Raises:
        JournalError, LibraryError: one file cannot be written.
    """
    gone = library.faces.where(lost=True)
    if not gone:
        return
    new = library.faces.where(lost=False)
    by_boxes: dict[_Boxes, list[str]] = {}
    for content, faces in new.items():
        by_boxes.setdefault(_boxes(faces), []).append(content)
    said = file.said()
    for old, faces in gone.items():
        same = [
            content for content in by_boxes.get(_boxes(faces), ()) if _are_same(faces, new[content])
        ]
        if same and said.boxes.get(old):
            rows: list[dict[str, object]] = [
                {"kind": "carried", "content": old, "into": now} for now in same
            ]
            file.decide(*rows)
        if same:
            library.faces.move(old, same[0])


def _boxes(faces: Mapping[int, Where]) -> _Boxes:
    return tuple((number, *map(round, faces[number].box)) for number in sorted(faces))


def _are_same(one: Mapping[int, Where], other: Mapping[int, Where]) -> bool:
    return all(_cosine(face.vector, other[number].vector) > SAME_FACE
               for number, face in one.items())  # fmt: skip


def _cosine(one: Iterable[float], other: Iterable[float]) -> float:
    first, second = np.asarray(one, np.float32), np.asarray(other, np.float32)
    if first.shape != second.shape:
        return 0.0
    return float(first @ second / max(float(np.sqrt((first @ first) * (second @ second))), 1e-9))
