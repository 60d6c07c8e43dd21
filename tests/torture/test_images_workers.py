"""Decoders that misbehave in every way: one record each, and nothing of them is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from tests.faults.scenario import FAULTS, run_scenario
from tests.images import encoded, faulty_png, gradient, write
from tests.support import ROOT, caption, command, effective, environment, records

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

VERDICTS = {
    "crash": "decoder_crash",
    "kill": "decoder_crash",
    "exit": "decoder_crash",
    "leave": "decoder_crash",
    "garbage": "decoder_crash",
    "giant": "decoder_crash",
    "close": "decoder_crash",
    "half": "decoder_crash",
    "fork-exit": "decoder_crash",
    "fork": None,
    "interrupt": None,
    "hang": "decoder_timeout",
    "stubborn": "decoder_timeout",
    "swallow": "too_large",
}
NEW = ("half", "close", "swallow", "stubborn")
"""Beside those of tests/pipeline/decoding/test_decoder_faults.py."""
QUICK = ("leave", "garbage", "fork-exit")


@pytest.fixture
def marked():
    """The environment of a faulty run, in which its processes and files can be told from others."""
    path = os.pathsep.join([str(FAULTS), str(ROOT)])
    # A short name: a socket's may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="marked-") as temporary:
        yield environment(PYTHONPATH=path, LC_CAPTION_TEST=uuid.uuid4().hex, TMPDIR=temporary)


def left_processes(env):
    """The processes that have this environment, zombies of ours too."""
    mark = f"LC_CAPTION_TEST={env['LC_CAPTION_TEST']}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def fork_server_runs(env):
    """From here on somebody is there who removes the folder; a moment before, nobody is."""
    for pid in left_processes(env):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
    return False


def nothing_is_left(env, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not left_processes(env) and not os.listdir(env["TMPDIR"]):
            return True
        time.sleep(0.05)
    for pid in left_processes(env):
        os.kill(pid, signal.SIGKILL)
    return False


def faulty(folder, faults):
    """A good photo before and after each faulty one."""
    paths = [write(folder / "0.jpg", gradient(), "JPEG")]
    for number, fault in enumerate(faults, 1):
        paths.append(folder / f"{number}-{fault}.png")
        paths[-1].write_bytes(faulty_png(fault) + bytes(number))
        good = encoded(gradient(100 + number, 50), "JPEG")
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(good)
    return paths


def fault_of(name):
    return name.partition("-")[2].removesuffix(".png")


def test_each_fault_is_one_verdict_in_time_and_nothing_is_left(tmp_path, marked, share, tried):
    faults = share(NEW, tuple(VERDICTS) * 4)
    paths = faulty(tmp_path, faults)
    loads, _ = run_scenario(
        tmp_path, paths, marked, decode_seconds=1.5, read_seconds=5, memory_bytes=128 << 20
    )
    results = list(zip(paths, loads, strict=True))
    wrong = [
        (path.name, load)
        for path, load in results
        if load.code != (VERDICTS.get(fault_of(path.name)) or "picture")
    ]
    late = [(path.name, load) for path, load in results if load.seconds > 15]
    tried("faults of a decoder, a good photo after each", len(faults), lost=len(wrong + late))
    assert not wrong + late
    assert nothing_is_left(marked)


@pytest.mark.timeout(900)
def test_a_run_has_one_record_for_each_photo(tmp_path, marked, share, tried):
    photos = tmp_path / "photos"
    photos.mkdir()
    faults = share(QUICK, tuple(VERDICTS))
    paths = faulty(photos, faults)
    done = caption(
        "run", "--backend=mock", "--photos-dir", photos, "--captions-jsonl", tmp_path / "j.jsonl",
        cwd=tmp_path, timeout=600, **marked,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(records(tmp_path / "j.jsonl")) == len(paths)
    wrong = [
        (name, record.get("error"))
        for name, record in effective(tmp_path / "j.jsonl").items()
        if record.get("error", {}).get("code") != VERDICTS.get(fault_of(name))
    ]
    tried("faults of decoders in a whole run", len(faults), lost=len(wrong))
    assert not wrong
    assert nothing_is_left(marked)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("state", ["working", "starting"])
def test_a_killed_run_leaves_nothing_behind(tmp_path, marked, share, tried, state):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2000):
        (photos / f"{number}.jpg").write_bytes(b"\xff\xd8\xff" + number.to_bytes(2, "big"))
    lost = 0
    rounds = share(1, 25)
    for number in range(rounds):
        journal = tmp_path / f"{number}.jsonl"
        run = subprocess.Popen(
            command("run", "--backend=mock", "--photos-dir", photos, "--captions-jsonl", journal),
            cwd=tmp_path, env=marked, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            if state == "working" and journal.exists() and journal.stat().st_size:
                break
            if state == "starting" and fork_server_runs(marked):
                time.sleep(number * 0.02)
                break
            time.sleep(0.005)
        assert run.poll() is None
        run.kill()
        run.wait()
        lost += not nothing_is_left(marked)
    tried(f"SIGKILL of a run while its decoders are {state}", rounds, lost=lost)
    assert not lost
