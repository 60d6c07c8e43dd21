"""Power cuts, full disks, failing disks: what was acknowledged is there, and what failed is said.

Failures are injected into real processes: SIGKILL, RLIMIT_FSIZE, and strace, which makes a chosen
system call fail or kills the process at it. `--torture` runs the long versions.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from journal import compact, read_index
from tests.journal.support import append, failure, finish, paths_in, photo, start, write_lines

SYNCS = ("fdatasync", "fsync", "sync_file_range", "sync", "syncfs", "msync")


def strace_works() -> bool:
    """Whether it is installed and may trace (containers often forbid it)."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not strace_works(), reason="strace is missing or may not trace")


def traced(journal: Path, *inject: str, also: Sequence[Path] = ()) -> list[str]:
    """The strace command that logs writes and syncs of the journal to `<journal>.trace`."""
    calls = ",".join(["write", "ftruncate", *SYNCS])
    options = [option for fault in inject for option in ("-e", f"inject={fault}")]
    # -P: only calls on the journal itself, so that `when=2` counts those alone.
    log = f"{journal}.trace"
    only = [option for path in (journal, *also) for option in ("-P", str(path))]
    return ["strace", "-f", "-qq", *only, "-e", f"trace={calls}", "-o", log, *options]


def calls_in(journal: Path) -> list[str]:
    """The names of the system calls on the journal, in order."""
    trace = Path(f"{journal}.trace").read_text()
    return re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE)


def saved(said: list[str]) -> list[str]:
    return [fact.removeprefix("saved ") for fact in said if fact.startswith("saved ")]


def failed(said: list[str]) -> list[str]:
    return [fact for fact in said if fact.startswith("failed ")]


def assert_resumes(path: Path, acknowledged: list[str]) -> None:
    """The next run loses nothing, and what it appends is not glued to anything."""
    append(path, photo("next.jpg"))
    index = read_index(path)
    assert not set(acknowledged) - set(index.entries)
    assert index.is_done("next.jpg")
    assert (index.damage, index.torn_bytes) == ([], 0)


# -- writes and syncs that fail --------------------------------------------------------------------


@needs_strace
def test_threads_share_syncs_and_one_write_precedes_each(journal_path: Path):
    # A sync that takes 3 ms, as on a disk, so that the threads have something to share.
    under = traced(journal_path, "fdatasync:delay_exit=3000")
    said = finish(start("append", journal_path, 8, 40, under=under))
    assert len(saved(said)) == len(paths_in(journal_path)) == 320
    calls = calls_in(journal_path)
    syncs = calls.count("fdatasync")
    assert calls == ["write", "fdatasync"] * syncs
    assert syncs < 160


@needs_strace
def test_a_photo_alone_is_synced_at_once(journal_path: Path):
    finish(start("append", journal_path, 1, 5, under=traced(journal_path)))
    assert calls_in(journal_path) == ["write", "fdatasync"] * 5


@needs_strace
def test_the_directory_is_synced_before_the_first_record_of_a_new_file(journal_path: Path):
    journal_path.touch()  # by a process that died before it could sync the directory
    under = traced(journal_path, also=[journal_path.parent])
    finish(start("append", journal_path, 1, 1, under=under))
    assert calls_in(journal_path) == ["fsync", "write", "fdatasync"]


@needs_strace
def test_torn_bytes_are_safe_in_the_broken_file_before_they_are_cut(journal_path: Path):
    write_lines(journal_path, photo("1.jpg"), b"torn")
    broken = journal_path.with_name("captions.jsonl.broken")
    under = traced(journal_path, also=[broken, journal_path.parent])
    finish(start("append", journal_path, 1, 1, under=under))
    assert calls_in(journal_path) == [
        "write", "write", "fdatasync", "fsync",  # the .broken file and its name
        "ftruncate", "fdatasync",
        "write", "fdatasync",
    ]  # fmt: skip


@needs_strace
@pytest.mark.parametrize("fault", ["error=ENOSPC", "error=EIO", "error=EDQUOT", "retval=10"])
def test_a_write_that_fails_stops_the_run(journal_path: Path, fault: str):
    under = traced(journal_path, f"write:{fault}:when=3")
    said = finish(start("append", journal_path, 1, 6, under=under))
    assert len(saved(said)) == 2
    assert len(failed(said)) == 4
    assert len(paths_in(journal_path)) == 2
    assert calls_in(journal_path) == ["write", "fdatasync"] * 2 + ["write", "ftruncate"]
    assert_resumes(journal_path, saved(said))


@needs_strace
def test_a_torn_write_that_cannot_be_cut_is_repaired_by_the_next_run(journal_path: Path):
    with start("limit", journal_path, 500, under=traced(journal_path, "ftruncate:error=EIO")) as p:
        said = finish(p)
    assert failed(said)
    assert read_index(journal_path).torn_bytes > 0
    assert_resumes(journal_path, saved(said))


@needs_strace
@pytest.mark.parametrize("threads", [1, 6])
def test_a_sync_that_fails_is_never_repeated(journal_path: Path, threads: int):
    # strace counts per thread: the first one to lead a second group meets the error.
    under = traced(journal_path, "fdatasync:error=EIO:when=2")
    said = finish(start("append", journal_path, threads, 20, under=under))
    assert Path(f"{journal_path}.trace").read_text().count("INJECTED") == 1
    assert calls_in(journal_path)[-1] == "fdatasync"  # neither a sync nor a write after it
    assert len(saved(said)) + len(failed(said)) == 20 * threads
    assert len(failed(said)) >= 15 * threads
    assert all("Input/output error" in fact for fact in failed(said))
    assert_resumes(journal_path, saved(said))


