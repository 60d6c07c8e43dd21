"""A photo that kills the whole process is found out, recorded and passed over; nobody else is."""

from __future__ import annotations

import hashlib
import signal
import time

import pytest

from picture_captioner.errors import ModelError
from picture_captioner.journal import Journal
from picture_captioner.pipeline.asking.deaths import CODE, died_record
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo
from tests.killer import (
    draw_killer,
    guilty,
    install_killer,
    killing_loop,
    run_driver,
    run_to_the_end,
)
from tests.support import draw, effective, library, records, start


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_killer(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def loop(tmp_path, driver):
    return killing_loop(tmp_path / "loop", driver)


def test_the_loop_ends_with_one_record_and_everybody_else_captioned(loop):
    draw_killer(loop.photos / "000" / "00020x.png")
    done = run_to_the_end(loop, "single")
    assert guilty(loop.journal) == {"000/00020x.png"}
    assert len(records(loop.journal)) == 40
    assert "batch 3: exit code 139" in done.stderr
    assert "batch 4: exit code 0" in done.stderr
    assert "The last run crashed (Segmentation fault" in done.stderr
    assert "000/00020x.png: the program died 3 times" in done.stderr
    assert "--retry-status error_model tries it again" in done.stderr
    assert not loop.journal.with_name("captions.jsonl.inflight").exists()
    assert "most recent call first" in (loop.cwd / "caption.log").read_text()


@pytest.fixture
def convicted(tmp_path, driver):
    """A journal in which one of three photos is guilty."""
    library(tmp_path / "photos", 2)
    killer = draw_killer(tmp_path / "photos" / "000" / "00000x.png")
    assert run_driver(tmp_path, driver, "--exclude=*.png").returncode == 0
    status, identity = killer.stat(), Identity("driver", "driver-1", "0" * 12, placeholder=False)
    photo = Photo("000/00000x.png", status.st_size, status.st_mtime_ns)
    content = hashlib.sha256(killer.read_bytes()).hexdigest()
    with Journal(tmp_path / "captions.jsonl") as journal:
        journal.append(died_record(photo, content, ModelError("died", code=CODE), identity))
    return tmp_path / "captions.jsonl"


def test_a_verdict_can_be_tried_again_and_may_be_confirmed(convicted, tmp_path, driver):
    again = ("--retry-status=error_model",)
    assert run_driver(tmp_path, driver, *again).returncode == -signal.SIGSEGV
    done = run_driver(tmp_path, driver, *again)
    assert done.returncode == 0, "one death more is enough, and the same run does not go on"
    assert "the program died once more" in done.stderr
    assert [r["status"] for r in records(convicted)].count("error_model") == 2
    assert not convicted.with_name("captions.jsonl.inflight").exists()


def test_or_be_overturned_alone_after_a_plain_picture(convicted, tmp_path, driver):
    draw(tmp_path / "photos" / "zzz.jpg", seed=77)
    log = tmp_path / "asked.txt"
    mended = ("--retry-status=error_model", "--option=harmless=true", f"--option=log={log}")
    done = run_driver(tmp_path, driver, *mended, "--include=*.png")
    assert done.returncode == 0, done.stderr
    plain, killer = log.read_text().splitlines()
    assert len(set(plain.split(","))) == 1, "grey"
    assert killer == "250,10,250"
    assert effective(convicted)["000/00000x.png"]["caption"] == "Red 250."
    assert effective(convicted)["000/00000x.png"]["requests"] == 2, "the plain one is not free"


def test_a_copy_that_comes_later_is_not_even_tried(convicted, tmp_path, driver):
    killer = (tmp_path / "photos" / "000" / "00000x.png").read_bytes()
    (tmp_path / "photos" / "copy.png").write_bytes(killer)
    log = tmp_path / "asked.txt"
    done = run_driver(tmp_path, driver, f"--option=log={log}")
    assert done.returncode == 0, done.stderr
    assert guilty(convicted) == {"000/00000x.png", "copy.png"}
    assert not log.exists()


def test_a_signal_ends_a_run_in_an_orderly_way(tmp_path, driver):
    library(tmp_path / "photos", 30)
    flags = ("run", "--backend=driver", "--photos-dir=photos", "--option=delay=0.3")
    run = start(*flags, cwd=tmp_path, PYTHONPATH=driver)
    notes, deadline = tmp_path / "captions.jsonl.inflight", time.monotonic() + 20
    while not notes.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    assert run.wait(20) == 143
    assert not notes.exists()
