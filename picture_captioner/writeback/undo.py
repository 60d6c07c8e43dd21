"""captions.undo.jsonl: what every write changed, known before it happened, and how to take it back.

A line is on the disk before the file that it speaks of is replaced, so a write that was killed is
either not there or can be undone. Where nobody changed the file since, undoing restores it byte for
byte; where somebody did, our own values are taken out and theirs stay.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.errors import LeftAloneError, SidecarError
from picture_captioner.image_loader.formats import PHOTO_EXTENSIONS, RAW_EXTENSIONS
from picture_captioner.journal.durable import replacing
from picture_captioner.journal.record import is_rel_path, utc_now
from picture_captioner.journal.rows import RowFile
from picture_captioner.metadata.xmp_packet import XmpError, XmpPacket
from picture_captioner.pipeline.selecting.walk import outside_of
from picture_captioner.writeback.embedded import EXIF_TEXT, put_photo, read_photo, with_words
from picture_captioner.writeback.exiftool import ExifTool
from picture_captioner.writeback.patch import Patch
from picture_captioner.writeback.sidecars import Added, files_of

TOGETHER = 50
"""Photos whose undo lines share one sync: with one each, a library took twice as long."""

NAME = "captions.undo.jsonl"


class UndoFile(RowFile):
    """The file. A row's key is the run and a number; `undone` takes one back."""

    key = "id"
    noun = "undo file"
    setting = "the journal with --captions-jsonl: the undo file lies beside it"

    @classmethod
    def forget(cls, path: Path, photos: Collection[str]) -> None:
        """Take the writes of photos that are forgotten out; they cannot be undone any more.

        Raises:
            JournalError: it cannot be rewritten, and is as it was.
        """
        if not path.exists():
            return
        gone = {row["id"] for row in cls.of_photos(cls.read(path)[0], photos)}
        if gone:
            cls.rewrite(path, lambda row: None if row["id"] in gone else row)

    @staticmethod
    def of_photos(rows: Iterable[dict[str, Any]], photos: Collection[str]) -> list[dict[str, Any]]:
        """The writes among these lines that put words of these photos somewhere."""
        files = {file for photo in photos for file in files_of(photo)}
        return [
            row
            for row in rows
            if (row["photo"] in photos if row.get("photo") else row.get("path") in files)
        ]


def undo_path(journal: Path) -> Path:
    """Where the undo file of a journal is: beside it."""
    return journal.with_name(f"{journal.stem}.undo.jsonl")


class Undone(StrEnum):
    """What undoing a write came to."""

    RESTORED = "restored byte for byte"
    TAKEN_OUT = "changed since: our own values taken out"
    NOTHING = "as they were already"
    MISSING = "not there now: can still be taken back"
    GIVEN_UP = "not there, and given up"
    FAILED = "could not be undone"


class Inside(NamedTuple):
    """What is kept of a photo that was written into.

    `picture`: the hash of all but its words, by which a photo that was edited since is known.
    `keywords`: those that it had itself.
    """

    before_sha256: str
    mtime_ns: int
    atime_ns: int
    picture: str
    keywords: list[str]
    patch: Patch


class Write(NamedTuple):
    """One change of one file, as the undo file keeps it.

    Of a sidecar its old bytes are kept, of a photo (`inside`) how to get them from the new ones.
    `photos_dir` is where `path` begins, as it was called then. `photo` is whose words they are: in
    `IMG.xmp` the name does not tell (older lines do not say).
    """

    identity: str
    run: str
    path: str
    before: bytes | None
    after_sha256: str
    added: Added
    inside: Inside | None = None
    photos_dir: str = ""
    photo: str = ""

    @property
    def before_sha256(self) -> str | None:
        """The old file's hash; None if there was none."""
        if self.inside is not None:
            return self.inside.before_sha256
        return None if self.before is None else sha256(self.before)

    def row(self) -> dict[str, Any]:
        """As a line."""
        line = {
            "id": self.identity,
            "run": self.run,
            "path": self.path,
            "photos_dir": self.photos_dir,
            "photo": self.photo,
            "before_sha256": self.before_sha256,
            "after_sha256": self.after_sha256,
            "added": vars(self.added),
            "created_at": utc_now(),
        }
        if self.inside is not None:
            patch = self.inside.patch.to_json()
            return line | {"inside": self.inside._asdict() | {"patch": patch}}
        old = None if self.before is None else zlib.compress(self.before, 6)
        return line | {"before_zlib": None if old is None else base64.b64encode(old).decode()}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Write:
        """From a line.

        Raises:
            ValueError: the line was changed by somebody.
        """
        try:
            packed = row.get("before_zlib")
            before = None if packed is None else zlib.decompress(base64.b64decode(packed))
            inside = None
            if (fields := row.get("inside")) is not None:
                inside = Inside(**fields | {"patch": Patch.from_json(fields["patch"])})
            added = Added(**{n: v for n, v in row["added"].items() if n in vars(Added())})
            added.texts = {name: (old, new) for name, (old, new) in added.texts.items()}
            found = cls(
                row["id"],
                row["run"],
                row["path"],
                before,
                row["after_sha256"],
                added,
                inside,
                str(row.get("photos_dir", "")),
                str(row.get("photo", "")),
            )
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise ValueError(f"a line of {NAME} cannot be read: {error}") from None
        if before is not None and found.before_sha256 != row.get("before_sha256"):
            raise ValueError(f"the old bytes of {found.path} in {NAME} are damaged")
        return found


