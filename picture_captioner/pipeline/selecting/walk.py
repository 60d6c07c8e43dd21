"""Find every photo below a directory, each file once, in an order that every machine agrees on.

Photo libraries live on NAS shares, on disks linked into one folder and next to thumbnails that
other programs made. The walk follows links within the photos directory, and those that lead out of
it only if it is told to: a link to `/` would send every picture there is. It ends in loops,
leaves out what nobody took with a camera, and counts what it left out. Names keep their bytes:
what is not UTF-8 becomes surrogate escapes (`os.fsdecode`), NFC and NFD spellings stay two names.

**Path order**: paths are compared component by component, each component as bytes. So `a/z.jpg`
comes before `a.jpg`, `B` before `a`, and neither locale nor creation order has a say.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from picture_captioner.pipeline.selecting.path_filter import PathFilter, is_skipped
from picture_captioner.pipeline.selecting.photos_root import FileId, ensure_present, root_id

EXAMPLES_KEPT = 3
"""Names that a `Sample` keeps to show what it counted."""

LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""`stat` errors that mean: there is no such file."""

_PLACEHOLDER = ".icloud"
_SUFFIX = re.compile(r"(?!\d+$)\w{1,10}")
"""A year or a counter behind a dot is no suffix, nor is half a sentence."""


class Photo(msgspec.Struct, frozen=True, gc=False):
    """One photo: its path below the photos directory, `/`-separated, bytes and modification time.

    A struct is made five times faster than a tuple with names, and no garbage collection has to
    look at a million of them.
    """

    rel_path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class PhotoKinds:
    """Which suffixes (lower case, with the dot) are what.

    RAW suffixes count as photos only if `raw_available`, whether or not `photo` holds them too.
    """

    photo: frozenset[str]
    raw: frozenset[str] = frozenset()
    video: frozenset[str] = frozenset()
    raw_available: bool = False


@dataclass(slots=True)
class Sample:
    """How many of something there were, and the first few by name."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, rel_path: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < EXAMPLES_KEPT:
            self.examples.append(rel_path)


class Unreadable(NamedTuple):
    """A file or directory that the disk did not let us look at, and what it said."""

    rel_path: str
    reason: str


@dataclass(slots=True)
class WalkResult:
    """The photos in path order, and all that was left out."""

    photos: list[Photo] = field(default_factory=list)
    videos: Sample = field(default_factory=Sample)
    raw_without_extra: Sample = field(default_factory=Sample)
    other: Sample = field(default_factory=Sample)
    """Neither photo nor video, or no regular file."""
    other_kinds: Counter[str] = field(default_factory=Counter)
    """How many of them have which suffix, as `kind_of` names it."""
    in_icloud: Sample = field(default_factory=Sample)
    """Photos of which only iCloud's placeholder is here: `.IMG_1.HEIC.icloud`."""
    skipped: Sample = field(default_factory=Sample)
    """Hidden names and folders of `SKIPPED_FOLDERS`; a folder counts as one."""
    excluded: Sample = field(default_factory=Sample)
    """Left out by `--include` or `--exclude`; a folder counts as one."""
    hard_links: Sample = field(default_factory=Sample)
    """Further names of a file that was already met; they are among the photos."""
    links: Sample = field(default_factory=Sample)
    """Links to a file or folder that was already met."""
    loops: Sample = field(default_factory=Sample)
    """Links to a folder that they are in."""
    outside: Sample = field(default_factory=Sample)
    """Links that lead out of the photos directory, with where they lead to."""
    broken_links: Sample = field(default_factory=Sample)
    missing: Sample = field(default_factory=Sample)
    """Named in `--files-from`, not on disk."""
    unreadable: list[Unreadable] = field(default_factory=list)


def path_key(rel_path: str) -> bytes:
    """A key that sorts by path order: no name holds a NUL, so as a separator it comes first."""
    return os.fsencode(rel_path).replace(b"/", b"\0")


def kind_of(rel_path: str) -> str:
    """What a file is by its name: its suffix in lower case, or that it has none."""
    _, dot, suffix = rel_path.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if dot and _SUFFIX.fullmatch(suffix) else "without a suffix"


