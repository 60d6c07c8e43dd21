"""A suggested command is one that the person can paste."""

from __future__ import annotations

import pytest

from picture_captioner.cli.program import program


@pytest.mark.parametrize(
    ("called", "by_uv", "words"),
    [
        ("caption.py", True, ["uv", "run", "caption.py"]),
        ("caption.py", False, ["python", "caption.py"]),
        ("../there/caption.py", False, ["python", "../there/caption.py"]),
        ("/somewhere/bin/caption", False, ["caption"]),
        ("/somewhere/bin/caption", True, ["caption"]),
    ],
)
def test_program(monkeypatch, called, by_uv, words):
    monkeypatch.setattr("sys.argv", [called, "run"])
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    if by_uv:
        monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert program() == words
