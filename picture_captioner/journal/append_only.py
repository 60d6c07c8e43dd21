"""A file of JSON lines that is only ever appended to: lock, repair, appends that share one sync.

The journal is one (writing.py); what a human decided and what was promised to a provider are others
(rows.py). They have the same rules, so that a photo's caption and a person's name are equally safe:
one writer, a torn tail is cut and kept, a line is acknowledged when it is on the disk.
"""

from __future__ import annotations

import abc
import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar, Generic, Self, TypeVar

from picture_captioner.errors import ConfigurationError, JournalError, count
from picture_captioner.journal.durable import WriterLock, append_durably, sync, sync_directory
from picture_captioner.journal.lines import (
    MAX_LINE_BYTES,
    Damage,
    Line,
    open_for_reading,
    read_lines,
    require_regular_file,
    require_regular_mode,
)


def real_journal_path(path: Path) -> Path:
    """Follow links: the lock and a compacted file belong beside the real file.

    Raises:
        ConfigurationError: its directory does not exist.
        JournalError: a loop of symbolic links.
    """
    try:
        real = Path(os.path.realpath(path, strict=path.is_symlink()))
    except FileNotFoundError:
        real = Path(os.path.realpath(path))  # a link to a file that is yet to be made
    except OSError as error:
        raise JournalError(f"cannot open {path}: {error.strerror}") from error
    if not os.path.isdir(real.parent):  # noqa: PTH112 - Path.is_dir raises without permission
        raise ConfigurationError(
            f"the directory of the journal {path} does not exist: create it with "
            f"'mkdir -p {real.parent}', or set --captions-jsonl (CAPTIONS_JSONL in config.env)"
        )
    return real


T = TypeVar("T")