class _Seen:
    """Files or folders met so far, by device and inode: about 65 bytes each."""

    def __init__(self) -> None:
        self._inodes: defaultdict[int, set[int]] = defaultdict(set)

    def is_new(self, device: int, inode: int) -> bool:
        """Whether this one was not met before; remembers it."""
        inodes = self._inodes[device]
        if inode in inodes:
            return False
        if inode:  # 0: a file system that numbers no files, where all would look like one
            inodes.add(inode)
        return True


class Collector:
    """Sorts what is found into a `WalkResult`; the walk and the file list share its rules."""

    def __init__(self, kinds: PhotoKinds, path_filter: PathFilter) -> None:
        self.result = WalkResult()
        self.filter = path_filter
        self._all_pass = path_filter.is_empty
        self._seen = _Seen()
        without_extra = frozenset() if kinds.raw_available else kinds.raw
        self._photo = (kinds.photo | kinds.raw) - without_extra
        # In one case, as nearly all are: spares most files the time to lower theirs.
        self._as_cameras_write = self._photo | {suffix.upper() for suffix in self._photo}
        self._not_taken = dict.fromkeys(kinds.raw, self.result.raw_without_extra)
        self._not_taken |= dict.fromkeys(kinds.video, self.result.videos)

    def wants(self, rel_path: str) -> bool:
        """Whether the name is a photo's that the filter lets through; counts it if not."""
        if not (self._all_pass or self.filter.takes_file(rel_path)):
            self.result.excluded.add(rel_path)
            return False
        suffix = rel_path[rel_path.rfind(".") :]
        if suffix in self._as_cameras_write or suffix.lower() in self._photo:
            return True
        if known := self._not_taken.get(suffix.lower()):
            known.add(rel_path)
        else:
            self._pass_over(rel_path, kind_of(rel_path))
        return False

    def hidden(self, rel_path: str) -> None:
        """Count a hidden file or folder, and one that stands for a photo for what it is."""
        if rel_path.endswith(_PLACEHOLDER):
            suffix = os.path.splitext(rel_path.removesuffix(_PLACEHOLDER))[1].lower()  # noqa: PTH122
            if suffix in self._photo or suffix in self._not_taken:
                self.result.in_icloud.add(rel_path)
                return
        self.result.skipped.add(rel_path)

    def add(self, rel_path: str, status: os.stat_result, *, linked: bool = False) -> None:
        """Take a file that is wanted, unless it is no regular file or a link to one met before.

        A hard link is a photo like any other: who deletes one of the names keeps the caption.
        """
        if not stat.S_ISREG(status.st_mode):
            self._pass_over(rel_path, "no regular file")
            return
        if not self._seen.is_new(status.st_dev, status.st_ino):
            if linked:
                self.result.links.add(rel_path)
                return
            self.result.hard_links.add(rel_path)
        self.result.photos.append(Photo(rel_path, status.st_size, status.st_mtime_ns))

    def _pass_over(self, rel_path: str, kind: str) -> None:
        self.result.other.add(rel_path)
        self.result.other_kinds[kind] += 1

    def fail(self, rel_path: str, error: OSError) -> None:
        """Report what could not be looked at."""
        self.result.unreadable.append(Unreadable(rel_path, error.strerror or str(error)))


def outside_of(real_root: str, path: str) -> str | None:
    """Where a path leads to behind its links, if that is not below `real_root`, else None."""
    real = os.path.realpath(path)
    inside = real == real_root or real.startswith(real_root.rstrip("/") + "/")
    return None if inside else real


def walk_photos(
    photos_dir: Path,
    kinds: PhotoKinds,
    path_filter: PathFilter | None = None,
    *,
    follow_links: bool = False,
) -> WalkResult:
    """Find the photos below a directory, in path order.

    Each folder is taken once, by device and inode, and so is each file that links lead to: a real
    path before a link to it, else the first in path order. Hard links are real paths. A folder is
    filtered under the path by which it was entered. What cannot be read below the root is reported
    in the result. Links that lead out of the directory are followed only with `follow_links`; the
    directory itself may be a link.

    Raises:
        ConfigurationError: `photos_dir` is not there or not a directory.
        NoPhotosError: it cannot be read, or went away during the walk.
    """
    root = root_id(photos_dir)
    collector = Collector(kinds, path_filter or PathFilter())
    _Walker(photos_dir, collector, follow_links=follow_links).walk(root)
    ensure_present(photos_dir, root)
    return collector.result


_name: Callable[[os.DirEntry[str]], str] = attrgetter("name")