def sha256(data: bytes) -> str:
    """The hash by which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes | None:
    """The sidecar as it is; None if there is none.

    Raises:
        LeftAloneError: it is no plain file, or not ours to read.
        SidecarError: the disk failed.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise LeftAloneError(f"{path} is a link or no plain file")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise LeftAloneError(f"cannot read {path}: {error.strerror}") from error
    except OSError as error:
        raise SidecarError(f"cannot read {path}: {error.strerror}") from error


def put(path: Path, data: bytes | None) -> None:
    """Replace a sidecar, or remove it, so that a kill leaves the old one or the new one.

    Raises:
        SidecarError: the disk is full, the folder read-only, ...
    """
    try:
        if data is None:
            path.unlink(missing_ok=True)
            return
        mode = None if path.exists() else 0o644  # other programs, and other users, read it
        with replacing(path) as stream:
            stream.write(data)
        if mode is not None:
            path.chmod(mode)
    except OSError as error:
        raise SidecarError(f"cannot write {path}: {error.strerror or error}") from error


class Folder(NamedTuple):
    """The photos directory, and whether links may lead out of it."""

    path: Path
    follow_links: bool = False

    def file(self, rel_path: str) -> Path:
        """The path of a file that is to be changed, or of a photo beside which one is.

        Raises:
            LeftAloneError: it is not in the photos directory.
        """
        path = self.path / rel_path
        if not is_rel_path(rel_path):
            raise LeftAloneError(f"{rel_path!r} is no path below {self.path}")
        real = os.path.realpath(self.path)
        if not self.follow_links and (out := outside_of(real, os.fspath(path))):
            raise LeftAloneError(
                f"a link leads out of {self.path} here, to {out} (--follow-links writes there)"
            )
        return path


def unfinished(path: Path) -> Path:
    """The new file that takes a file's place when it is whole; a killed write leaves it behind."""
    return path.with_name(f".{path.name}.new")


def remove_leftovers(folder: Folder, writes: Iterable[Write]) -> None:
    """Remove the new files that a killed write had begun; they have one name for each sidecar.

    Where that is not possible (a read-only disk, a folder that became a file, a name that is too
    long for a new file), there is none, or it waits: it must not keep anything from being undone.
    """
    for write in writes:
        with suppress(LeftAloneError, OSError):
            unfinished(folder.file(write.path)).unlink(missing_ok=True)


def open_writes(file: UndoFile) -> list[Write]:
    """The writes that were not taken back, the oldest first."""
    return [Write.of(row) for row in file.last().values() if not row.get("undone")]


def take_back(
    file: UndoFile,
    folder: Folder,
    writes: Iterable[Write],
    tool: ExifTool,
    carry: Callable[[str, str, str, str], None],
    moved: Callable[[str], str | None],
    tell: Callable[[Write, Undone, str], None],
    *,
    give_up: bool = False,
) -> Iterator[Undone]:
    """Undo these writes, the newest first, each as soon as it is asked for.

    A write whose file is not there stays open (unless `give_up`), and so do the earlier ones of
    that file: its disk may come back.

    Args:
        tool: needed only for a photo that somebody changed since.
        carry: told of a photo whose bytes are others now: its path now, that when it was written,
            the old hash and the new one.
        moved: where a file that is not there lies now, if that is known.
    """
    newest_first = sorted(writes, key=lambda w: w.identity, reverse=True)
    made = {write.path for write in newest_first if write.before_sha256 is None}
    places: dict[str, str | None] = {}
    for write in newest_first:
        why, path = "", write.path
        if path not in places:
            there = not _is_missing(folder.path / path, ours=path in made)
            places[path] = path if there else moved(path)
        place = places[path]
        try:
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
