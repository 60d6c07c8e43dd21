"""captions.undo.jsonl: what every write changed, known before it happened.

A line is on the disk before the file that it speaks of is replaced, so a write that was killed is
either not there or can be undone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from picture_captioner.errors import LeftAloneError, SidecarError
from picture_captioner.journal.durable import replacing
from picture_captioner.journal.record import is_rel_path, utc_now
from picture_captioner.journal.rows import RowFile
from picture_captioner.pipeline.selecting.walk import outside_of
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
            JournalLockedError: a `write` that is under way has read their captions already.
            JournalError: it cannot be rewritten, and is as it was.
        """
        if not path.exists():
            return
        with closing(cls(path)) as file:
            gone = {row["id"] for row in cls.of_photos(file.rows, photos)}
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
        """The line of the undo file; `of` reads it."""
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
