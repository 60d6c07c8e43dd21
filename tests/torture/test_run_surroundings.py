"""A run in poor surroundings: streams that nobody reads, limits, no home, a strange terminal. It
captions what it can, ends with the right code, and says why."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import shlex
import shutil
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import command, environment, library, records
from tests.torture.paid import PaidProvider

RUN = ("run", "--backend=mock", "--photos-dir=photos")
PHOTOS = 6


def end(cwd: Path, line: list[str], **more: Any) -> tuple[int, str]:
    """Exit status and what was said."""
    done = subprocess.run(
        line, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        errors="replace", check=False, **({"env": environment()} | more),
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in environment().items() if name not in names}


# --- it works all the same -----------------------------------------------------------------------

STREAMS = {
    "stdout is a full disk": ">/dev/full",
    "stderr is a full disk": "2>/dev/full",
    "both are a full disk": ">/dev/full 2>&1",
    "stdout is read by nobody": "| true",
    "both are read by head -1": "2>&1 | head -1",
    "stdout is closed": ">&-",
    "stderr is closed": "2>&-",
    "stdin is closed": "<&-",
    "all are closed": ">&- 2>&- <&-",
    "stdout is read-only": "1< /dev/null",
}
VARIABLES = {
    "LANG is C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no such locale": {"LC_ALL": "xx_XX.UTF-8"},
    "output in ASCII": {"PYTHONIOENCODING": "ascii:strict"},
    "20 columns": {"COLUMNS": "20", "LINES": "3"},
    "no columns": {"COLUMNS": "0", "LINES": "0"},
    "columns that are no number": {"COLUMNS": "wide"},
    "a dumb terminal": {"TERM": "dumb"},
    "no such time zone": {"TZ": "Nowhere/Here"},
    "TMPDIR is missing": {"TMPDIR": "/nonexistent/directory"},
    "TMPDIR is a file": {"TMPDIR": "/dev/null"},
    "TMPDIR is read-only": {"TMPDIR": "/proc"},
    "HOME is missing": {"HOME": "/nonexistent/directory"},
}
MISSING = {
    "no HOME": ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    "no PATH": ("PATH",),
    "no variables at all": tuple(os.environ),
}
LIMITS = {
    "32 open files": (resource.RLIMIT_NOFILE, 32),
    "2 GB of memory": (resource.RLIMIT_AS, 2 << 30),
    "a stack of 1 MB": (resource.RLIMIT_STACK, 1 << 20),
    "no core files": (resource.RLIMIT_CORE, 0),
    "no locked memory": (resource.RLIMIT_MEMLOCK, 0),
}


def surroundings(cwd: Path) -> dict[str, tuple[list[str], dict[str, Any]]]:
    """Command line and how it is started, by what is poor about it."""
    line = command(*RUN)
    found: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for name, where in STREAMS.items():
        found[name] = (["bash", "-c", f"set -o pipefail; {shlex.join(line)} {where}"], {})
    for name, values in VARIABLES.items():
        found[name] = (line, {"env": environment(**values)})
    for name, names in MISSING.items():
        found[name] = (line, {"env": without(*names)})
    for name, limit in LIMITS.items():
        found[name] = (line, {"preexec_fn": limited(*limit)})
    long = cwd / "/".join(["a directory for temporary files"] * 6)
    long.mkdir(parents=True)
    found["a long TMPDIR"] = (line, {"env": environment(TMPDIR=str(long))})
    return found


@pytest.mark.timeout(600)
def test_poor_surroundings_do_not_keep_a_run_from_its_end(tmp_path, share, tried):
    library(tmp_path / "photos", PHOTOS)
    every, wrong = surroundings(tmp_path), []
    chosen = share(("all are closed", "a long TMPDIR"), every)
    for name in chosen:
        line, how = every[name]
        (tmp_path / "captions.jsonl").unlink(missing_ok=True)
        status, said = end(tmp_path, line, **how)
        journal = tmp_path / "captions.jsonl"
        count = len(records(journal)) if journal.exists() else 0
        good = status == 0 and count == PHOTOS and "Traceback" not in said
        wrong += [] if good else [f"{name}: {status}, {count} records: {said[-600:]}"]
    tried("poor surroundings", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


@pytest.mark.torture
@pytest.mark.parametrize("most", [24, 64])
def test_500_workers_with_few_open_files_caption_all(tmp_path, most, tried):
    """Every request needs a connection: those that get none are the machine's fault."""
    photos = library(tmp_path / "photos", 300)
    with PaidProvider(delay=0.3) as server:
        line = command(
            "run", "--backend=openai", f"--base-url={server.base_url}", f"--photos-dir={photos}",
            "--max-workers=500",
        )  # fmt: skip
        status, said = end(
            tmp_path, line, env=environment(OPENAI_API_KEY="sk-test"),
            preexec_fn=limited(resource.RLIMIT_NOFILE, most),
        )  # fmt: skip
    found = records(tmp_path / "captions.jsonl")
    blamed = [record for record in found if record["status"] != "success"]
    tried(f"500 workers with {most} open files", 300, lost=len(blamed))
    assert not blamed, blamed[:3]
    assert "Traceback" not in said
    assert "internal error" not in said
    assert (status, len(found)) == (0, 300) or (status in (69, 74) and len(found) < 300), said


