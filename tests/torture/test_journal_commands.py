"""The real program: journals that are no journals, disks that fail under it, full ones."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from picture_captioner.journal.reading import read_index
from tests.journal.support import failure, photo, write_lines
from tests.support import command, environment, library
from tests.torture.journal_checks import (
    CALLS,
    FAULTS,
    Trace,
    files_of,
    losses_after,
    traced,
)
from tests.torture.mounts import in_own_mounts

SECONDS, MEBIBYTES = 240, 400
"""More than any of these needs, also where many other things run: a start takes 1 s and 120 MiB."""


@dataclass(frozen=True)
class Ended:
    """How the program ended: `peak` is its largest resident size in MiB."""

    code: int
    err: str
    out: str
    seconds: float
    peak: int


MEASURED = """
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
os.write(int(sys.argv[1]), str(peak).encode())
sys.exit(code if code >= 0 else 128 - code)
"""
"""Run by a small process: what is started by a large one has that one's size for its peak."""


def end(line: list[str], cwd: Path, seconds: float = 2 * SECONDS) -> Ended:
    """Run a command line to its end, kill it after so many seconds."""
    began = time.monotonic()
    with open(cwd / "out", "w+") as out, open(cwd / "err", "w+") as err:
        reading, writing = os.pipe()
        limited = ["timeout", "--signal=KILL", str(seconds), *line]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", MEASURED, str(writing), *limited],
            pass_fds=[writing], cwd=cwd, env=environment(),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        os.close(writing)
        with open(reading) as pipe:
            peak = int(pipe.read())
        took = time.monotonic() - began
        texts = [stream.seek(0) or stream.read() for stream in (err, out)]
    return Ended(done.returncode, *texts, took, peak >> 10)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A place with three photos, another journal, and a folder for the journal alone."""
    library(tmp_path / "photos", 3)
    write_lines(tmp_path / "other.jsonl", photo("2.jpg", "theirs"), failure("3.jpg"))
    (tmp_path / "disk").mkdir()
    return tmp_path


def line_of(name: str, journal: Path) -> list[str]:
    """The command line of one command on a journal."""
    flag = f"--captions-jsonl={journal}"
    few = ("--backend=mock", "--photos-dir=photos", "--max-workers=1", "--decode-workers=1")
    return {
        "run": command("run", *few, flag),
        "check": command("journal", "check", flag),
        "compact": command("journal", "compact", flag),
        "merge": command("journal", "merge", "other.jsonl", flag),
        "merge from": command("journal", "merge", journal, "--captions-jsonl=disk/fresh.jsonl"),
        "stats": command("stats", flag),
    }[name]


# -- journals that are no journals -----------------------------------------------------------------


def sparse(path: Path) -> None:
    write_lines(path, photo("1.jpg"))
    os.truncate(path, 5 << 30)


def linked(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere.jsonl"
    write_lines(elsewhere, photo("1.jpg"))
    path.symlink_to(elsewhere)


KINDS: dict[str, tuple[Callable[[Path], object], dict[str, int], int]] = {
    "directory": (Path.mkdir, {}, 74),
    "FIFO": (os.mkfifo, {}, 74),
    "loop of links": (lambda path: path.symlink_to(path), {}, 74),
    "link elsewhere": (linked, {}, 0),
    "link to /dev/null": (lambda path: path.symlink_to("/dev/null"), {}, 74),
    "link to /dev/full": (lambda path: path.symlink_to("/dev/full"), {}, 74),
    "0 bytes": (Path.touch, {}, 0),
    "5 GB sparse": (sparse, {"merge from": 0, "stats": 0}, 74),
    "name too long": (lambda path: None, {}, 74),
    "below a file": (lambda path: None, {"run": 78, "merge": 78}, 74),
}
QUICK = [("FIFO", "run"), ("link to /dev/full", "run"), ("directory", "compact")]


@pytest.mark.timeout(1800)
def test_what_is_no_journal_is_refused_in_a_sentence(desk: Path, share, tried):
    names = ("run", "check", "compact", "merge", "merge from", "stats")
    cases = share(QUICK, list(itertools.product(KINDS, names)))
    beside = set(Path("/dev").glob("*.lock"))
    wrong = []
    for number, (kind, name) in enumerate(cases):
        make, exceptions, usual = KINDS[kind]
        path = desk / "disk" / str(number) / "captions.jsonl"
        path.parent.mkdir()
        make(path)
        if kind == "below a file":
            path.touch()
            path = path / "deeper" / "captions.jsonl"
        if kind == "name too long":
            path = path.with_name("x" * 300)
        (desk / "disk" / "fresh.jsonl").unlink(missing_ok=True)
        ended = end(line_of(name, path), desk)
        wrong += [f"{kind}, {name}: {what}" for what in unlike(ended, exceptions.get(name, usual))]
        shutil.rmtree(path.parent, ignore_errors=True)
    tried("commands on what is no journal: exit code, one sentence, bounded", len(cases),
          lost=len(wrong))  # fmt: skip
    assert wrong == []
    assert set(Path("/dev").glob("*.lock")) == beside


def unlike(ended: Ended, code: int) -> Iterator[str]:
    """What is not as it should be about an end with this code."""
    if ended.code != code:
        yield f"{ended.code} and not {code}: {ended.err}"
    sentences = len(ended.err.splitlines())
    if code and (sentences != 1 or "internal error" in ended.err or "Traceback" in ended.err):
        yield f"{sentences} lines: {ended.err}"
    if ended.seconds > SECONDS or ended.peak > MEBIBYTES:
        yield f"{ended.seconds:.0f} s, {ended.peak} MiB"


def test_a_run_takes_up_a_journal_that_was_cut_anywhere(desk: Path, share, tried):
    journal = desk / "disk" / "captions.jsonl"
    run = line_of("run", journal)
    assert end(run, desk).code == 0
    whole = journal.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    cuts, wrong = share([len(whole) - 1], [*range(last + 1, len(whole), 9), len(whole) - 1]), []
    for cut in cuts:
        journal.write_bytes(whole[:cut])
        ended, index = end(run, desk), read_index(journal)
        if ended.code or "discarded 1 malformed line" not in ended.err:
            wrong.append(f"{cut}: {ended}")
        if not journal.read_bytes().startswith(whole[:last]) or len(index.entries) != 3:
            wrong.append(f"{cut}: lost")
        wrong += map(str, index.damage)
    tried("a run on a journal cut inside its last record", len(cuts), lost=len(wrong))
    assert wrong == []


# -- calls that fail under the program -------------------------------------------------------------


ERRORS = [fault for fault in FAULTS if "KILL" not in fault]


def prepare(journal: Path, name: str) -> set[str]:
    """The journal that a command begins with; the paths in it."""
    for path in files_of(journal)[:-1]:
        path.unlink(missing_ok=True)
    if name == "run":
        return set()
    write_lines(journal, photo("1.jpg"), failure("2.jpg"), b"damage\n", photo("1.jpg", "b"))
    return {"1.jpg", "2.jpg"}


def under_strace(name: str, desk: Path, *faults: str) -> tuple[Ended, Trace]:
    journal, log = desk / "disk" / "captions.jsonl", desk / "trace"
    # Only calls of interest stop the program, which otherwise takes five times as long.
    strace = ["strace", "--seccomp-bpf", "-f", "-y", "-qq"]
    strace += traced(journal, log, ",".join(CALLS), *faults)
    return end(strace + line_of(name, journal), desk), Trace(log)


def verdict(journal: Path, kept: set[str], ended: Ended, trace: Trace) -> list[str]:
    """Everything that is wrong after a command met the fault."""
    wrong = [f"synced again: {path}" for path in trace.syncs_after_a_failed_one()]
    if not trace.injected or ended.code != 74:
        wrong.append(f"{ended.code}, {trace.injected} injected: {ended.err}")
    if "internal error" in ended.err or "Traceback" in ended.err:
        wrong.append(ended.err)
    found = read_index(journal)
    told = re.search(r"(\d+) of 3 photos worked through", ended.err)
    if told and int(told[1]) > found.records:
        wrong.append(f"{found.records} on disk: {ended.err}")
    return wrong + losses_after(journal, kept | set(found.entries))


@pytest.mark.needs("strace")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["run", "compact", "merge"])
def test_the_nth_call_that_fails_under_the_program(desk: Path, share, tried, name: str):
    journal = desk / "disk" / "captions.jsonl"
    last = {"run": "write", "compact": "rename", "merge": "fsync"}[name]
    wrong, times = [], 0
    prepare(journal, name)
    ended, clean = under_strace(name, desk)
    assert ended.code == 0, ended.err
    for call, fault in itertools.product(share((last,), CALLS), share(ERRORS[1:2], ERRORS)):
        most = clean.most_in_a_thread(call)
        for when in share([most], [*range(1, most + 1), *(f"{n}+" for n in range(1, most + 1))]):
            kept = prepare(journal, name)
            ended, trace = under_strace(name, desk, f"{call}:{fault}:when={when}")
            found = verdict(journal, kept, ended, trace)
            wrong += [f"{call} {fault} {when}: {what}" for what in found]
            times += 1
    tried(f"a system call under the program's `{name}` fails", times, lost=len(wrong))
    assert wrong == []


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_programs_that_start_together(desk: Path, plugin, tried):
    journal, wrong, pairs = desk / "disk" / "captions.jsonl", [], 40
    slow = ("--backend=service", "--option=delay=0.7", "--max-workers=1")  # so that they do meet
    run = command("run", *slow, "--photos-dir=photos", f"--captions-jsonl={journal}")
    for _ in range(pairs):
        journal.unlink(missing_ok=True)
        two = [
            subprocess.Popen(
                run, cwd=desk, env=environment(PYTHONPATH=plugin),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        said = [process.communicate(timeout=SECONDS)[1] for process in two]
        codes = sorted(process.returncode for process in two)
        index = read_index(journal)
        if codes not in ([0, 0], [0, 75]) or (index.records, index.damage) != (3, []):
            wrong.append(f"{codes}, {index.records} records: {said}")
    tried("two programs started together on one journal", pairs, lost=len(wrong))
    assert wrong == []


# -- disks ----------------------------------------------------------------------------------------


def test_a_disk_of_64_kb_that_fills(desk: Path, tried):
    library(desk / "photos", 400)
    journal = desk / "disk" / "captions.jsonl"
    program = " ".join(line_of("run", journal))
    script = f"mount -t tmpfs -o size=64k tmpfs disk; {program}; code=$?;"
    ended = end(in_own_mounts(f"{script} cp disk/captions.jsonl full.jsonl; exit $code"), desk)
    assert ended.code == 74, ended.err
    said = ended.err.splitlines()[-1]
    assert "No space left on device" in said or "(disk full?)" in said
    found = read_index(desk / "full.jsonl")
    told = int(re.search(r"(\d+) of 400 photos worked through", ended.err)[1])
    wrong = [str(found.damage)] * bool(found.damage) + ["torn"] * bool(found.torn)
    wrong += [f"{told} acknowledged, {found.records} there"] * (found.records != told)
    wrong += losses_after(desk / "full.jsonl", found.entries)
    tried("a disk of 64 kB that fills during a run", 1, lost=len(wrong))
    assert wrong == []
    assert told > 100


@pytest.mark.parametrize("name", ["run", "compact", "merge"])
def test_a_journal_on_a_read_only_disk(desk: Path, name: str):
    write_lines(desk / "disk" / "captions.jsonl", photo("1.jpg"), photo("1.jpg", "b"))
    program = " ".join(line_of(name, desk / "disk" / "captions.jsonl"))
    bound = "mount --bind disk disk && mount -o remount,ro,bind disk"
    ended = end(in_own_mounts(f"{bound} && {program}"), desk)
    assert ended.code == 74
    assert len(ended.err.splitlines()) == 1
    assert "Read-only file system; the journal's directory must be writable" in ended.err
