"""captions.undo.jsonl: what every write changed, known before it happened, and how to take it back.

A line is on the disk before the file that it speaks of is replaced, so a write that was killed is
either not there or can be undone. Where nobody changed the file since, undoing restores it byte for
byte; where somebody did, our own values are taken out and theirs stay.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.errors import SidecarError
from picture_captioner.journal import RowFile, replacing, utc_now
from picture_captioner.metadata.xmp_packet import XmpError, XmpPacket
from picture_captioner.writeback.sidecars import FOREIGN_LISTS, LISTS, Added

NAME = "captions.undo.jsonl"


class UndoFile(RowFile):
    """The file. A row's key is the run and a number; `undone` takes one back."""

    key = "id"
    noun = "undo file"
    setting = "the journal with --captions-jsonl: the undo file lies beside it"


class Undone(StrEnum):
    """What undoing a write came to."""

    RESTORED = "restored byte for byte"
    TAKEN_OUT = "changed since: our own values taken out"
    NOTHING = "as they were already"
    FAILED = "could not be undone"


class Write(NamedTuple):
    """One change of one file, as the undo file keeps it."""

    identity: str
    run: str
    path: str
    before: bytes | None
    after_sha256: str
    added: Added

    def row(self) -> dict[str, Any]:
        """As a line."""
        old = None if self.before is None else zlib.compress(self.before, 6)
        return {
            "id": self.identity,
            "run": self.run,
            "path": self.path,
            "before_sha256": None if self.before is None else sha256(self.before),
            "after_sha256": self.after_sha256,
            "before_zlib": None if old is None else base64.b64encode(old).decode(),
            "added": vars(self.added),
            "created_at": utc_now(),
        }

    @classmethod
    def of(cls, row: dict[str, Any]) -> Write:
        """From a line.

        Raises:
            ValueError: the line was changed by somebody.
        """
        try:
            packed = row["before_zlib"]
            before = None if packed is None else zlib.decompress(base64.b64decode(packed))
            added = Added(**{n: v for n, v in row["added"].items() if n in vars(Added())})
            added.texts = {name: (old, new) for name, (old, new) in added.texts.items()}
            found = cls(row["id"], row["run"], row["path"], before, row["after_sha256"], added)
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise ValueError(f"a line of {NAME} cannot be read: {error}") from None
        if before is not None and sha256(before) != row.get("before_sha256"):
            raise ValueError(f"the old bytes of {found.path} in {NAME} are damaged")
        return found


def sha256(data: bytes) -> str:
    """The hash by which a file is known again."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes | None:
    """The sidecar as it is; None if there is none.

    Raises:
        SidecarError: it is there and cannot be read, or is no plain file.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise SidecarError(f"{path} is a link or no plain file; it is left alone")
        return path.read_bytes()
    except FileNotFoundError:
        return None
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


def remove_leftovers(photos_dir: Path, writes: Iterable[Write]) -> None:
    """Remove the new files that a killed write had begun; they have one name for each sidecar."""
    for write in writes:
        path = photos_dir / write.path
        path.with_name(f".{path.name}.new").unlink(missing_ok=True)


def open_writes(file: UndoFile) -> list[Write]:
    """The writes that were not taken back, the oldest first."""
    return [Write.of(row) for row in file.last().values() if not row.get("undone")]


def ours_before(writes: Iterable[Write]) -> dict[str, dict[str, str]]:
    """For each path the texts that our last write left in each property."""
    texts: dict[str, dict[str, str]] = {}
    for write in writes:
        mine = texts.setdefault(write.path, {})
        mine |= {name: new for name, (_, new) in write.added.texts.items()}
    return texts


def words_of_ours(rows: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """From all rows of the file: the words in each sidecar that are ours alone, in lower case.

    A merge puts keywords of somebody's own into further lists: these stay theirs.
    """
    found: dict[str, set[str]] = {}
    for row in {row["id"]: row for row in rows}.values():
        if row.get("undone"):
            continue
        with suppress(ValueError):  # `undo` says what is wrong with the line
            write = Write.of(row)
            mine = found.setdefault(write.path, set())
            theirs = _keywords(write.before) - mine
            mine.update(" ".join(new.split()).casefold() for _, new in write.added.texts.values())
            mine.update(name.casefold() for name in write.added.people)
            mine.update(set(map(_leaf, chain(*write.added.items.values()))) - theirs)
    return found


def _keywords(packet: bytes | None) -> set[str]:
    if packet is None:
        return set()
    read = XmpPacket(packet)
    return {_leaf(value) for name in LISTS | FOREIGN_LISTS for value in read.items(name)}


def _leaf(keyword: str) -> str:
    return " ".join(keyword.replace("|", "/").split("/")[-1].split()).casefold()


def people_before(writes: Iterable[Write]) -> dict[str, set[str]]:
    """For each path the names that our writes put there."""
    names: dict[str, set[str]] = {}
    for write in writes:
        names.setdefault(write.path, set()).update(write.added.people)
    return names


def take_back(
    file: UndoFile,
    photos_dir: Path,
    writes: Iterable[Write],
    tell: Callable[[Write, Undone, str], None],
) -> Iterator[Undone]:
    """Undo these writes, the newest first, each as soon as it is asked for."""
    for write in sorted(writes, key=lambda w: w.identity, reverse=True):
        why = ""
        try:
            done = _undo(write, photos_dir / write.path)
        except SidecarError as error:
            done, why = Undone.FAILED, str(error)
        else:
            file.put({"id": write.identity, "run": write.run, "undone": utc_now()})
        tell(write, done, why)
        yield done


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


def _take_out(packet: XmpPacket, added: Added) -> bool:
    """Remove what is still as we left it; whether there was anything."""
    changed = False
    for name, (old, new) in added.texts.items():
        if packet.text(name) == new:
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
