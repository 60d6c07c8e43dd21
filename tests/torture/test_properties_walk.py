"""The walk over trees nobody would make: each file once, in one order, and nothing forgotten."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.pipeline.selecting.path_filter import SKIPPED_FOLDERS
from picture_captioner.pipeline.selecting.walk import path_key
from tests.pipeline.selecting.trees import paths, walk

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
NAMES = st.sampled_from(
    ["a", "B", "z.jpg", "a.JPG", "\u00e9.jpg", "e\u0301.heic", "b\udce9.jpg", "x y.jpg", "n\nl.jpg",
     "c.mov", "d.dng", "note.txt", ".hidden.jpg", "@eaDir", "Thumbs", "[1].jpg", "a.jpg.jpg"]
)  # fmt: skip
TREES = st.lists(
    st.tuples(
        st.lists(NAMES, min_size=1, max_size=4).map("/".join),
        st.sampled_from(["file", "file", "file", "folder", "link", "hard link"]),
        st.integers(0, 30),
    ),
    max_size=14,
)
PATTERNS = st.lists(
    st.sampled_from(["*.jpg", "a/**", "a/", "**/a/*", "[ab]*", "B", "z.jpg", "?.jpg", "*"]),
    min_size=1, max_size=2,
)  # fmt: skip


def plant(root: Path, tree: list[tuple[str, str, int]]) -> None:
    """Make what can be made; links lead to some path of the tree, to their own folder, or out."""
    targets = [path for path, _, _ in tree] + ["..", ".", "nowhere"]
    for path, kind, number in tree:
        place = root / path
        target = root / targets[number % len(targets)]
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                place.mkdir()
            elif kind == "link":
                place.symlink_to(target)
            elif kind == "hard link":
                os.link(target, place)
            else:
                place.open("xb").close()
        except OSError:  # a file where a folder should be, a loop, a link that is there already
            continue


def reachable(root: Path) -> dict[tuple[int, int], list[str]]:
    """Every photo by its inode with all the ways to it, by following every link in every way."""
    found: dict[tuple[int, int], list[str]] = {}
    hidden = {name.casefold() for name, _ in SKIPPED_FOLDERS}

    def look(folder: Path, rel: str, above: frozenset[tuple[int, int]]) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
            path = f"{rel}/{entry.name}" if rel else entry.name
            try:
                status = entry.stat()
            except OSError:
                continue
            inode = (status.st_dev, status.st_ino)
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if inode not in above and entry.name.casefold() not in hidden:
                    look(Path(entry.path), path, above | {inode})
            elif entry.name.lower().endswith((".jpg", ".heic")):
                found.setdefault(inode, []).append(path)

    status = root.stat()
    look(root, "", frozenset({(status.st_dev, status.st_ino)}))
    return found


@pytest.mark.timeout(900)
def test_every_file_is_found_once_and_the_order_of_making_them_does_not_matter(share, tried):
    examples = share(80, 2_000)

    @settings(max_examples=examples, deadline=None, database=None)
    @given(tree=TREES, patterns=PATTERNS)
    def check(tree, patterns):
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
            root = Path(place, "first", "photos")
            root.mkdir(parents=True)
            plant(root, tree)
            found = paths(walk(root))
            ways = reachable(root)
            assert found == sorted(found, key=path_key)
            taken = set(found)
            for to_one in ways.values():
                real = {path for path in to_one if not _through_a_link(root, path)}
                here = taken.intersection(to_one)
                assert here == real if real else len(here) == 1
            assert len(taken) == len(found)
            _filters_part_the_photos(root, found, patterns)
            twin = Path(place, "second", "photos")
            _copied_in_another_order(root, twin)
            assert paths(walk(twin)) == paths(walk(root))

    check()
    tried("random trees of files, folders and links", examples)


def _filters_part_the_photos(root: Path, found: list[str], patterns: list[str]) -> None:
    """What a pattern lets in and what it keeps out is everything, where no link gives a choice."""
    if any(path.is_symlink() for path in root.rglob("*")) or _has_hard_links(root):
        return
    inside, outside = paths(walk(root, include=patterns)), paths(walk(root, exclude=patterns))
    assert sorted([*inside, *outside], key=path_key) == found


def _through_a_link(root: Path, rel_path: str) -> bool:
    place = root / rel_path
    return any(step.is_symlink() for step in (place, *place.parents) if step.is_relative_to(root))


def _has_hard_links(root: Path) -> bool:
    return any(path.is_file() and path.stat().st_nlink > 1 for path in root.rglob("*"))


def _copied_in_another_order(root: Path, twin: Path) -> None:
    """The same tree, made in another order, with its links leading to the same places in it."""
    entries = sorted(root.rglob("*"), key=lambda path: len(path.parts))
    random.Random(1).shuffle(entries)
    twin.mkdir(parents=True)
    made: dict[int, Path] = {}
    for path in entries:
        copy = twin / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(str(path.readlink()).replace(str(root.parent), str(twin.parent)))
        elif path.is_dir():
            copy.mkdir(exist_ok=True)
        elif (first := made.get(path.stat().st_ino)) is not None:
            os.link(first, copy)
        else:
            shutil.copyfile(path, copy)
            made[path.stat().st_ino] = copy