class _Group(Generic[T]):
    """Lines that go to the disk together; its first thread writes it, the others wait at `gate`.

    They go through it one after the other. A `threading.Event` wakes all at once, to wait for the
    interpreter instead: 30 % more processor time with 32 threads.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, T]] = []
        self.error: Exception | None = None
        self.gate = threading.Lock()
        self.gate.acquire()


class _LostError(OSError):
    """Somebody did something to the file: what was acknowledged may be gone."""


class AppendOnlyFile(abc.ABC, Generic[T]):
    """A file of lines, open for writing by this process alone. Thread-safe.

    Opening takes the lock, repairs a torn tail and reads the lines, in that order. `repairs` says
    what was found, `begun` whether there was nothing. After a failed append every later one fails
    too: what is on the disk is no longer known, and only the next start can find out.

    A subclass says what a line is (`_parsed`), reads all that are there (`_take_in`) and remembers
    one that was added (`_apply`).
    """

    noun: ClassVar[str]
    setting: ClassVar[str]
    """How to name another file: part of a sentence."""
    first_bytes: bytes
    """What every line of ours begins with: a file's only line may be torn anywhere."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            JournalLockedError: another process writes to it.
            ConfigurationError: it is another kind of file.
            JournalError: it cannot be opened, repaired or read.
        """
        self.path = real_journal_path(path)
        with contextlib.suppress(OSError):  # opening it will say
            # Before the lock, whose file would be left beside a device: /dev/null.lock
            require_regular_mode(self.path.stat().st_mode, self.path)
        self.repairs: list[str] = []
        self._mutex = threading.Lock()  # guards _open_group
        self._commit_lock = threading.Lock()  # one write and sync at a time
        self._open_group: _Group[T] | None = None
        self._failure: Exception | None = None
        with contextlib.ExitStack() as undo:
            self._lock = WriterLock(self.path)
            self._made = not os.path.lexists(self.path)
            undo.callback(self._lock.release)
            self._descriptor = self._open()
            undo.callback(os.close, self._descriptor)
            self._lock.guard(self._descriptor, self.path)
            self._load()
            undo.pop_all()

    @abc.abstractmethod
    def _parsed(self, line: Line) -> T | Damage | None:
        """What a complete line says, the damage, or None for a blank one."""

    @abc.abstractmethod
    def _take_in(self, stream: BinaryIO) -> None:
        """Read every line of the file."""

    @abc.abstractmethod
    def _apply(self, item: T, offset: int) -> None:
        """Remember a line that is on the disk now, at this byte."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(
                f"cannot write to the {self.noun} {self.path}: {error.strerror}"
            ) from error
        require_regular_file(descriptor, self.path)
        return descriptor

    def _load(self) -> None:
        try:
            self._require_journal()
            self._cut_torn_tail()
            # What is found here counts as done, and a killed run or compact may have left lines
            # and a name that no sync had reached.
            sync(self._descriptor)
            sync_directory(self.path.parent)
            with open_for_reading(self.path) as stream:
                self._take_in(stream)
            self._size = os.fstat(self._descriptor).st_size
            self.begun = self._size == 0
        except OSError as error:
            raise JournalError(
                f"cannot open the {self.noun} {self.path}: {error.strerror or error}"
            ) from error

    def _require_journal(self) -> None:
        """Refuse a file that holds anything but lines of a journal, before its end is cut."""
        other = False
        with open_for_reading(self.path) as stream:
            for line in read_lines(stream):
                found = self._parsed(line) if line.terminated else None
                if found is not None and not isinstance(found, Damage):
                    return
                other = other or found is not None
                other = other or not (line.terminated or _may_be_torn(line, self.first_bytes))
        if other:
            raise ConfigurationError(
                f"{self.path} is no {self.noun} (it holds no record): name another file with "
                f"{self.setting}; if it was one and is damaged, move it away"
            )

    def _cut_torn_tail(self) -> None:
        size = os.fstat(self._descriptor).st_size
        end = _end_of_last_line(self._descriptor, size)
        if end == size:
            return
        if size - end > MAX_LINE_BYTES:
            raise OSError(
                f"its last {MAX_LINE_BYTES >> 20} MiB hold no line end, no torn record; "
                "move the file away or repair it by hand"
            )
        broken = self.path.with_name(self.path.name + ".broken")
        append_durably(broken, [os.pread(self._descriptor, size - end, end), b"\n"])
        os.ftruncate(self._descriptor, end)
        self.repairs.append(
            f"{self.path.name}: discarded 1 malformed line ({count(size - end, 'byte')} torn at "
            f"the end, kept in {broken.name})"
        )

    def _append(self, lines: Sequence[tuple[bytes, T]]) -> None:
        """Write lines; they are on the disk when this returns.

        Threads that call this at the same time share one write and one sync.

        Raises:
            JournalError: they may not be on the disk; no later append will succeed.
        """
        if not lines:
            return
        group, leads = self._join(lines)
        if leads:
            self._commit(group)
        else:
            with group.gate:
                pass
        if group.error is not None:
            raise self._failed(group.error) from group.error

    def _join(self, lines: Sequence[tuple[bytes, T]]) -> tuple[_Group[T], bool]:
        with self._mutex:
            leads = self._open_group is None
            group: _Group[T] = self._open_group or _Group()
            self._open_group = group
            group.lines += lines
            return group, leads

    def _commit(self, group: _Group[T]) -> None:
        try:
            with self._commit_lock:
                # Whom the last group let go has the next record, often: a third fewer syncs.
                time.sleep(0)
                with self._mutex:
                    self._open_group = None  # from here on, others form the next group
                self._write(b"".join(line for line, _ in group.lines))
                self._remember(group.lines)
        except Exception as error:  # noqa: BLE001 - every waiting thread must learn of it
            group.error = self._failure = error
        except BaseException:  # Ctrl+C in this thread: those who wait must not count as saved
            group.error = self._failure = OSError("interrupted while writing")
            raise
        finally:
            group.gate.release()

    def _write(self, data: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._require_size(os.fstat(self._descriptor), self._size)
        try:
            self._write_and_sync(data)
        except OSError:
            self._cut_back()
            raise
        status = os.fstat(self._descriptor)
        self._require_size(status, self._size + len(data))
        if not self._in_place(status):
            raise _LostError("the file was deleted, moved or replaced while this run wrote to it")

    def _write_and_sync(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written (disk full?)")
        sync(self._descriptor)

    def _require_size(self, status: os.stat_result, size: int) -> None:
        if status.st_size != size:
            raise _LostError("another program changed the file during this run")

    def _in_place(self, status: os.stat_result) -> bool:
        try:
            return os.path.samestat(self.path.stat(), status)
        except FileNotFoundError:
            return False

    def _cut_back(self) -> None:
        """Take what is not acknowledged off the file.

        Also after a failed sync: the kernel may drop those bytes from the disk and still show them
        to the next run, which would take them for done (https://lwn.net/Articles/752063).
        """
        with contextlib.suppress(OSError):  # then the next start repairs it
            os.ftruncate(self._descriptor, self._size)

    def _remember(self, lines: Sequence[tuple[bytes, T]]) -> None:
        for line, entry in lines:
            self._apply(entry, self._size)
            self._size += len(line)

    def _failed(self, cause: Exception) -> JournalError:
        reason = getattr(cause, "strerror", None) or str(cause)
        what = f"cannot write to the {self.noun} {self.path}: {reason}; stopped"
        if isinstance(cause, _LostError):
            return JournalError(
                f"{what}. What this run had recorded is where that file is now: put it back, or "
                "from a copy, and run the same command again; what is not in it is done again"
            )
        return JournalError(
            f"{what} so that nothing is lost. Everything acknowledged so far is safe: mend the "
            "disk and run the same command again"
        )

    def discard_if_unused(self) -> None:
        """Close, and leave no file behind where this process made it and wrote nothing.

        The file goes before its lock, while both are held.
        """
        with self._commit_lock, contextlib.suppress(OSError):
            if self._descriptor >= 0 and self._made and os.fstat(self._descriptor).st_size == 0:
                self.path.unlink()
                self._lock.remove()
        self.close()

    def close(self) -> None:
        """Close the file, after the group being written, and let go of the lock. Twice is once.

        Everything acknowledged is already on the disk. A later append raises JournalError.
        """
        with self._commit_lock:
            if self._descriptor < 0:
                return
            self._failure = self._failure or OSError("it is closed")
            os.close(self._descriptor)
            self._descriptor = -1  # the number may soon belong to another file
            self._lock.release()


def _may_be_torn(line: Line, first_bytes: bytes) -> bool:
    """Whether bytes without a line end may be the beginning of a file's only record.

    A power cut can leave zeros in place of what was written.
    """
    found = line.data.strip(b"\0")
    return found[: len(first_bytes)] == first_bytes[: len(found)]


def _end_of_last_line(descriptor: int, size: int) -> int:
    """The number of bytes up to and with the last newline, looked for as far as a line reaches."""
    step = 1 << 16
    end = size
    while end > 0 and size - end <= MAX_LINE_BYTES:
        start = max(end - step, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return end
