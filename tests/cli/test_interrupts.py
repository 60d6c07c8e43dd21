"""The first signal asks, a second one insists, and an ignored one stays ignored."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from picture_captioner.cli.interrupts import SIGNALS, note_signals

ROOT = Path(__file__).parent.parent.parent

CHILD = """
import signal, sys, time
from picture_captioner.cli.interrupts import note_signals
from picture_captioner.cli.terminal import say
with note_signals(say) as interrupts:
    print("ready", flush=True)
    deadline = time.monotonic() + 20
    while not interrupts.requested() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(float(sys.argv[1]))
print("finished", flush=True)
sys.exit(interrupts.exit_status or 0)
"""


@pytest.fixture
def child():
    """Start a process that finishes so many seconds after the first signal."""
    started = []

    def start(seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_said_once(number):
    said = []
    with note_signals(said.append) as interrupts:
        assert not interrupts.requested()
        assert interrupts.exit_status is None
        signal.raise_signal(number)
        assert interrupts.requested()
        assert interrupts.requested()
    assert interrupts.exit_status == 128 + number
    assert len(said) == 1
    assert said[0].startswith(f"{number.name}: ")


def test_the_handlers_of_before_come_back_also_after_an_error():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyError), note_signals(print):
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with note_signals(print) as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.requested()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_within_a_second_are_one(child):
    process = child(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "finished\n")
    assert err.count("SIGINT: finishing") == 1


def test_one_more_than_a_second_later_ends_the_process_at_once(child):
    process = child(60)
    process.send_signal(signal.SIGINT)
    time.sleep(1.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
