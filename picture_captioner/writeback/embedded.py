"""Words inside a photo: its new bytes made, proven, and put in the old ones' place.

exiftool writes the packet that the sidecars' rules made; what it brings back must hold that packet,
and of all the rest the very bytes that were there before. Only then is the photo replaced, by a new
file beside it that is synced first, so that a kill or a full disk leaves the old one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from picture_captioner.errors import NotEmbeddableError, SidecarError
from picture_captioner.journal.durable import replacing
from picture_captioner.metadata.xmp_packet import XmpPacket
from picture_captioner.writeback.containers import ContainerError, Parts, take_apart
from picture_captioner.writeback.exiftool import ExifTool
from picture_captioner.writeback.patch import Patch

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".dng", ".heic", ".heif", ".hif",
     ".avif"}
)  # fmt: skip
"""Files that are written into. Raw files are left as the camera wrote them, but for DNG."""
MOST_BYTES = 256 << 20
"""Of a photo: three copies of it are in memory at a time."""
_MOST_OLD_BYTES = 8 << 20
"""Of what a line of the undo file holds, before it is packed."""
EXIF_TEXT = "EXIF:ImageDescription"


class Photo(NamedTuple):
    """A photo as it is, and what it is made of."""

    path: Path
    data: bytes
    status: os.stat_result
    parts: Parts

    def packet(self) -> XmpPacket:
        """Its XMP, or an empty packet.

        Raises:
            XmpError: it is none.
        """
        return XmpPacket() if self.parts.xmp is None else XmpPacket(self.parts.xmp)


def read_photo(path: Path) -> Photo:
    """Read a photo that is to be written into.

    Raises:
        NotEmbeddableError: it cannot be, by its kind.
        SidecarError: it cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise NotEmbeddableError(f"nothing is written into {path.suffix.lower() or 'such'} files")
    if "\n" in path.name or "\r" in path.name:
        raise NotEmbeddableError("its name has a line break")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotEmbeddableError("it is a link; where it leads to stays as it is") from None
        raise SidecarError(f"cannot read {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        _check(status)
        try:
            data = stream.read()
        except OSError as error:
            raise SidecarError(f"cannot read {path}: {error.strerror}") from error
    try:
        return Photo(path, data, status, take_apart(data))
    except ContainerError as error:
        raise NotEmbeddableError(str(error)) from None


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotEmbeddableError("it is no plain file")
    if status.st_nlink > 1:
        raise NotEmbeddableError(
            f"it has {status.st_nlink} names (hard links), and a new file would part them"
        )
    if status.st_size > MOST_BYTES:
        raise NotEmbeddableError(f"it has over {MOST_BYTES >> 20} MiB")


def check_writable(photo: Photo) -> None:
    """Leave a read-only photo alone: whoever made it so did not want it changed.

    Raises:
        NotEmbeddableError: it is read-only.
    """
    if not photo.status.st_mode & 0o222 or not os.access(photo.path, os.W_OK):
        raise NotEmbeddableError("it is read-only ('chmod u+w' would let it be changed)")


class New(NamedTuple):
    """A photo's new bytes, and how to get the old ones from them."""

    data: bytes
    patch: Patch


def with_words(tool: ExifTool, photo: Photo, packet: XmpPacket, description: str | None) -> New:
    """The photo's bytes with other words, proven to be the same picture.

    Raises:
        NotEmbeddableError: exiftool cannot, or something else would change.
        SidecarError: the disk is full.
    """
    wanted = packet.to_bytes()
    data = tool.with_xmp(photo.data, photo.path.suffix.lower(), wanted, description)
    try:
        parts = take_apart(data)
        if description is None and parts.exif != photo.parts.exif:
            data = _with_old_exif(data, parts, photo.parts)
            parts = take_apart(data)
    except ContainerError as error:
        raise NotEmbeddableError(f"what exiftool made of it cannot be used: {error}") from None
    same_exif = parts.exif == photo.parts.exif
    if description is not None:
        values = [tool.other_exif(d, photo.path.suffix.lower()) for d in (photo.data, data)]
        same_exif = values[0] == values[1]
    if parts.rest != photo.parts.rest or not same_exif:
        raise NotEmbeddableError("exiftool would have changed more of it than its words")
    if parts.xmp is None or _body(wanted) not in parts.xmp:
        raise NotEmbeddableError("exiftool did not write what it was told to")
    patch = Patch.between(photo.data, data)
    if len(patch.literal) > _MOST_OLD_BYTES:
        raise NotEmbeddableError("too much of it would have to be kept for 'caption.py undo'")
    if patch.apply(data) != photo.data:
        raise RuntimeError(f"the patch of {photo.path} does not lead back")
    return New(data, patch)


def _with_old_exif(data: bytes, now: Parts, was: Parts) -> bytes:
    """A JPEG whose EXIF exiftool laid out anew (of 14 photos five), with its old one put back.

    Its length is in no offset of the file: those of a second picture begin behind it.
    """
    if len(now.exif) != 1 or len(was.exif) != 1 or not data.startswith(b"\xff\xd8"):
        return data
    return data.replace(now.exif[0], was.exif[0], 1)


def _body(packet: bytes) -> bytes:
    """A packet without what says whether others may write into it: exiftool says no in a PNG."""
    return packet.partition(b"<?xpacket end")[0].strip()


def put_photo(photo: Photo, data: bytes, times: tuple[int, int] | None) -> os.stat_result:
    """Replace a photo; owner, mode and extended attributes stay. Its status afterwards.

    Args:
        times: last access and change in ns since 1970; None: now.

    Raises:
        SidecarError: the disk is full, photo or folder read-only, the photo changed meanwhile.
    """
    check_writable(photo)
    path, was = photo.path, photo.status
    try:
        with replacing(path) as stream:
            stream.write(data)
            stream.flush()
            _keep_owner(path, stream.fileno(), was)
            _keep_attributes(path, stream.fileno())
            if times is not None:
                os.utime(stream.fileno(), ns=times)
            now = path.lstat()
            if (now.st_ino, now.st_size, now.st_mtime_ns) != (
                was.st_ino,
                was.st_size,
                was.st_mtime_ns,
            ):
                raise SidecarError(f"{path} was changed meanwhile; run the same command again")
        return path.stat()
    except OSError as error:
        raise SidecarError(f"cannot write {path}: {error.strerror or error}") from error


def _keep_owner(path: Path, new: int, was: os.stat_result) -> None:
    made = os.fstat(new)
    if (made.st_uid, made.st_gid) != (was.st_uid, was.st_gid):
        try:
            os.fchown(new, was.st_uid, was.st_gid)
        except PermissionError:
            raise SidecarError(
                f"{path} belongs to somebody else, and its new file would be yours; it is left as "
                "it is"
            ) from None


def _keep_attributes(path: Path, new: int) -> None:
    """Finder's, KDE's and others' notes, access lists; Python reaches them on Linux alone."""
    if not hasattr(os, "listxattr"):
        return
    with suppress(OSError):  # the file system has none
        names = os.listxattr(path, follow_symlinks=False)
        for name in names:
            value = os.getxattr(path, name, follow_symlinks=False)
            # The system's own (security.*, trusted.*) are not for everybody to set.
            with suppress(PermissionError):
                os.setxattr(new, name, value)
