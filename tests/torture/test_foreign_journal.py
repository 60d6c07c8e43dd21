"""Whatever a journal from elsewhere says, nothing outside the photos directory is opened.

The kernel is asked, not the program: strace lists every file that it opens or looks at.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, draw, environment, make_socket
from tests.torture import foreign
from tests.torture.one_process import command

CALLS = (
    "open,openat,openat2,creat,execve,readlink,readlinkat,truncate,unlink,unlinkat,rename,renameat,"
    "renameat2,link,linkat,symlink,symlinkat,chmod,fchmodat,mkdir,mkdirat,mknod,mknodat"
)
LOOKS = "stat,lstat,newfstatat,statx,access,faccessat,faccessat2"
OWN = [
    "run", "run --backend=service --stale=content", "run --backend=service --retry-status=all",
    "run --dry-run", "run --backend=service --force --limit=3", "estimate", "estimate --json",
    "estimate --backend=service --json", "stats", "stats --json", "search alert",
    "search w7 --json", "journal check", "journal merge other.jsonl", "journal compact",
    "compare --backends=template",
]  # fmt: skip
REPORTS = [
    "--photos-dir=photos --embedder=pixels --json", "--no-photos --out=alone",
    "--photos-dir=photos --embedder=pixels --assign",
]  # fmt: skip
QUICK = ["run --backend=service --stale=content", "stats", "stats --json", "search alert --json"]

SYSTEM = (
    "/usr/", "/lib/", "/lib64/", "/bin/", "/etc/ld.so", "/etc/localtime", "/etc/mime.types",
    "/etc/apache2/mime.types", "/etc/httpd/", "/etc/ssl/", "/etc/nsswitch.conf", "/etc/python3",
    "/sys/devices/system/", "/sys/fs/cgroup", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
    "/proc/self/status", "/proc/self/statm", "/proc/mounts", "/proc/sysinfo", "/proc/bus/pci",
    "/proc/self/cgroup", "/proc/self/maps", "/proc/self/mountinfo", "/proc/filesystems",
    "/proc/sys/", "/proc/self/task", "/proc/self/exe", "/dev/null", "/dev/urandom", "/dev/shm/",
)  # fmt: skip
"""What python, its packages and the C library read for themselves."""


OF_THE_PROCESS = re.compile(r"/proc/self/(fd(/\d+)?|stat)")
"""A child of `subprocess` lists what it inherited, to close it; where an opened photo really lies
is read from the link of its descriptor; before it forks Python 3.12 counts its threads."""


def python_folders() -> tuple[str, ...]:
    """Where python and its packages are, this repository among them."""
    paths = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, sys.exec_prefix}
    real = {os.path.realpath(path) for path in paths}
    return tuple(f"{path}/" for path in sorted({*paths, *real, str(ROOT)}) if path != "/")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Photos, a secret beside them, and in the photos directory what leads out of it."""
    here = tmp_path / "here"
    photos, outside = here / "photos", tmp_path / "outside"
    for i in range(4):
        draw(photos / f"{i}.jpg", seed=i)
    draw(tmp_path / "secret.jpg", seed=9)
    draw(here / "secret.jpg", seed=9)
    outside.mkdir()
    (outside / "shadow").write_text("root:secret")
    (photos / "escape").symlink_to(outside)
    os.mkfifo(photos / "pipe.jpg")
    make_socket(photos / "socket.jpg")
    return here


def write_journals(here: Path, large: int) -> int:
    """Both journals; returns how many lines they have."""
    data = [(here / "photos" / f"{i}.jpg").read_bytes() for i in range(4)]
    sizes, hashes = [len(d) for d in data], [hashlib.sha256(d).hexdigest() for d in data]
    first = b"".join(foreign.lines(sizes, hashes, large))
    second = foreign.shuffled(sizes[::-1], hashes, 1000, seed=5)
    (here / "captions.jsonl").write_bytes(first)
    (here / "other.jsonl").write_bytes(second)
    return first.count(b"\n") + second.count(b"\n")


