"""A bar in a terminal, lines in a file, silence and no error where nobody listens."""

import contextlib
import io
import os
import select
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from picture_captioner.cli import progress
from picture_captioner.cli.commands import photos
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.progress import FAILURES_SHOWN, ProgressReporter, told
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.pipeline.recording.outcomes import FailedPhoto, Outcome
from picture_captioner.pipeline.selecting.walk import Photo, WalkResult


@pytest.fixture
def reporter():
    reporter = ProgressReporter()
    yield reporter
    reporter.close()


@pytest.fixture
def terminal(monkeypatch):
    """A pseudo-terminal; `attach` makes it stderr, which pytest sets anew before each test."""
    master, slave = os.openpty()
    stream = os.fdopen(slave, "w", encoding="utf-8")

    class Terminal:
        @staticmethod
        def attach(columns=80, lines=24):
            termios.tcsetwinsize(slave, (lines, columns))
            monkeypatch.setattr(sys, "stderr", stream)

        @staticmethod
        def read():
            stream.flush()
            written = b""
            while select.select([master], [], [], 0.2)[0]:
                written += os.read(master, 65536)
            return written.decode("utf-8")

        @staticmethod
        def hang_up():
            nonlocal master
            os.close(master)
            master = -1

    yield Terminal()
    if master >= 0:
        os.close(master)
    with contextlib.suppress(OSError):  # of what could not be written after hanging up
        stream.close()


def failure(number=0, name="a.jpg"):
    return FailedPhoto(name, Outcome.MODEL_ERROR, "empty", f"nothing {number}")


def test_a_file_gets_plain_lines(reporter, capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    reporter.start(4)
    reporter.advance(Outcome.CAPTIONED)
    reporter.advance(Outcome.CORRUPT)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["1/4 photos (25%)", "2/4 photos (50%)"]
    assert "failed" not in lines[0]
    assert lines[1].endswith(", 1 failed")
    assert all(" per second, " in line and " left" in line for line in lines)
    assert not any(c in line for line in lines for c in "\r\x1b")


def test_a_quick_run_gets_one_line_at_its_end(reporter, capsys):
    reporter.start(3)
    for _ in range(3):
        reporter.advance(Outcome.CAPTIONED)
    assert capsys.readouterr().err == ""
    reporter.close()
    reporter.close()
    assert capsys.readouterr().err.startswith("3/3 photos (100%), ")
    assert capsys.readouterr().err == ""


def test_a_run_that_did_nothing_draws_nothing(reporter, capsys):
    reporter.start(0)
    reporter.close()
    assert capsys.readouterr().err == ""


def test_notices_can_come_before_the_start_and_after_the_end(reporter, capsys):
    reporter.notice("early")
    reporter.start(1)
    reporter.notice("during\x1b[2J")
    reporter.close()
    reporter.notice("late")
    assert capsys.readouterr().err.splitlines() == ["early", r"during\x1b[2J", "late"]


def test_the_first_failures_are_shown_and_the_rest_is_announced_once(reporter, capsys):
    reporter.start(50)
    for number in range(FAILURES_SHOWN + 10):
        reporter.failed(failure(number))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:FAILURES_SHOWN] == [f"a.jpg: nothing {n} [empty]" for n in range(FAILURES_SHOWN)]
    assert len(lines) == FAILURES_SHOWN + 1
    assert "log" in lines[-1]


def test_a_terminal_gets_a_bar_with_lines_above_it(reporter, terminal):
    terminal.attach()
    reporter.start(40)
    for _ in range(39):
        reporter.advance(Outcome.CAPTIONED)
    reporter.failed(failure(name="évil\x1b[2J.jpg"))
    reporter.advance(Outcome.MODEL_ERROR)
    reporter.close()
    written = terminal.read()
    assert "évil\\x1b[2J.jpg: nothing 0 [empty]" in written
    assert "40/40" in written
    assert "1 failed" in written
    assert "\r" in written
    assert "\x1b[2J" not in written


@pytest.mark.parametrize("size", [{"columns": 0}, {"lines": 0}])
def test_a_terminal_without_a_size_gets_lines(reporter, terminal, size):
    terminal.attach(**size)
    reporter.start(2)
    reporter.advance(Outcome.CAPTIONED)
    reporter.close()
    assert terminal.read().startswith("1/2 photos (50%), ")


def test_a_terminal_that_hangs_up_does_not_stop_the_run(reporter, terminal):
    terminal.attach()
    reporter.start(3)
    reporter.advance(Outcome.CAPTIONED)
    terminal.hang_up()
    reporter.advance(Outcome.CAPTIONED)
    reporter.failed(failure())
    reporter.notice("nobody hears this")
    reporter.close()
    with pytest.raises(OSError, match="Input/output"):
        sys.stderr.write("so nobody was listening\n")
        sys.stderr.flush()


@pytest.mark.parametrize("when", ["before the start", "after the start"])
def test_a_closed_stderr_does_not_stop_the_run(reporter, monkeypatch, when):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    if when == "before the start":
        stream.close()
    reporter.start(2)
    stream.close()
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    reporter.advance(Outcome.CAPTIONED)
    reporter.failed(failure())
    reporter.close()


def test_threads_add_up(reporter, capsys, monkeypatch):
    reporter.start(800)

    def work(_):
        for _ in range(100):
            reporter.advance(Outcome.CAPTIONED)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    reporter.close()
    assert "800/800 photos (100%)" in capsys.readouterr().err


def test_a_step_that_takes_long_is_not_silent(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGNS", 0.05)
    with told("reading") as step:
        step("grouping")
        time.sleep(0.3)
    assert capsys.readouterr().err.count("grouping, ") >= 2


def test_neither_a_slow_disk_nor_a_slow_model_is_silent(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGNS", 0.05)
    found = WalkResult(photos=[Photo("a.jpg", 1, 1)])

    def slowly(*_, **__):
        time.sleep(0.3)
        return found

    monkeypatch.setattr(photos, "_look", slowly)
    assert photos.find_photos(RunFlags(), tmp_path, follow_links=False) == found.photos
    assert f"looking for photos below {tmp_path}, " in capsys.readouterr().err
    assert with_models(slowly, None) is found
    assert "waiting for the model, " in capsys.readouterr().err
