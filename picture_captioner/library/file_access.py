"""How the file of a library is begun, looked at and moved aside, and what is said when it fails."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sqlite3
import stat
import time
from pathlib import Path

from picture_captioner.errors import ConfigurationError, LibraryError, LibraryLockedError
from picture_captioner.library import schema

BUSY_SECONDS = 20.0
"""How long another writer's transaction is waited for; ours take milliseconds."""

OWN_NAME = "library.db"
"""Whatever has this name is taken for a library, however broken it is."""

BEGINNING = b"SQLite format 3\0"
"""Of every file of SQLite's that is not empty."""

_CLOSED_WELL = 618_033_900
"""Nanoseconds of the file's time of change, which whoever writes it sets anew."""

BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FORBIDDEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


def create_private(path: Path) -> None:
    """SQLite gives its -wal and -shm the mode of the database."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if path.is_symlink() and not path.exists():
            raise LibraryError(
                f"{path} is a link to {path.readlink()}, which is not there: mount its disk, or "
                "delete the link to begin a new library"
            ) from error
        raise LibraryError(
            f"cannot write {path}: {error.strerror}; name another place with --library-db "
            "(LIBRARY_DB in config.env)"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LibraryError(f"{path} is not a regular file; name another with --library-db")
        if path.name != OWN_NAME and os.read(descriptor, len(BEGINNING)) not in {b"", BEGINNING}:
            raise _no_library(path)
    finally:
        os.close(descriptor)


def closed_well(path: Path) -> bool:
    """Whether who closed the file last had found it whole, and nobody wrote to it since."""
    if any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")):
        return False  # somebody has it open, or did not get to close it
    return path.stat().st_mtime_ns % 1_000_000_000 == _CLOSED_WELL


def mark_closed(path: Path, *, well: bool) -> None:
    """Let the next one know whether the file, which is closed now, is whole."""
    if path.with_name(path.name + "-wal").exists():
        return  # another process goes on with it, and closes it later
    moment = time.time_ns() // 1_000_000_000 * 1_000_000_000 + _CLOSED_WELL * well
    with contextlib.suppress(OSError):  # of another owner, or gone: it is checked again
        os.utime(path, ns=(moment, moment))


def may_be_replaced(path: Path) -> bool:
    """Whether the file is a library, as far as its name or what is left of it tells."""
    with path.open("rb") as stream:
        head = stream.read(72)
    own = head[68:] == schema.APPLICATION_ID.to_bytes(4, "big")
    return path.name == OWN_NAME or (head.startswith(BEGINNING) and own)


def _no_library(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no library of this program and is left as it is: name another file with "
        "--library-db (library copy: --to)"
    )


def move_aside(path: Path) -> Path:
    """Rename the file and its -wal to a name that is free; the new path.

    Raises:
        ConfigurationError: it is something else.
    """
    if not may_be_replaced(path):
        raise _no_library(path)
    number, aside = 1, path.with_name(f"{path.name}.broken")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken-{number}")
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be used, nor moved out of the way: {error.strerror}; delete it, "
            "nothing in it is lost"
        ) from error
    return aside


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; the upper bits of the extended one say more than we need."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def sentence(path: Path, code: int, error: sqlite3.Error) -> LibraryError:
    """What happened to the file, and what to do about it."""
    if code in BUSY:
        return LibraryLockedError(
            f"{path} is being written by another process, for {BUSY_SECONDS:.0f} seconds and more: "
            f"wait for it or close it ('lsof {shlex.quote(str(path))}' names it), then run the "
            "same command again"
        )
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not _has_room(path)):
        return LibraryError(
            f"no room to write {path}: free some space and run the same command again; what was "
            "saved so far is kept"
        )
    if code in _FORBIDDEN:
        return LibraryError(
            f"cannot write {path} ({error}): check its permissions, or name another place with "
            "--library-db (LIBRARY_DB in config.env)"
        )
    if code == sqlite3.SQLITE_IOERR:
        return LibraryError(f"the disk failed while {path} was used: {error}")
    return LibraryError(f"{path} cannot be used: {error}")


_SHM_BYTES = 1 << 15
"""Of the -shm beside a library; where it finds no room, SQLite says that the disk is broken."""


def _has_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free >= _SHM_BYTES
    except OSError:
        return True


def fault_of(path: Path) -> str | None:
    """What is wrong with a library.db, which is only read; None if it is well."""
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as found:
            (answer,) = found.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if answer == "ok" else str(answer)
