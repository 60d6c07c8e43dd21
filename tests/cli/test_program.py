"""A suggested command is one that the person can paste."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.program import as_called, program


@pytest.mark.parametrize(
    ("called", "by_uv", "words"),
    [
        ("caption.py", True, ["uv", "run", "caption.py"]),
        ("caption.py", False, [sys.executable, "caption.py"]),
        ("../there/caption.py", False, [sys.executable, "../there/caption.py"]),
        ("/somewhere/bin/caption", False, ["caption"]),
        ("/somewhere/bin/caption", True, ["caption"]),
    ],
)
def test_program(monkeypatch, called, by_uv, words):
    monkeypatch.setattr("sys.argv", [called, "run"])
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    if by_uv:
        monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == words


def test_python_is_named_so_where_that_is_the_one_that_runs(monkeypatch):
    monkeypatch.setattr("sys.argv", ["caption.py"])
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    monkeypatch.setattr("shutil.which", {"python": sys.executable}.get)
    assert program() == ["python", "caption.py"]


def test_a_suggested_command_has_the_flags_given_here_that_it_takes(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/caption"])
    given = {"photos_dir": Path("my photos"), "allow_http": True, "backend": "compatible"}
    flags = Flags(given=given, config=Path("c.env"))
    told = "caption batch status --config=c.env '--photos-dir=my photos' --allow-http"
    assert suggested(flags, "batch status") == told
    assert suggested(flags, "stats", "x") == "caption stats --config=c.env x"


def test_commands_in_messages_are_what_this_person_types(monkeypatch):
    monkeypatch.setattr("sys.argv", ["caption.py", "run"])
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert as_called("it is not here: run 'caption.py people scan'") == (
        "it is not here: run 'uv run caption.py people scan'"
    )
    assert as_called("'cluster_report.py --out DIR'") == "'uv run cluster_report.py --out DIR'"
    assert as_called("caption.py is a file") == "caption.py is a file"