def traced(
    here: Path, commands: list[list[str]], plugin: str, short: Path
) -> tuple[list[int], list[str]]:
    """The exit codes, and the lines of strace."""
    trace = here.parent / "trace"
    strace = ["strace", "-f", "-qq", "-s4096", "-y", "-o", str(trace)]
    strace += ["--seccomp-bpf", f"--trace={CALLS},{LOOKS}", "--signal=none"]
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    home = {name: str(here.parent / "home") for name in ("HOME", "XDG_CACHE_HOME")}
    (here.parent / "home").mkdir()
    home["TMPDIR"] = str(short)
    done = subprocess.run(
        [*strace, *command(commands, writing)],
        cwd=here,
        env=environment(PYTHONPATH=plugin, PHOTOS_DIR="photos", PATH="/usr/bin:/bin", **home),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        pass_fds=[writing],
        timeout=600,
    )
    os.close(writing)
    with open(reading) as codes:
        found = [int(line) for line in codes]
    assert len(found) == len(commands), done.stderr.decode(errors="replace")[-2000:]
    assert b"internal error" not in done.stderr, done.stderr.decode(errors="replace")[-2000:]
    return found, trace.read_text("utf-8", "surrogateescape").splitlines()


OPENED = re.compile(
    r'^\d+ +(?P<call>\w+)\((?:(?:AT_FDCWD|\d+)(?:<(?P<cwd>[^>]*)>)?, )?"(?P<path>(?:[^"\\]|\\.)*)"'
)


def opened(trace: list[str], calls: str, here: Path) -> set[str]:
    """Absolute paths, without `..`, of the calls that found something or might have."""
    wanted, found = set(calls.split(",")), set()
    for line in trace:
        match = OPENED.match(line)
        if match is None or match["call"] not in wanted:
            continue
        name = match["path"].encode().decode("unicode_escape", "replace")
        found.add(os.path.normpath(os.path.join(match["cwd"] or here, name)))
    return found


@pytest.fixture
def short() -> Iterator[Path]:
    """For sockets, whose names may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
        yield Path(folder)


@pytest.mark.needs("strace")
@pytest.mark.timeout(900)
def test_no_command_opens_what_a_journal_names(here, plugin, short, share, tried):
    lines = write_journals(here, share(100_000, 10_000_000))
    ours = [["caption", *line.split()] for line in share(QUICK, OWN)]
    reports = [["cluster_report", *line.split()] for line in share(REPORTS[:1], REPORTS)]
    codes, trace = traced(here, [*ours, *reports], plugin, short)
    assert 1 not in codes
    allowed = (
        *SYSTEM,
        *python_folders(),
        f"{here}/",
        f"{here.parent}/home",
        f"{plugin}/",
        str(short),
    )
    files = opened(trace, CALLS, here)
    assert {str(here / "photos" / f"{i}.jpg") for i in range(4)} <= files
    above = {str(parent) for prefix in allowed for parent in Path(prefix, "x").parents}
    outside = {f for f in files if not f.startswith(allowed) and f not in above}
    outside = {f for f in outside if not OF_THE_PROCESS.fullmatch(f)}
    assert sorted(outside) == []
    looked = {f for f in files | opened(trace, LOOKS, here) if looks_hostile(f, here)}
    assert sorted(looked) == []
    tried(f"lines of a hostile journal, read by {len(codes)} commands", lines, lost=len(outside))


def looks_hostile(path: str, here: Path) -> bool:
    """Whether only a journal can have named it; whether a photo is gone may be looked up."""
    parts = set(path.split("/"))
    named = parts & {"shadow", "secret.jpg", "environ", "mem", "zero", "tty", "win.ini", "host"}
    return bool(named) and not path.startswith((*python_folders(), f"{here}/photos/"))