@pytest.mark.parametrize("limit", [300, 1000, 1001, 1002, 1003, 4096])
def test_a_full_disk_leaves_no_torn_line(journal_path: Path, limit: int):
    said = finish(start("limit", journal_path, limit))
    assert all("File too large" in fact or "could be written" in fact for fact in failed(said))
    assert failed(said)
    index = read_index(journal_path)
    assert set(index.entries) == set(saved(said))
    assert (index.torn_bytes, index.damage) == (0, [])
    assert_resumes(journal_path, saved(said))


# -- processes that die ----------------------------------------------------------------------------


def killed_after(seconds: float, *arguments: object) -> list[str]:
    """What a writer said before it was killed, that long after it had begun."""
    process = start(*arguments)
    assert process.stdout.readline() == "open\n"
    time.sleep(seconds)
    process.kill()
    return finish(process)


def kill_writers(directory: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: list[str] = []
    for number in range(rounds):
        path = (
            directory / f"{number // 50}.jsonl"
        )  # 50 deaths each: what one leaves, the next meets
        if number % 50 == 0:
            acknowledged = []
        said = killed_after(chance.uniform(0, 0.04), "append", path, 5, 10_000)
        assert failed(said) == []
        acknowledged += saved(said)  # none is cut: a pipe takes so short a write whole
        assert_resumes(path, acknowledged)
    assert acknowledged


def test_killed_writers_lose_nothing_acknowledged(tmp_path: Path):
    kill_writers(tmp_path, rounds=30, seed=1)


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_killed_writers_lose_nothing_acknowledged_ten_thousand_times(tmp_path: Path):
    kill_writers(tmp_path, rounds=10_000, seed=2)


@needs_strace
@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize("when", [1, 4])
def test_a_writer_killed_at_a_system_call_loses_nothing(journal_path: Path, call: str, when: int):
    under = traced(journal_path, f"{call}:signal=KILL:when={when}")
    said = finish(start("append", journal_path, 3, 10, under=under))
    assert "done" not in said
    assert_resumes(journal_path, saved(said))


def compactable(path: Path, records: int) -> tuple[bytes, bytes]:
    """A journal with much to drop; its bytes before and after compacting."""
    lines = [photo(f"{n % 100}.jpg", f"caption {n}", cost_usd=0.25) for n in range(records)]
    lines += [failure(f"{n}.jpg", requests=1) for n in range(50)]
    write_lines(path, *lines)
    old = path.read_bytes()
    compact(path)
    new = path.read_bytes()
    path.write_bytes(old)
    return old, new


def kill_compacts(path: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    old, new = compactable(path, 4_000)
    for _ in range(rounds):
        path.write_bytes(old)
        killed_after(chance.uniform(0, 0.15), "compact", path)
        assert path.read_bytes() in (old, new)
        assert_resumes(path, [f"{n}.jpg" for n in range(100)])
        compact(path)


def test_a_killed_compact_leaves_the_old_or_the_new_file(journal_path: Path):
    kill_compacts(journal_path, rounds=10, seed=3)


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_a_killed_compact_leaves_the_old_or_the_new_file_a_thousand_times(journal_path: Path):
    kill_compacts(journal_path, rounds=1_000, seed=4)


@needs_strace
@pytest.mark.parametrize(
    ("call", "becomes"), [("write", "old"), ("fdatasync", "old"), ("rename", "old"), (None, "new")]
)
def test_compact_syncs_before_it_replaces(journal_path: Path, call: str | None, becomes: str):
    old, new = compactable(journal_path, 300)
    fresh = journal_path.with_name(".captions.jsonl.new")
    log = journal_path.with_name("trace")
    under = [
        "strace",
        "-f",
        "-qq",
        "-P",
        str(fresh),
        "-P",
        str(journal_path.parent),
        "-o",
        str(log),
    ]
    under += ["-e", "trace=write,fdatasync,rename,fsync"]
    if call:
        under += ["-e", f"inject={call}:signal=KILL"]
        # The signal arrives after the call, so the call itself must not take place.
        under[-1] += ":error=EIO"
    finish(start("compact", journal_path, under=under))
    assert journal_path.read_bytes() == {"old": old, "new": new}[becomes]
    if not call:
        calls = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
        assert calls[-3:] == ["fdatasync", "rename", "fsync"]  # content, name, directory


@needs_strace
@pytest.mark.parametrize("call", ["write", "fdatasync", "rename"])
def test_a_compact_that_fails_says_so_and_changes_nothing(journal_path: Path, call: str):
    old, _ = compactable(journal_path, 300)
    fresh = journal_path.with_name(".captions.jsonl.new")
    under = ["strace", "-f", "-qq", "-P", str(fresh), "-e", "trace=write,fdatasync,rename"]
    under += ["-o", "/dev/null", "-e", f"inject={call}:error=ENOSPC"]
    assert "done" not in finish(start("compact", journal_path, under=under))
    assert journal_path.read_bytes() == old
    assert not fresh.exists()