@pytest.mark.parametrize("columns", [20, pytest.param(1, marks=pytest.mark.torture),
                                     pytest.param(0, marks=pytest.mark.torture)])  # fmt: skip
def test_a_terminal_of_few_columns_shows_a_bar(tmp_path, columns, tried):
    library(tmp_path / "photos", PHOTOS)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 5, columns, 0, 0))
    status = subprocess.run(
        command(*RUN), cwd=tmp_path, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        timeout=60,
    ).returncode  # fmt: skip
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert status == 0, shown
    assert len(records(tmp_path / "captions.jsonl")) == PHOTOS
    assert b"Traceback" not in shown
    assert b"6 captioned" in shown
    shape = rb"\r[^\r\n]" if columns else rb"6/6 photos \(100%\)"  # a bar, or a line without width
    assert re.search(shape, shown), shown
    tried(f"a terminal of {columns} columns", 1)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # EIO: nobody has its other end any more
        return b""


# --- it cannot work: a sentence and a code -------------------------------------------------------


def scarce() -> dict[str, tuple[list[str], Callable[[], None]]]:
    """Command line and limit, by name; too little for a run, or just enough."""
    line = command(*RUN)
    found = {
        f"{most} open files": (line, limited(resource.RLIMIT_NOFILE, most))
        for most in (6, *range(7, 24))
    }
    for megabytes in range(150, 650, 50):
        found[f"{megabytes} MB"] = (line, limited(resource.RLIMIT_AS, megabytes << 20))
    if as_nobody := _as_nobody():
        for most in range(1, 20):
            found[f"{most} processes"] = (
                [*as_nobody, "prlimit", f"--nproc={most}", "--", *line], lambda: None
            )  # fmt: skip
    return found


def _as_nobody() -> list[str]:
    """Root may start as many processes as it likes: become another, who may read what root may."""
    if os.geteuid() or not (shutil.which("setpriv") and shutil.which("prlimit")):
        return []
    may = "+dac_read_search,+dac_override"
    return ["setpriv", "--reuid=65534", "--clear-groups", f"--inh-caps={may}",
            f"--ambient-caps={may}"]  # fmt: skip


@pytest.mark.timeout(900)
def test_too_little_of_something_is_a_sentence_and_a_code(tmp_path, share, tried):
    library(tmp_path / "photos", PHOTOS)
    journal = tmp_path / "captions.jsonl"
    every, wrong = scarce(), []
    chosen = [name for name in share(("8 open files", "2 processes"), every) if name in every]
    for name in chosen:
        journal.unlink(missing_ok=True)
        line, limit = every[name]
        status, said = end(tmp_path, line, preexec_fn=limit)
        lines = said.strip().splitlines()
        good = status == 0 or (status in (69, 74) and "internal error" not in said)
        wrong += [] if good and "Traceback" not in said else [f"{name}: {status}: {said[-900:]}"]
        count = len(records(journal)) if journal.exists() else 0
        done = status == 0
        wrong += [f"{name}: {status}, {count} records: {lines}"] if done != (count == 6) else []
    tried("too few open files, too few processes, too little memory", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)


OUTPUTS = (
    ["stats"], ["stats", "--json"], ["backends"],
    ["estimate", *RUN[1:]], ["search", "mock"], ["--version"], ["run", "--help"],
)  # fmt: skip


@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.torture)])
def test_data_for_a_full_disk_is_74_in_one_line(tmp_path, preloaded, share, tried, unbuffered):
    library(tmp_path / "photos", 2)
    assert preloaded.run(*RUN, cwd=tmp_path).returncode == 0
    chosen, wrong = share([OUTPUTS[0], OUTPUTS[-1]], OUTPUTS), []
    for arguments in chosen:
        for where, why in ((">/dev/full", "No space left on device"), (">&-", "it is closed")):
            line = ["bash", "-c", f"{shlex.join(command(*arguments))} {where}"]
            status, said = end(tmp_path, line, env=environment(PYTHONUNBUFFERED=unbuffered))
            told = f"cannot write to stdout: {why}" in said.splitlines()[-1]
            good = status == 74 and told and "Traceback" not in said
            wrong += [] if good else [f"{arguments} {where}: {status}: {said[-400:]}"]
    how = "unbuffered" if unbuffered else "buffered"
    tried(f"data for a full disk ({how})", len(chosen), lost=len(wrong))
    assert not wrong, "\n".join(wrong)
