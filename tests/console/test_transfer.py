"""The progress of a download: bars in a terminal, one line for each file in a log."""

import os
import select
import sys
import termios

import pytest

from console.transfer import TransferProgress


@pytest.fixture
def progress():
    progress = TransferProgress()
    yield progress
    progress.close()


def run(progress):
    for done in (1_000_000, 2_000_000, 3_000_000):
        progress("model.onnx", done, 3_000_000)
    progress("con\x1b[2Jfig.json", 10, 10)


def test_a_log_gets_one_line_for_each_file(progress, capsys):
    run(progress)
    assert capsys.readouterr().err == "model.onnx: 3 MB\ncon\\x1b[2Jfig.json: 10 bytes\n"


def test_a_terminal_gets_a_bar_for_each_file(progress, monkeypatch):
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        run(progress)
        stream.flush()
        written = ""
        while select.select([master], [], [], 0.2)[0]:
            written += os.read(master, 100_000).decode()
    os.close(master)
    assert "model.onnx: 100%" in written
    assert "3.00M/3.00M" in written
    assert "con\\x1b[2Jfig.json: 100%" in written
    assert "con\x1b[2J" not in written


def test_a_closed_terminal_is_no_reason_to_fail(progress, monkeypatch):
    with open(os.devnull, "w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    run(progress)
