"""What the backend has in its hands, noted beside the journal so that it outlives the process.

A photo can take the whole process with it: a crash in a GPU's driver, the kernel's OOM killer. Then
nobody is left to say which photo it was. So what is given to the backend is noted in
`captions.jsonl.inflight` before, and struck off after. The next process finds what was not struck
off. Nothing is synced: the notes must survive the process and not the machine, and so a photo costs
two short writes and no wait. An orderly end removes the file, but for deaths that are still open.

The file is lines of JSON (docs/journal-format.md), then, if the process crashed, what Python's
`faulthandler` could still say.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

import msgspec

from picture_captioner.journal.record import read_fields, to_json_line, utc_now

MOST_BYTES = 1 << 20
"""The file is written afresh when so much was added: a run of 44,000 photos notes 13 MB."""

_TRACE = b"Fatal Python error: "


class Sent(msgspec.Struct, frozen=True):
    """A photo as it was given to the backend."""

    rel_path: str
    content_sha256: str
    size: int
    mtime_ns: int


class Suspicion(msgspec.Struct, frozen=True, tag="died", tag_field="note"):
    """A photo that the backend had when the process died, as often as `deaths` says.

    In `alone` of them it had no other. `crashed` is about the last: the process left a trace, so it
    was no power cut and no `kill -9`; and so is `last_alone`.
    """

    photo: Sent
    backend: str
    model: str
    deaths: int
    alone: int
    last_alone: bool
    crashed: bool
    died_at: str


class _Run(msgspec.Struct, tag="run", tag_field="note"):
    """Whose notes follow."""

    backend: str
    model: str


class _Out(msgspec.Struct, tag="sent", tag_field="note"):
    """The backend has this photo, under this number, ..."""

    number: int
    photo: Sent


class _Back(msgspec.Struct, tag="back", tag_field="note"):
    """... and has it no longer. `answered`: it said something about the photo itself."""

    number: int
    answered: bool


_Note: TypeAlias = _Run | Suspicion | _Out | _Back
_Key: TypeAlias = tuple[Sent, str, str]


@dataclass(frozen=True)
class Death:
    """How the last process ended: a word of its trace, or '' if it left none, and who was there."""

    reason: str
    trace: str
    photos: tuple[Sent, ...]


@dataclass
class _Notes:
    """What the lines of a file add up to."""

    run: _Run = field(default_factory=lambda: _Run("", ""))
    out: dict[int, Sent] = field(default_factory=dict)
    open: dict[_Key, Suspicion] = field(default_factory=dict)

    def add(self, note: _Note) -> None:
        if isinstance(note, _Run):
            self.run = note
        elif isinstance(note, Suspicion):
            self.open[note.photo, note.backend, note.model] = note
        elif isinstance(note, _Out):
            self.out[note.number] = note.photo
        elif (photo := self.out.pop(note.number, None)) and note.answered:
            self.acquit(photo)

    def acquit(self, photo: Sent) -> None:
        """It came through, so it was not the photo, nor one with the same bytes."""
        found = (photo.content_sha256, self.run.backend, self.run.model)
        for key in [k for k in self.open if (k[0].content_sha256, *k[1:]) == found]:
            del self.open[key]

    def count_death(self, *, crashed: bool) -> None:
        """Whatever was out counts as having been there when the process died."""
        alone, now = len(self.out) == 1, utc_now()
        for photo in self.out.values():
            key = (photo, self.run.backend, self.run.model)
            before = self.open.get(key)
            self.open[key] = Suspicion(
                *key,
                deaths=(before.deaths if before else 0) + 1,
                alone=(before.alone if before else 0) + alone,
                last_alone=alone,
                crashed=crashed,
                died_at=now,
            )
        self.out.clear()

    def lines(self) -> bytes:
        """The shortest file that adds up to the same."""
        notes: list[_Note] = [*self.open.values(), self.run]
        notes += (_Out(number, photo) for number, photo in self.out.items())
        return b"".join(map(_line, notes))


class InFlight:
    """The notes of this run, and what those of earlier ones say. Thread-safe.

    Only one who holds the journal's lock may have it. `death` says how the last process ended if it
    did not end orderly, `suspicions` what is open. The notes are a help and not a promise: where
    they cannot be written the run goes on without, and `notice` is told once.
    """

    def __init__(
        self, journal: Path, backend: str, model: str, notice: Callable[[str], None]
    ) -> None:
        self.path = journal.with_name(journal.name + ".inflight")
        self.death: Death | None = None
        self._notice = notice
        self._lock = threading.Lock()
        self._notes = _Notes()
        self._descriptor = -1
        self._room = 0  # bytes until the file is written afresh
        self._last_number = 0
        self._over = False
        self._watching = False
        self._faults_shown = faulthandler.is_enabled()
        with self._helpful():
            self._take_over(_Run(backend, model))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def suspicions(self) -> list[Suspicion]:
        """Photos with which the process died before, and which were not answered since."""
        return list(self._notes.open.values())

    def sent(self, photos: Sequence[Sent]) -> range:
        """Note that the backend is about to get these photos; returns their numbers."""
        with self._lock:
            first = self._last_number + 1
            self._last_number += len(photos)
            numbers = range(first, self._last_number + 1)
            self._write([_Out(*pair) for pair in zip(numbers, photos, strict=True)])
        return numbers

    def back(self, numbers: Sequence[int], answered: Iterable[bool]) -> None:
        """Strike these off. One that the backend `answered` about is under no suspicion more."""
        with self._lock:
            self._write([_Back(*pair) for pair in zip(numbers, answered, strict=True)])

    def forget(self, settled: Iterable[Suspicion]) -> None:
        """These are open no more: the journal says what became of them."""
        with self._lock:
            for suspicion in settled:
                self._notes.open.pop((suspicion.photo, suspicion.backend, suspicion.model), None)

    def close(self) -> None:
        """The orderly end: whatever is still out, the process did not die of it. Twice is once."""
        with self._lock:
            if self._over:
                return
            self._over = True
            self._notes.out.clear()
            self._stop_watching()
            with self._helpful():
                self._settle()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _take_over(self, run: _Run) -> None:
        """Count what the last process left behind, and keep it before anything else happens."""
        data, _, trace = _read(self.path).partition(_TRACE)
        for note in _parsed(data):
            self._notes.add(note)
        photos = tuple(self._notes.out.values())
        if photos or trace:
            text = trace.decode("utf-8", "replace")
            self.death = Death(text.partition("\n")[0].strip(), text, photos)
            self._notes.count_death(crashed=bool(trace))
        self._notes.run = run
        if self.death:
            self._settle()

    def _settle(self) -> None:
        """Only what is open stays; without that, no file."""
        if self._notes.open:
            self._write_afresh()
        else:
            self.path.unlink(missing_ok=True)

    def _write(self, notes: Sequence[_Note]) -> None:
        if self._over:
            return
        for note in notes:
            self._notes.add(note)
        with self._helpful():
            if self._descriptor < 0 or self._room < 0:
                self._write_afresh()
            else:
                self._room -= _append(self._descriptor, b"".join(map(_line, notes)))

    def _write_afresh(self) -> None:
        """In another file that takes this one's place, so that a death in between costs nothing."""
        new = self.path.with_name(f".{self.path.name}.new")
        new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        try:
            _append(descriptor, self._notes.lines())
            new.replace(self.path)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        old, self._descriptor, self._room = self._descriptor, descriptor, MOST_BYTES
        if not self._over:
            self._watch_for_crash()
        if old >= 0:
            os.close(old)  # only now: a trace must not go to whatever gets this number next

    def _watch_for_crash(self) -> None:
        """Have a crash leave its trace at the end of the file: it tells it from a `kill -9`."""
        faulthandler.enable(self._descriptor, all_threads=False)
        self._watching = True

    def _stop_watching(self) -> None:
        if self._watching:
            faulthandler.disable()
        if self._watching and self._faults_shown and sys.__stderr__ is not None:
            faulthandler.enable(sys.__stderr__)
        self._watching = False

    @contextlib.contextmanager
    def _helpful(self) -> Iterator[None]:
        """Turns an OSError into a notice: no photo goes uncaptioned for want of these notes."""
        try:
            yield
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._over = True
        self._stop_watching()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):  # what was not struck off would be a lie
                self.path.unlink()
        self._notice(
            f"cannot note beside the journal what is under way ({self.path.name}: "
            f"{error.strerror or error}); if a photo kills this process, it will not be found out"
        )


def _read(path: Path) -> bytes:
    """The file's bytes, none if there is no file; a link or a FIFO in its place is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
        return stream.read(16 * MOST_BYTES)


def _append(descriptor: int, data: bytes) -> int:
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes could be written")
    return written


def _parsed(data: bytes) -> Iterator[_Note]:
    """The notes; what a power cut made of others is passed over."""
    for line in data.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            yield msgspec.convert(read_fields(line), _Note)


def _line(note: _Note) -> bytes:
    return to_json_line(msgspec.to_builtins(note))
