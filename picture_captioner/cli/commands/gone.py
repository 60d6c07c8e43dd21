"""`forget --gone`: which photos were deleted, and not moved, renamed or on a missing disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from picture_captioner.cli.commands.photos import photo_kinds
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import (
    ConfigurationError,
    CorruptImageError,
    NoPhotosError,
    UnreadableFileError,
    count,
)
from picture_captioner.image_loader.reading import read_file
from picture_captioner.journal.record import Entry
from picture_captioner.pipeline.selecting.walk import Photo, walk_photos


class Gone:
    """Says of a photo, by its path, whether it was deleted.

    Not if its bytes are in a file that is here: a new one (`moved`), or one that took another
    photo's name (`renamed`). Not where its folder is empty, a link to nowhere or cannot be read
    either, since a disk may be missing there; unless its bytes are known under a name that is
    here. `unsure` has these folders, and their photos.
    """

    def __init__(
        self, photos_dir: Path, entries: Mapping[str, Entry], *, follow_links: bool
    ) -> None:
        self._photos_dir = photos_dir
        self._entries = entries
        here = (e.content_sha256 for path, e in entries.items() if lies_in(self._photos_dir, path))
        self._here = {content for content in here if content}
        self._folders: dict[PurePosixPath, str | None] = {}
        self._moved, self._renamed = self._elsewhere(follow_links=follow_links)
        self._unsure: dict[str, set[str]] = {}

    def __call__(self, rel_path: str) -> bool:
        """Whether this photo was deleted."""
        if rel_path in self._moved or rel_path in self._renamed or not self._is_missing(rel_path):
            return False
        if _is_outside(rel_path):
            return True  # no photo of this directory; nothing is looked at outside
        pure = PurePosixPath(rel_path)
        if pure.parent not in self._folders:
            self._folders[pure.parent] = self._without_files(pure.parent)
        folder, known = self._folders[pure.parent], self._entries.get(rel_path)
        if folder is None or (known is not None and known.content_sha256 in self._here):
            return True
        self._unsure.setdefault(folder, set()).add(rel_path)
        return False

    def tell_moved(self, flags: Flags) -> None:
        """Say how many lie elsewhere now, and which run finds them there."""
        for kept, finds in ((self._moved, ()), (self._renamed, ("--stale=content",))):
            if kept:
                one = len(kept) == 1
                say(
                    f"{count(len(kept))} {'lies' if one else 'lie'} elsewhere now and "
                    f"{'is' if one else 'are'} not forgotten: {suggested(flags, 'run', *finds)} "
                    f"finds {'it' if one else 'them'} there, and asks nobody again"
                )

    def tell_unsure(self, flags: Flags) -> None:
        """Say where a disk may be missing. Photos that were moved from there come first."""
        if not self._unsure:
            return
        folders = sorted(self._unsure)
        some = ", ".join(folders[:3]) + (", ..." if len(folders) > 3 else "")
        after_run = ", after that run" if self._moved or self._renamed else ""
        say(
            f"{count(sum(map(len, self._unsure.values())))} not forgotten: nothing can be seen in "
            f"{'their folders' if len(folders) > 1 else 'their folder'} ({some}); is a disk "
            f"mounted there at other times? If they were deleted{after_run}: "
            f"{suggested(flags, 'forget', *folders[:3])}",
            always=True,
        )

    def _is_missing(self, rel_path: str) -> bool:
        """Whether nothing of that name is here, be it deleted, moved or on a missing disk."""
        return _is_outside(rel_path) or not lies_in(self._photos_dir, rel_path)

    def _elsewhere(self, *, follow_links: bool) -> tuple[set[str], set[str]]:
        """The captioned photos that are missing, but whose bytes are in a file that is here.

        Those in a file that is new, and those in one that took another photo's name.
        """
        missing = {
            rel_path: (entry.size, entry.content_sha256)
            for rel_path, entry in self._entries.items()
            if entry.success and not entry.placeholder and self._is_missing(rel_path)
        }
        if not missing:
            return set(), set()
        sizes = {size for size, _ in missing.values()}
        new: set[tuple[int | None, str | None]] = set()
        renamed: set[tuple[int | None, str | None]] = set()
        for photo in walk_photos(self._photos_dir, photo_kinds(), follow_links=follow_links).photos:
            own = self._entries.get(photo.rel_path)
            is_itself = own is not None and (own.size, own.mtime_ns) == (photo.size, photo.mtime_ns)
            if photo.size not in sizes or is_itself:
                continue
            with suppress(UnreadableFileError, CorruptImageError):
                content = read_file(self._photos_dir / photo.rel_path).content_sha256
                if own is None:
                    new.add((photo.size, content))
                elif own.content_sha256 != content:
                    renamed.add((photo.size, content))
        moved = {path for path, content in missing.items() if content in new}
        return moved, {path for path, content in missing.items() if content in renamed} - moved

    def _without_files(self, parent: PurePosixPath) -> str | None:
        """The nearest folder that is there, if nothing can be seen in it."""
        for folder in (parent, *parent.parents):
            path = self._photos_dir / folder
            try:
                with os.scandir(path) as found:
                    return None if any(found) else str(folder)
            except (FileNotFoundError, NotADirectoryError, ValueError):
                if path.is_symlink():
                    return str(folder)
            except OSError:
                return str(folder)
        return None


def tell_missing(
    photos_dir: Path, found: Iterable[Photo], entries: Mapping[str, Entry], flags: RunFlags
) -> None:
    """Say of how many captioned photos nothing is here: "every photo is done" is not all then.

    Of a photo that was moved, or deleted while a copy is there, the bytes are known under a name
    that is here. Of a part that was named, nothing is said: all others would be looked for.
    """
    if flags.named or flags.below:
        return
    walked = {photo.rel_path for photo in found}
    here = {p for p in entries if p in walked or _is_outside(p) or lies_in(photos_dir, p)}
    if len(here) == len(entries):
        return
    contents = {entries[path].content_sha256 for path in here}
    lost = {
        entry.content_sha256 or path: path
        for path, entry in entries.items()
        if path not in here and entry.success and entry.content_sha256 not in contents
    }
    if lost:
        one = len(lost) == 1
        some = f"{min(lost.values())}{'' if one else ', ...'}"
        say(
            f"{count(len(lost))} of the journal {'is' if one else 'are'} not here ({some}): is a "
            f"disk missing, or {'was it' if one else 'were they'} deleted? To see which: "
            f"{suggested(flags, 'forget', '--gone', '--dry-run')}"
        )


def present_photos_dir(settings: Settings) -> Path:
    """The photos directory, without which nothing can be said to be gone.

    Raises:
        ConfigurationError: none was given.
        NoPhotosError: it is not there or empty: everything would count as deleted.
    """
    photos_dir = settings.photos_dir
    if photos_dir is None:
        raise ConfigurationError("--gone: which photos? Give --photos-dir DIR")
    if not photos_dir.is_dir() or not any(photos_dir.iterdir()):
        raise NoPhotosError(
            f"{photos_dir} is not there or empty, so every photo would count as deleted: is the "
            "disk mounted?"
        )
    return photos_dir


def _is_outside(rel_path: str) -> bool:
    pure = PurePosixPath(rel_path)
    return pure.is_absolute() or ".." in pure.parts or "\0" in rel_path


def lies_in(photos_dir: Path, rel_path: str) -> bool:
    """Whether there is something of that name, even a link to nothing, or the disk does not say."""
    try:
        os.lstat(photos_dir / rel_path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False  # ValueError: a name that no file can have, or a NUL in it
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True
