"""What the journal's tests share: records, lines, and other processes that write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from picture_captioner.errors import Status
from picture_captioner.journal.fold import is_real
from picture_captioner.journal.reading import JournalIndex, read_index
from picture_captioner.journal.record import Record
from picture_captioner.journal.writing import Journal

ROOT = Path(__file__).parent.parent.parent
WRITER = Path(__file__).with_name("writer.py")


def photo(rel_path: str, caption: str | None = "a boat", **more: Any) -> Record:
    """A record; a success unless it says otherwise."""
    return Record(**{"rel_path": rel_path, "caption": caption, "status": Status.SUCCESS} | more)


def failure(rel_path: str, **more: Any) -> Record:
    """A record of a photo that the model gave no caption for."""
    return photo(rel_path, None, **{"status": Status.ERROR_MODEL} | more)


def write_lines(path: Path, *lines: Record | bytes) -> None:
    """A journal as some program left it: records, or raw bytes where it went wrong."""
    path.write_bytes(b"".join(x if isinstance(x, bytes) else x.to_line() for x in lines))


def is_done(
    journal: Journal | JournalIndex, rel_path: str, *, placeholders_count: bool = False
) -> bool:
    """Whether the path has a last attempt that is real (or, if asked, any)."""
    index = journal.index if isinstance(journal, Journal) else journal
    last = index.fold(rel_path).attempt
    return last is not None and (placeholders_count or is_real(last))


def append(path: Path, *records: Record) -> None:
    """Open, append, close."""
    with Journal(path) as journal:
        journal.append(*records)


def paths_in(path: Path) -> set[str]:
    """The paths that have a record."""
    return set(read_index(path).entries)


def caption_of(path: Path, rel_path: str) -> str | None:
    """The caption of the path's effective record, read from the disk."""
    with Journal(path) as journal:
        return journal.read_record(journal.index.entries[rel_path]).caption


def start(*arguments: object, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    """The writer as a process of its own, perhaps under strace; its stdout is a pipe."""
    command = [*under, sys.executable, str(WRITER), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    """Wait for the writer; every line it said."""
    said, _ = process.communicate(timeout=60)
    return said.splitlines()
