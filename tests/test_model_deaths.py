"""A photo that kills the model's process is found out in the same run; all others are captioned."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.killer import draw_killer, guilty, install_killer, run_driver
from tests.support import draw, effective, library, records, start


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return install_killer(tmp_path_factory.mktemp("driver"))


@pytest.mark.parametrize("ways", [("SIGSEGV", "hang")])
def test_one_run_ends_with_a_record_for_each(tmp_path, driver, ways):
    library(tmp_path / "photos", 20)
    culprits = {}
    for number, way in enumerate(ways):
        name = f"000/{5 + 7 * number:05d}x.png"
        draw_killer(tmp_path / "photos" / name, way, number)
        culprits[name] = "hung" if way == "hang" else "process_died"
    done = run_driver(tmp_path, driver, "--timeout=2")
    assert done.returncode == 0, done.stderr
    assert guilty(tmp_path / "captions.jsonl") == culprits
    assert len(records(tmp_path / "captions.jsonl")) == 20 + len(ways)
    assert "the model's process died of this photo twice while it had nothing else" in done.stderr
    assert "Model loaded again, 2nd time" in done.stderr
    assert "--retry-status=error_model" in done.stderr
    assert "the driver says why" in (tmp_path / "caption.log").read_text()


def test_a_verdict_can_be_tried_again_and_overturned(tmp_path, driver):
    library(tmp_path / "photos", 3)
    draw_killer(tmp_path / "photos" / "x.png")
    assert run_driver(tmp_path, driver).returncode == 0
    assert guilty(tmp_path / "captions.jsonl") == {"x.png": "process_died"}
    again = run_driver(tmp_path, driver, "--retry-only", "--option=harmless=true")
    assert again.returncode == 0, again.stderr
    assert effective(tmp_path / "captions.jsonl")["x.png"]["caption"] == "Red 250."


@pytest.mark.parametrize("stage", ["loading", "dies_of_all"])
def test_a_driver_that_dies_of_everything_blames_no_photo(tmp_path, driver, stage):
    library(tmp_path / "photos", 5)
    done = run_driver(tmp_path, driver, f"--option={stage}=SIGSEGV")
    assert done.returncode == 69, done.stderr
    assert "3 in a row could not load the model and describe a plain picture" in done.stderr
    assert "the driver says why" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


def test_one_death_at_loading_costs_nothing_but_a_load(tmp_path, driver):
    library(tmp_path / "photos", 3)
    flags = ("--option=loading=exit", f"--option=once={tmp_path / 'once'}")
    done = run_driver(tmp_path, driver, *flags)
    assert done.returncode == 0, done.stderr
    assert guilty(tmp_path / "captions.jsonl") == {}


@pytest.mark.parametrize("photos", [1, 4, 30])
def test_the_same_unknown_error_for_every_photo_is_no_photos_fault(tmp_path, driver, photos):
    library(tmp_path / "photos", photos)
    done = run_driver(tmp_path, driver, "--option=raises=CUDNN_STATUS_INTERNAL_ERROR")
    assert done.returncode == 69, done.stderr
    assert "CUDNN_STATUS_INTERNAL_ERROR" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


def test_photos_that_raise_where_a_plain_picture_does_not_are_verdicts(tmp_path, driver):
    library(tmp_path / "photos", 3)
    done = run_driver(tmp_path, driver, "--option=raises=no", "--option=but_plain=true")
    assert done.returncode == 0, done.stderr
    assert set(guilty(tmp_path / "captions.jsonl").values()) == {"exception"}
    assert len(records(tmp_path / "captions.jsonl")) == 3


def test_in_one_process_it_dies_with_the_photo(tmp_path, driver):
    library(tmp_path / "photos", 3)
    draw_killer(tmp_path / "photos" / "x.png")
    done = run_driver(tmp_path, driver, "--in-process")
    assert done.returncode == -signal.SIGSEGV


def test_the_next_run_takes_the_photos_from_the_other_end(tmp_path, driver):
    library(tmp_path / "photos", 6)
    draw_killer(tmp_path / "photos" / "000" / "00000.png")
    flags = ("--in-process", "--option=batch=1")
    assert run_driver(tmp_path, driver, *flags).returncode == -signal.SIGSEGV
    assert len(records(tmp_path / "captions.jsonl")) < 6
    done = run_driver(tmp_path, driver, *flags)
    assert "The last run ended without a word" in done.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 6, "all but the one that kills"
    third = run_driver(tmp_path, driver, *flags)
    assert "The last run ended without a word" not in third.stderr, "there and back again"
    (tmp_path / "photos" / "000" / "00000.png").unlink()
    draw(tmp_path / "photos" / "000" / "00099.jpg", seed=99)
    assert run_driver(tmp_path, driver, *flags).returncode == 0
    draw(tmp_path / "photos" / "000" / "00100.jpg", seed=100)
    last = run_driver(tmp_path, driver, *flags)
    assert "The last run ended without a word" not in last.stderr


def started(tmp_path, driver, *flags):
    """A run that has given a photo to its model's process."""
    log = tmp_path / "asked.txt"
    log.unlink(missing_ok=True)
    words = ("--photos-dir=photos", "--backend=driver", f"--option=log={log}", *flags)
    run = start("run", *words, cwd=tmp_path, PYTHONPATH=driver)
    deadline = time.monotonic() + 30
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.exists(), (tmp_path / "output.txt").read_text()
    children = psutil.Process(run.pid).children()
    (child,) = [p for p in children if "workers.child" in str(p.cmdline())]
    return run, child


def test_a_killed_run_leaves_nothing_running(tmp_path, driver):
    library(tmp_path / "photos", 10)
    run, child = started(tmp_path, driver, "--option=dies_of_all=hang")
    run.kill()
    run.wait(5)
    child.wait(5)


def test_ctrl_c_lets_what_is_under_way_finish(tmp_path, driver):
    library(tmp_path / "photos", 30)
    run, child = started(tmp_path, driver, "--option=delay=0.3")
    run.send_signal(signal.SIGINT)
    assert run.wait(15) == 130
    child.wait(5)
    written = records(tmp_path / "captions.jsonl")
    assert 0 < len(written) <= 8
    assert {record["status"] for record in written} == {"success"}


def test_ctrl_c_kills_a_model_that_hangs_after_ten_seconds(tmp_path, driver):
    library(tmp_path / "photos", 3)
    run, child = started(tmp_path, driver, "--option=dies_of_all=hang")
    asked = time.monotonic()
    run.send_signal(signal.SIGINT)
    assert run.wait(20) == 130
    assert 9 < time.monotonic() - asked < 13
    child.wait(5)


def test_the_second_ctrl_c_ends_all_within_a_second(tmp_path, driver):
    library(tmp_path / "photos", 3)
    run, child = started(tmp_path, driver, "--option=dies_of_all=hang")
    run.send_signal(signal.SIGINT)
    time.sleep(1.2)
    run.send_signal(signal.SIGINT)
    asked = time.monotonic()
    assert run.wait(5) == 130
    assert time.monotonic() - asked < 1
    child.wait(5)
    assert run_driver(tmp_path, driver).returncode == 0
    assert "without a word" not in (tmp_path / "output.txt").read_text()
