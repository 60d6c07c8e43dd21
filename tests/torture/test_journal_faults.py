"""System calls that fail: strace makes the Nth one fail, once or for ever, or kills at it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from picture_captioner.errors import ExitCode
from picture_captioner.journal.reading import read_index
from picture_captioner.journal.writing import Journal
from tests.journal.support import failure, photo, write_lines
from tests.torture.journal_checks import (
    CALLS,
    FAULTS,
    Trace,
    files_of,
    losses_after,
    traced,
)
from tests.torture.nursery import Outcome


@pytest.fixture
def trace_of(nursery, journal_path: Path):
    """Do a work under strace; its outcome and the calls that it made."""
    log = journal_path.with_name("log") / "trace"
    log.parent.mkdir()
    calls = ",".join({*CALLS, "sync_file_range", "sync", "syncfs", "msync"})

    def run(work: str, *arguments: object, faults: tuple[str, ...] = (), calls: str = calls):
        options = traced(journal_path, log, calls, *faults)
        outcome = nursery.run(work, journal_path, *arguments, strace=options)
        return outcome, Trace(log)

    return run


# -- in which order --------------------------------------------------------------------------------

ORDER = "write,ftruncate,fdatasync,fsync,rename,sync_file_range,sync,syncfs,msync"
OPENING = ["fdatasync", "fsync"]  # what a killed run left, and the file's name
LOCKING = ["ftruncate"]


@pytest.mark.needs("strace")
def test_threads_share_syncs_and_one_write_precedes_each(trace_of, journal_path: Path):
    # A sync that takes 3 ms, as on a disk, so that the threads have something to share.
    done, trace = trace_of("append", 8, 40, faults=("fdatasync:delay_exit=3000",), calls=ORDER)
    assert len(done.saved) == len(read_index(journal_path).entries) == 320
    calls = trace.calls[len(LOCKING + OPENING) :]
    assert calls == ["write", "fdatasync"] * (len(calls) // 2)
    assert len(calls) < 320


@pytest.mark.needs("strace")
def test_a_photo_alone_is_synced_at_once(trace_of):
    _, trace = trace_of("append", 1, 5, calls=ORDER)
    assert trace.calls == LOCKING + OPENING + ["write", "fdatasync"] * 5


@pytest.mark.needs("strace")
def test_torn_bytes_are_safe_in_the_broken_file_before_they_are_cut(trace_of, journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), b"torn")
    _, trace = trace_of("append", 1, 1, calls=ORDER)
    away = ["write", "write", "fdatasync", "fsync"]  # the .broken file and its name
    assert trace.calls == [*LOCKING, *away, "ftruncate", *OPENING, "write", "fdatasync"]


@pytest.mark.needs("strace")
def test_compact_syncs_before_it_replaces(trace_of, journal_path: Path):
    write_lines(journal_path, photo("1"), photo("1"))
    _, trace = trace_of("compact", calls=ORDER)
    assert trace.calls[-4:] == ["write", "fdatasync", "rename", "fsync"]  # content, name, directory


@pytest.mark.needs("strace")
@pytest.mark.parametrize("threads", [1, 6])
def test_a_sync_that_fails_is_never_repeated(trace_of, journal_path: Path, threads: int):
    # strace counts per thread: the first one to lead a second group meets the error.
    done, trace = trace_of("append", threads, 20, faults=("fdatasync:error=EIO:when=2",))
    assert trace.injected == 1
    assert trace.syncs_after_a_failed_one() == []
    assert trace.calls[-1] == "ftruncate"  # what was not acknowledged goes
    assert len(done.saved) + len(done.errors) == 20 * threads
    assert len(done.errors) >= 15 * threads
    assert all("Input/output error" in fact for fact in done.errors)
    assert set(read_index(journal_path).entries) == set(done.saved)
    assert losses_after(journal_path, done.saved) == []


@pytest.mark.needs("strace")
def test_a_lock_whose_holder_cannot_be_read_is_a_lock(trace_of, journal_path: Path):
    with Journal(journal_path):
        done, trace = trace_of("life", faults=("pread64:error=EIO",))
    assert trace.injected == 1
    assert done.errors[0].startswith(f"error 75 {journal_path} is being written by another process")


@pytest.mark.needs("strace")
def test_a_torn_write_that_cannot_be_cut_is_repaired_by_the_next_run(trace_of, journal_path: Path):
    done, _ = trace_of("limit", 500, faults=("ftruncate:error=EIO:when=2+",))  # the lock's passes
    assert done.errors
    assert read_index(journal_path).torn_bytes > 0
    assert losses_after(journal_path, done.saved) == []


# -- each call, each error -------------------------------------------------------------------------


class Life:
    """A work on a journal that is prepared anew for each fault."""

    def __init__(self, journal: Path, work: str) -> None:
        self.journal, self.work = journal, work.split()[0]
        other = journal.with_name("other.jsonl")
        write_lines(other, photo("1.jpg", "theirs"), photo("2.jpg", "theirs"), failure("3.jpg"))
        self.arguments = [other] if self.work == "merge" else []
        torn = [b"torn"] if work.endswith("torn") else []
        damage = [b"damage\n"] if work.endswith("damaged") else []
        self.lines = [photo("1.jpg"), failure("2.jpg"), *damage, photo("1.jpg", "b"), *torn]
        self.before = b"".join(x if isinstance(x, bytes) else x.to_line() for x in self.lines)
        self.before = self.before.removesuffix(b"torn")  # that goes at once
        self.kept = set() if work.endswith("new") else {"1.jpg", "2.jpg"}

    def prepare(self) -> None:
        for path in files_of(self.journal)[:-1]:
            path.unlink(missing_ok=True)
        if self.kept:
            write_lines(self.journal, *self.lines)


LIVES = ("life new", "life torn", "compact", "compact damaged", "merge", "merge new", "merge torn")


def occurrences(life: Life, trace_of, call: str) -> Iterator[int]:
    """1, 2, ... for each time that the work makes this call on one of its files."""
    life.prepare()
    done, trace = trace_of(life.work, *life.arguments)
    assert (done.errors, done.said[-1]) == ([], "done")
    yield from range(1, trace.most_in_a_thread(call) + 1)


def verdict(life: Life, done: Outcome, trace: Trace, fault: str) -> list[str]:
    """Everything that is wrong after the work met the fault."""
    wrong = [f"synced again: {path}" for path in trace.syncs_after_a_failed_one()]
    if "KILL" in fault:
        wrong += [] if done.status == -9 else [f"not killed: {done}"]
    else:
        wrong += told_wrongly(life, done, trace)
    on_disk = life.journal.read_bytes() if life.journal.exists() else b""
    wrong += [f"{n} is not there" for n in done.saved if f'"{n}"'.encode() not in on_disk]
    return wrong + losses_after(life.journal, life.kept | set(done.saved))


def told_wrongly(life: Life, done: Outcome, trace: Trace) -> list[str]:
    """What a work that met an error should have said or left otherwise."""
    wrong = []
    codes = {fact.split()[1] for fact in done.errors if fact.startswith("error ")}
    if done.status != 0 or not trace.injected:
        wrong.append(f"crashed, or met nothing: {done}")
    if not done.errors or not codes <= {str(int(ExitCode.IO_FAILED))}:
        wrong.append(f"did not say so: {done}")
    if files_of(life.journal)[3].exists():
        wrong.append("half a file is left")
    if life.kept and any("it is as it was" in fact for fact in done.errors):
        wrong += [] if life.journal.read_bytes() == life.before else ["it is not as it was"]
    return wrong


@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("work", LIVES)
def test_the_nth_call_that_fails(trace_of, journal_path: Path, share, tried, work: str):
    life = Life(journal_path, work)
    wrong, times = [], 0
    few = ("write", "fdatasync", "fsync", "rename")
    for call, fault in itertools.product(share(few, CALLS), share(FAULTS[::3], FAULTS)):
        for number in occurrences(life, trace_of, call):
            for when in share([number], [number, f"{number}+"]):
                life.prepare()
                done, trace = trace_of(
                    life.work, *life.arguments, faults=(f"{call}:{fault}:when={when}",)
                )
                found = verdict(life, done, trace, fault)
                wrong += [f"{call} {fault} {when}: {what}" for what in found]
                times += 1
    tried(f"a system call of `{work}` fails or kills: every Nth, once and for ever", times,
          lost=len(wrong))  # fmt: skip
    assert wrong == []
