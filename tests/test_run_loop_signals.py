"""Signals to run_loop.sh: the program ends properly, then the loop, whoever was signalled."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.loop_harness import SCRIPT, Loop, loop_environment
from tests.support import records


@pytest.fixture
def loop(tmp_path):
    return Loop(tmp_path)


STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the script", "to its group"])
def test_a_signal_ends_the_program_properly_then_the_loop(loop, number, send):
    running = loop.plan(["wait", 1], [0, 1]).start()
    loop.wait_for("waiting")
    send(running.pid, number)
    assert running.wait(10) == 128 + number, loop.said()
    assert loop.notes("ended_properly")[0][0] == number
    assert len(loop.batches()) == 1
    assert f"stopped by {number.name}" in loop.said()


@pytest.mark.parametrize("flag", ["--force", "--retry-status=all", "--retry-only"])
def test_what_would_begin_again_is_continued_with_the_same_since(loop, flag):
    running = loop.plan(["wait", 1]).start("mock", flag)
    loop.wait_for("waiting")
    os.kill(running.pid, signal.SIGTERM)
    running.wait(10)
    (batch,) = loop.batches()
    since = batch[batch.index("--since") + 1]
    assert f"--since {since}" in loop.said()


def test_a_second_signal_reaches_the_program_too(loop):
    running = loop.plan(["stubborn", 1]).start()
    loop.wait_for("waiting")
    os.kill(running.pid, signal.SIGTERM)
    loop.wait_for("signalled")
    assert running.poll() is None, "the loop waits for the program"
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(10) == 128 + signal.SIGINT
    assert loop.notes("ended_properly") == [[signal.SIGTERM, signal.SIGINT]]


def test_a_stopped_program_hears_the_signal(loop):
    running = loop.plan(["wait", 1]).start()
    loop.wait_for("waiting")
    os.kill(loop.notes("waiting")[0], signal.SIGSTOP)
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(10) == 128 + signal.SIGTERM
    assert loop.notes("ended_properly") == [[signal.SIGTERM]]


def test_a_loop_under_nohup_survives_a_hang_up(loop):
    running = loop.plan(["wait", 1]).start(ignore={signal.SIGHUP})
    loop.wait_for("waiting")
    os.killpg(running.pid, signal.SIGHUP)
    os.kill(loop.notes("waiting")[0], signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.5)
    (loop.folder / "finish").touch()
    assert running.wait(10) == 0
    assert loop.notes("ended_properly") == [[]]


def test_a_signal_in_the_pause_after_a_crash(loop):
    running = loop.plan(["SIGKILL", 1], [0, 1]).start(CRASH_PAUSE="60")
    loop.wait_until(lambda: "restarting" in loop.said(), "no pause")
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(10) == 128 + signal.SIGTERM
    assert len(loop.batches()) == 1


@pytest.mark.parametrize("prepare", ["", "stty tostop; "], ids=["plain", "tostop"])
def test_ctrl_c_in_a_terminal(loop, prepare):
    loop.plan(["wait", 1], [0, 1])
    terminal, inside = os.openpty()
    running = subprocess.Popen(
        ["bash", "-c", f"{prepare}exec '{SCRIPT}' mock"],
        cwd=loop.cwd,
        env=loop_environment(**loop.env),
        preexec_fn=lambda: os.login_tty(inside),
    )
    os.close(inside)
    loop.wait_for("waiting")
    os.write(terminal, b"\x03")
    shown = b"".join(iter(lambda: read_terminal(terminal), b""))
    os.close(terminal)
    assert running.wait(10) == 128 + signal.SIGINT, shown.decode()
    assert loop.notes("ended_properly") == [[signal.SIGINT]]
    assert b"stopped by SIGINT" in shown


def test_closing_the_terminal(loop):
    loop.plan(["wait", 1], [0, 1])
    terminal, inside = os.openpty()
    running = subprocess.Popen(
        [str(SCRIPT), "mock"],
        cwd=loop.cwd,
        env=loop_environment(**loop.env),
        preexec_fn=lambda: os.login_tty(inside),
    )
    os.close(inside)
    loop.wait_for("waiting")
    os.close(terminal)
    assert running.wait(10) == 128 + signal.SIGHUP
    assert loop.notes("ended_properly") == [[signal.SIGHUP]]


def read_terminal(terminal):
    """The next output, or nothing at its end (Linux reports that as EIO)."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_the_loop_outlives_the_reader_of_its_pipe(loop):
    loop.plan(["wait", 1], [0, 1])
    reader, writer = os.pipe()
    running = subprocess.Popen(
        [str(SCRIPT), "mock"],
        cwd=loop.cwd,
        env=loop_environment(**loop.env),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    loop.wait_for("waiting")
    os.close(reader)
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(10) == 128 + signal.SIGTERM
    assert loop.notes("ended_properly") == [[signal.SIGTERM]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_real_photos_under_way_are_written(loop, number):
    asked = loop.cwd / "asked"
    options = ("--option=delay=0.8", f"--option=log={asked}", "--max-workers=2")
    loop.drive_the_real_program(photos=7)
    running = loop.start("service", "--photos-dir", "my photos", *options)
    loop.wait_for(asked)
    os.kill(running.pid, number)
    assert running.wait(20) == 128 + number, loop.said()
    written = len(records(loop.journal))
    assert written == len(asked.read_text().splitlines())
    assert 1 <= written < 7
