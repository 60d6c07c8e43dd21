"""Killed, interrupted, out of disk: what is acknowledged stays, and is not asked for twice."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from picture_captioner.pipeline.threads import GRACE_SECONDS
from tests.preloaded import wait_for
from tests.support import (
    ROOT,
    caption,
    command,
    draw,
    effective,
    environment,
    library,
    records,
    start,
)

FAULTS = ROOT / "tests" / "faults" / "decoder"


def service(tmp_path, **options):
    pairs = [f"--option={name}={value}" for name, value in options.items()]
    log = f"--option=log={tmp_path / 'requests.txt'}"
    return ["run", "--backend=service", "--photos-dir=photos", log, *pairs]


def lines_of(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


# --- killed --------------------------------------------------------------------------------


def test_no_decoder_outlives_a_killed_run(tmp_path, plugin):
    library(tmp_path / "photos", 200)
    run = start(*service(tmp_path, delay=0.2), cwd=tmp_path, PYTHONPATH=plugin)
    wait_for(lambda: lines_of(tmp_path / "captions.jsonl") > 3)
    decoders = psutil.Process(run.pid).children(recursive=True)
    assert decoders
    run.kill()
    run.wait()
    wait_for(lambda: not any(map(alive, decoders)), seconds=10)


# --- interrupted ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_after_what_is_under_way(tmp_path, plugin, preloaded, number):
    library(tmp_path / "photos", 40)
    run = preloaded.start(*service(tmp_path, delay=0.2), cwd=tmp_path, PYTHONPATH=plugin)
    wait_for(lambda: lines_of(tmp_path / "captions.jsonl") > 2)
    os.killpg(run.pid, number)  # the whole group, as a terminal does it
    assert run.wait(20) == 128 + number
    found = records(tmp_path / "captions.jsonl")
    assert {r["status"] for r in found} == {"success"}
    asked = len((tmp_path / "requests.txt").read_text().splitlines())
    assert asked == len(found) < 40, "what was under way was written"
    assert number.name in run.said
    assert "Traceback" not in run.said
    run = preloaded.run(*service(tmp_path), cwd=tmp_path, PYTHONPATH=plugin)
    assert run.returncode == 0
    assert len(records(tmp_path / "captions.jsonl")) == 40


def test_a_second_signal_ends_it_at_once(tmp_path, plugin, preloaded):
    library(tmp_path / "photos", 20)
    run = preloaded.start(*service(tmp_path, delay=60), cwd=tmp_path, PYTHONPATH=plugin)
    wait_for(lambda: (tmp_path / "requests.txt").exists())
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    time.sleep(1.2)
    run.send_signal(signal.SIGINT)
    assert run.wait(5) == 130
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("grace", [1.5, pytest.param(10.0, marks=pytest.mark.torture)])
def test_a_request_that_hangs_is_left_after_the_grace_period(tmp_path, plugin, preloaded, grace):
    assert GRACE_SECONDS == 10.0
    library(tmp_path / "photos", 20)
    flags, faults = service(tmp_path, delay=60), [("short_grace", grace)]
    run = preloaded.start(*flags, cwd=tmp_path, PYTHONPATH=plugin, faults=faults)
    wait_for(lambda: (tmp_path / "requests.txt").exists())
    started = time.monotonic()
    run.send_signal(signal.SIGTERM)
    assert run.wait(20) == 143
    assert grace - 0.5 < time.monotonic() - started < grace + 6
    assert records(tmp_path / "captions.jsonl") == []


def test_nohup_survives_a_hang_up(tmp_path, plugin):
    library(tmp_path / "photos", 60)
    line = ["nohup", *command(*service(tmp_path, delay=0.1))]
    with open(tmp_path / "out", "wb") as out:
        run = subprocess.Popen(
            line, cwd=tmp_path, env=environment(PYTHONPATH=plugin), stdout=out, stderr=out,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    wait_for(lambda: lines_of(tmp_path / "captions.jsonl") > 2)
    os.killpg(run.pid, signal.SIGHUP)
    assert run.wait(30) == 0
    assert len(records(tmp_path / "captions.jsonl")) == 60


# --- the disk ------------------------------------------------------------------------------


def test_a_full_disk_is_74_with_nothing_torn(tmp_path, plugin, preloaded):
    library(tmp_path / "photos", 200)
    line = " ".join(command(*service(tmp_path)))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 24; exec {line}"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=plugin),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 74, done.stderr
    assert "journal" in done.stderr
    assert "Traceback" not in done.stderr
    before = records(tmp_path / "captions.jsonl")
    assert 10 < len(before) < 200
    done = preloaded.run(*service(tmp_path), cwd=tmp_path, PYTHONPATH=plugin)
    assert done.returncode == 0
    assert "malformed" not in done.said
    assert len(records(tmp_path / "captions.jsonl")) == 200


def test_a_journal_that_is_deleted_during_the_run_stops_it(tmp_path, plugin, preloaded):
    library(tmp_path / "photos", 200)
    run = preloaded.start(*service(tmp_path, delay=0.1), cwd=tmp_path, PYTHONPATH=plugin)
    wait_for(lambda: lines_of(tmp_path / "captions.jsonl") > 2)
    (tmp_path / "captions.jsonl").unlink()
    assert run.wait(30) == 74


# --- decoders ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["crash", "allocate"])
def test_a_decoder_that_dies_costs_one_record(tmp_path, fault):
    from PIL import PngImagePlugin

    library(tmp_path / "photos", 40)
    info = PngImagePlugin.PngInfo()
    info.add_text("fault", fault)
    draw(tmp_path / "photos" / "000" / "00020-bad.png", pnginfo=info)
    flags = ("--backend=mock", "--photos-dir=photos")
    done = caption("run", *flags, cwd=tmp_path, PYTHONPATH=str(FAULTS))
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == 41
    (bad,) = [r for r in found if r["status"] != "success"]
    assert bad["rel_path"] == "000/00020-bad.png"
    assert bad["status"] == "error_corrupt"
    assert bad["error"]["code"] == {"crash": "decoder_crash", "allocate": "too_large"}[fault]


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.torture)])
def test_a_decoder_that_hangs_costs_one_record(tmp_path, seconds):
    from PIL import PngImagePlugin

    library(tmp_path / "photos", 20)
    info = PngImagePlugin.PngInfo()
    info.add_text("fault", "hang")
    draw(tmp_path / "photos" / "000" / "00010-bad.png", pnginfo=info)
    impatient = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.torture.faults import short_decodes
from picture_captioner.cli import caption_app as caption
if __name__ == "__main__":
    short_decodes({seconds})
    caption.main()
"""
    line = [sys.executable, "-c", impatient, "run", "--backend=mock", "--photos-dir=photos"]
    env = environment(PYTHONPATH=str(FAULTS))
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    found = effective(tmp_path / "captions.jsonl")
    assert len(found) == 21
    assert found["000/00010-bad.png"]["error"]["code"] == "decoder_timeout"
    assert sum(r["status"] == "success" for r in found.values()) == 20
