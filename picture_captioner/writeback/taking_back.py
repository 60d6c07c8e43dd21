"""Writes taken back, wherever their files lie by now.

Where nobody changed the file since, undoing restores it byte for byte; where somebody did, our own
values are taken out and theirs stay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from picture_captioner.errors import SidecarError
from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS, RAW_EXTENSIONS
from picture_captioner.journal.record import utc_now
from picture_captioner.metadata.xmp_packet import XmpError, XmpPacket
from picture_captioner.writeback.embedded import EXIF_TEXT, put_photo, read_photo, with_words
from picture_captioner.writeback.exiftool import ExifTool
from picture_captioner.writeback.sidecars import Added
from picture_captioner.writeback.undo import (
    NAME,
    Folder,
    Inside,
    UndoFile,
    Write,
    put,
    read,
    sha256,
)


class Undone(StrEnum):
    """What undoing a write came to."""

    RESTORED = "restored byte for byte"
    TAKEN_OUT = "changed since: our own values taken out"
    NOTHING = "as they were already"
    MISSING = "not there now: can still be taken back"
    GIVEN_UP = "not there, and given up"
    FAILED = "could not be undone"


def take_back(
    file: UndoFile,
    folder: Folder,
    writes: Iterable[Write],
    tool: ExifTool,
    carry: Callable[[str, str, str, str], None],
    moved: Callable[[str], str | None],
    tell: Callable[[Write, Undone, str], None],
    *,
    give_up: bool,
) -> Iterator[Undone]:
    """Undo these writes, the newest first, each as soon as it is asked for.

    A write whose file is not there stays open (unless `give_up`), and so do the earlier ones of
    that file: its disk may come back. They come last: by then it is known whose files the others
    are.

    Args:
        tool: needed only for a photo that somebody changed since.
        carry: told of a photo whose bytes are others now: its path now, that when it was written,
            the old hash and the new one.
        moved: where a file that is not there lies now, if that is known.
    """
    newest_first = sorted(writes, key=lambda w: w.identity, reverse=True)
    places = _Places(folder, newest_first, moved)
    for write in sorted(newest_first, key=lambda w: w.path in places.missing):
        why, path = "", write.path
        try:
            place = places.of(path)
            if place is None:
                done = Undone.GIVEN_UP if give_up else Undone.MISSING
            elif write.inside is None:
                done = _undo(write, folder.file(place))
            else:
                done, now = _undo_inside(write, write.inside, folder.file(place), tool)
                if now is not None:
                    carry(place, path, write.after_sha256, now)
        except SidecarError as error:
            done, why = Undone.FAILED, str(error)
        if done not in (Undone.FAILED, Undone.MISSING):
            file.put({"id": write.identity, "run": write.run, "undone": utc_now()})
        tell(write, done, why)
        yield done


class _Places:
    """Where the files of writes lie now, also where photos took each other's names.

    A photo is taken out of `scan1.jpg`, `scan2.jpg`, ... and the others are numbered anew: each
    name is there, with the file of another write. By its hash it is known whose it is.
    """

    def __init__(
        self, folder: Folder, newest_first: Iterable[Write], moved: Callable[[str], str | None]
    ) -> None:
        self._folder, self._moved = folder, moved
        self._found: dict[str, str | None] = {}
        self._last: dict[str, Write] = {}
        made = set()
        for write in newest_first:
            self._last.setdefault(write.path, write)
            if write.before_sha256 is None:
                made.add(write.path)
        self._ours = {write.after_sha256 for write in self._last.values()}
        self._elsewhere: dict[str, list[str]] = {}
        self.missing = {p for p in self._last if _is_missing(folder.path / p, ours=p in made)}

    def of(self, path: str) -> str | None:
        """Where it is; None: nobody knows."""
        if path not in self._found and path in self.missing:
            self._found[path] = self._taken(path) or self._moved(path)
        elif path not in self._found and self._is_of_another(path):
            self._look_at_the_rest()
        return self._found.setdefault(path, path)

    def _is_of_another(self, path: str) -> bool:
        now = self._hash(path)
        last = self._last[path]
        return now in self._ours and now not in (last.after_sha256, last.before_sha256)

    def _look_at_the_rest(self) -> None:
        """Find out whose files all are that nothing was done to yet."""
        rest = [p for p in self._last if p not in self._found and p not in self.missing]
        others = [path for path in rest if self._is_of_another(path)]
        for path in others:
            self._elsewhere.setdefault(self._hash(path) or "", []).append(path)
        self._found |= dict(zip(rest, rest, strict=True))
        self._found |= {path: self._taken(path) for path in others}

    def _taken(self, path: str) -> str | None:
        """The name of another write under which its file lies."""
        there = self._elsewhere.get(self._last[path].after_sha256)
        return there.pop() if there else None

    def _hash(self, path: str) -> str | None:
        with suppress(SidecarError):  # which is told when its turn comes
            data = read(self._folder.file(path))
            return None if data is None else sha256(data)
        return None


def _is_missing(path: Path, *, ours: bool) -> bool:
    """Whether a file is elsewhere; a sidecar that we made and whose photo stays was deleted."""
    return not (os.path.lexists(path) or (ours and _has_photo(path)))


def _has_photo(sidecar: Path) -> bool:
    """Whether the photo of `IMG.jpg.xmp` or `IMG.xmp` is there."""
    kinds = PHOTO_EXTENSIONS | RAW_EXTENSIONS
    with suppress(OSError):
        if sidecar.with_suffix("").exists():
            return True
        return any(
            other.stem == sidecar.stem and other.suffix.lower() in kinds
            for other in sidecar.parent.iterdir()
        )
    return False


def _undo(write: Write, path: Path) -> Undone:
    now = read(path)
    if now is None:
        return Undone.NOTHING
    if sha256(now) == write.after_sha256:
        put(path, write.before)
        return Undone.RESTORED
    if write.before is not None and now == write.before:
        return Undone.NOTHING
    try:
        packet = XmpPacket(now)
    except XmpError as error:
        raise SidecarError(f"{path} was changed since, and {error}; it is left alone") from None
    if not _take_out(packet, write.added):
        return Undone.NOTHING
    put(path, packet.to_bytes())
    return Undone.TAKEN_OUT


def _undo_inside(
    write: Write, inside: Inside, path: Path, tool: ExifTool
) -> tuple[Undone, str | None]:
    """The same for a photo; also its hash now, if it is the picture that it was."""
    photo = read_photo(path)
    now = sha256(photo.data)
    if now == inside.before_sha256:
        return Undone.NOTHING, now
    if now == write.after_sha256:
        put_photo(photo, _old_bytes(inside, photo.data), (inside.atime_ns, inside.mtime_ns))
        return Undone.RESTORED, inside.before_sha256
    try:
        packet = photo.packet()
    except XmpError as error:
        raise SidecarError(f"{path} was changed since, and {error}; it is left alone") from None
    same = photo.parts.rest == inside.picture
    taken = _take_out(packet, write.added)
    description = None
    if EXIF_TEXT in write.added.texts:
        tool.check()
        old, ours = write.added.texts[EXIF_TEXT]
        if tool.description_in(photo.data, path.suffix.lower()) == ours:
            description = old or ""
    if not taken and description is None:
        return Undone.NOTHING, now if same else None
    tool.check()
    new = with_words(tool, photo, packet, description)
    put_photo(photo, new.data, None)
    return Undone.TAKEN_OUT, sha256(new.data) if same else None


def _old_bytes(inside: Inside, data: bytes) -> bytes:
    try:
        old = inside.patch.apply(data)
    except ValueError as error:
        raise SidecarError(f"the line of {NAME} is damaged: {error}") from None
    if sha256(old) != inside.before_sha256:
        raise SidecarError(f"the old bytes in {NAME} are damaged; the photo is left as it is")
    return old


def _take_out(packet: XmpPacket, added: Added) -> bool:
    """Remove what is still as we left it; whether there was anything."""
    changed = False
    for name, (old, new) in added.texts.items():
        if name != EXIF_TEXT and packet.text(name) == new:
            packet.set_default(name, old) if old is not None else packet.remove_default(name)
            changed = True
    for name, values in added.items.items():
        here = [value for value in values if value in packet.items(name)]
        if here:
            packet.remove_items(name, here, keep_empty=name in added.lists)
            changed = True
    if names := set(added.people) & {region.name for region in packet.regions()}:
        packet.remove_regions(names)
        changed = True
    return changed
