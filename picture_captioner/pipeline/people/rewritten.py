"""Photos that were moved, or into which another program wrote: the same picture, the same faces.

digiKam, Lightroom and exiftool change a file's hash with each keyword. A hash that no file has any
more, and that has the same faces in the same places as one that a file has, was that photo. Another
threshold of the detector finds some faces more or fewer.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from picture_captioner.library.faces import Where
from picture_captioner.library.store import Library
from picture_captioner.pipeline.people.people_file import PeopleFile

SAME_FACE = 0.999
"""Cosine of one face cut out of one picture twice; two faces of a burst reach .99."""

_Box = tuple[int, ...]
_Faces = Mapping[int, Where]


def follow_rewritten(library: Library, file: PeopleFile) -> None:
    """Let what was said and found of such photos hold of them as they are now.

    Raises:
        JournalError, LibraryError: one file cannot be written.
    """
    gone = library.faces.where(lost=True)
    if not gone:
        return
    new = library.faces.where(lost=False)
    said = file.said()
    for old, same in _twins(gone, new):
        if said.boxes.get(old):
            rows: list[dict[str, object]] = [
                {"kind": "carried", "content": old, "into": now} for now in same
            ]
            file.decide(*rows)
        whole = [now for now in same if _boxes(new[now]) == _boxes(gone[old])]
        if whole:
            library.faces.move(old, whole[0])


def leave_old_places(library: Library, photos_dir: Path, walked: Collection[str]) -> int:
    """Forget where photos lay that lie elsewhere now, be it that they were rewritten there.

    A photo that is nowhere keeps its place, since its disk may be off; how many these are.

    Raises:
        LibraryError: it cannot be written.
    """
    known = library.known_files()
    missing = {
        path: content
        for path, content in known.items()
        if path not in walked and not os.path.lexists(photos_dir / path)
    }
    if not missing:
        return 0
    there = {content for path, content in known.items() if path not in missing}
    moved = there.intersection(missing.values())
    if alone := {*missing.values()} - moved:
        new = library.faces.where(lost=False)
        new = {content: new[content] for content in new.keys() & there}
        if new:
            moved |= {old for old, _ in _twins(library.faces.where_of(alone), new)}
    left = [path for path, content in missing.items() if content in moved]
    library.drop_files(left)
    return len(missing) - len(left)


def _twins(
    gone: Mapping[str, _Faces], new: Mapping[str, _Faces]
) -> Iterator[tuple[str, list[str]]]:
    """Each of the old contents with the new ones that are the same picture."""
    by_box: dict[_Box, list[str]] = {}
    for content, faces in new.items():
        for face in faces.values():
            by_box.setdefault(_rounded(face), []).append(content)
    for old, faces in gone.items():
        near = {content for face in faces.values() for content in by_box.get(_rounded(face), ())}
        if same := sorted(content for content in near if _are_same(faces, new[content])):
            yield old, same


def _are_same(one: _Faces, other: _Faces) -> bool:
    """Whether all faces of the one that has fewer are the other's, too."""
    first, second = ({_rounded(face): face for face in faces.values()} for faces in (one, other))
    both = first.keys() & second.keys()
    return len(both) == min(len(first), len(second)) and all(
        _cosine(first[box].vector, second[box].vector) > SAME_FACE for box in both
    )


def _boxes(faces: _Faces) -> set[tuple[int, _Box]]:
    return {(number, _rounded(face)) for number, face in faces.items()}


def _rounded(face: Where) -> _Box:
    return tuple(map(round, face.box))


def _cosine(one: Iterable[float], other: Iterable[float]) -> float:
    first, second = np.asarray(one, np.float32), np.asarray(other, np.float32)
    if first.shape != second.shape:
        return 0.0
    return float(first @ second / max(float(np.sqrt((first @ first) * (second @ second))), 1e-9))