class _Walker:
    """One walk. Strings and `DirEntry`s, no `Path`s: a million of them would take minutes."""

    def __init__(self, photos_dir: Path, collector: Collector, *, follow_links: bool) -> None:
        self._root = os.fspath(photos_dir)
        self._real_root = os.path.realpath(photos_dir)
        self._follow_links = follow_links
        self._name = photos_dir.resolve().name
        self._collector = collector
        self._folders = _Seen()
        self._links: list[str] = []
        self._behind_links = False

    def walk(self, root: FileId) -> None:
        """Walk what is really there, then follow the links found, then the links behind those.

        Without links the photos are in path order as they were met: nothing needs sorting.
        """
        self._folders.is_new(*root)
        self._walk_below("")
        met_in_order = not self._links
        self._behind_links = True
        while self._links:
            links, self._links = self._links, []
            for rel_path in links:  # in path order, as they were found
                self._follow(rel_path)
        if not met_in_order:
            self._collector.result.photos.sort(key=lambda photo: path_key(photo.rel_path))

    def _walk_below(self, rel_dir: str) -> None:
        """Go through a folder entry by entry, and through each folder in it where it comes."""
        open_folders = [self._scan(rel_dir)]
        while open_folders:
            below = self._next_folder(*open_folders[-1])
            if below is None:
                open_folders.pop()
            else:
                open_folders.append(self._scan(below))

    def _next_folder(self, prefix: str, entries: list[os.DirEntry[str]]) -> str | None:
        """Take the files up to the next folder that is entered, or all that are left."""
        wants, add = self._collector.wants, self._collector.add
        while entries:
            entry = entries.pop()
            rel_path = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._enters(rel_path, entry.stat(follow_symlinks=False)):
                        return rel_path
                elif entry.is_symlink():
                    self._links.append(rel_path)
                elif wants(rel_path):
                    add(rel_path, entry.stat(follow_symlinks=False), linked=self._behind_links)
            except OSError as error:
                self._collector.fail(rel_path, error)
        return None

    def _scan(self, rel_dir: str) -> tuple[str, list[os.DirEntry[str]]]:
        """The folder's prefix and what is not hidden in it, last in path order first."""
        prefix = f"{rel_dir}/" if rel_dir else ""
        visible: list[os.DirEntry[str]] = []
        try:
            with os.scandir(f"{self._root}/{rel_dir}") as entries:
                for entry in entries:
                    if entry.name[0] == ".":
                        self._collector.hidden(prefix + entry.name)
                    else:
                        visible.append(entry)
        except OSError as error:
            self._collector.fail(rel_dir, error)
        if all(entry.name.isascii() for entry in visible):  # then characters are bytes
            visible.sort(key=_name, reverse=True)
        else:
            visible.sort(key=lambda entry: os.fsencode(entry.name), reverse=True)
        return prefix, visible

    def _enters(self, rel_dir: str, status: os.stat_result) -> bool:
        result = self._collector.result
        # The root's name counts only as a parent: whoever names Thumbs/ itself wants what is there.
        if is_skipped(f"{self._name}/{rel_dir}"):
            result.skipped.add(rel_dir)
        elif not self._collector.filter.enters(rel_dir):
            result.excluded.add(rel_dir)
        elif not self._folders.is_new(status.st_dev, status.st_ino):
            looped = self._is_above(rel_dir, status)
            (result.loops if looped else result.links).add(rel_dir)
        else:
            return True
        return False

    def _is_above(self, rel_dir: str, status: os.stat_result) -> bool:
        """Whether a folder that was met already is one that the path to it went through."""
        above = Path(self._root, rel_dir).parents[: rel_dir.count("/") + 1]
        return any(os.path.samestat(folder.stat(), status) for folder in above)

    def _follow(self, rel_path: str) -> None:
        result, path = self._collector.result, f"{self._root}/{rel_path}"
        try:
            if not self._follow_links and (target := outside_of(self._real_root, path)):
                result.outside.add(f"{rel_path} -> {target}")
                return
            status = Path(path).stat()
        except OSError as error:
            if error.errno in LEADS_NOWHERE:
                result.broken_links.add(rel_path)
            else:
                self._collector.fail(rel_path, error)
            return
        if stat.S_ISDIR(status.st_mode):
            if self._enters(rel_path, status):
                self._walk_below(rel_path)
        elif self._collector.wants(rel_path):
            self._collector.add(rel_path, status, linked=True)
