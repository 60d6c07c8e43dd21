"""A suggested command is one that the person can paste."""

from __future__ import annotations

import ast
import re
import sys
from functools import partial
from pathlib import Path

import pytest
import typer

from picture_captioner.cli.caption_app import app
from picture_captioner.cli.flags import Flags, given_for, suggested
from picture_captioner.cli.program import GROUPS, as_called, program


@pytest.mark.parametrize(
    ("called", "by_uv", "words"),
    [
        ("caption.py", True, ["uv", "run", "caption.py"]),
        ("caption.py", False, [sys.executable, "caption.py"]),
        ("../there/caption.py", False, [sys.executable, "../there/caption.py"]),
        ("/somewhere/bin/caption", False, ["caption"]),
        ("/somewhere/bin/caption", True, ["caption"]),
        ("there/cluster_report.py", True, ["uv", "run", "there/caption.py"]),
        ("/somewhere/bin/cluster-report", False, ["caption"]),
        ("/somewhere/picture_captioner/__main__.py", False, ["caption"]),
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
    monkeypatch.setattr("picture_captioner.cli.program._repeated", [])
    assert as_called("it is not here: run 'caption.py people scan'") == (
        "it is not here: run 'uv run caption.py people scan'"
    )
    assert as_called("'cluster_report.py --out DIR'") == "'uv run cluster_report.py --out DIR'"
    assert as_called("caption.py is a file") == "caption.py is a file"


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("see 'caption.py backends'.", "see 'caption backends --config=c.env'."),
        (
            "'caption.py batch adopt ID --photos-dir=q'",
            "'caption batch adopt ID --photos-dir=q --config=c.env '--captions-jsonl=my c.jsonl''",
        ),
        (
            "'caption.py models download minilm', or",
            "'caption models download minilm --config=c.env --models-dir=m', or",
        ),
        (
            "'cluster_report.py --out DIR'",
            "'cluster-report --out DIR --config=c.env --photos-dir=p "
            "'--captions-jsonl=my c.jsonl' --models-dir=m'",
        ),
        ("'caption.py --help'", "'caption --help'"),
    ],
)
def test_they_have_the_flags_given_here_that_they_take(monkeypatch, written, typed):
    monkeypatch.setattr("sys.argv", ["/usr/bin/caption"])
    given = {"captions_jsonl": "my c.jsonl", "models_dir": Path("m"), "photos_dir": Path("p")}
    flags = Flags(given=given, config=Path("c.env"))
    monkeypatch.setattr("picture_captioner.cli.program._repeated", [partial(given_for, flags)])
    assert as_called(written) == typed


def test_no_group_of_commands_is_forgotten():
    commands = typer.main.get_command(app).commands
    assert {name for name, one in commands.items() if hasattr(one, "commands")} == set(GROUPS)


PACKAGE = Path(__file__).parent.parent.parent / "picture_captioner"
COMMANDS = "|".join(typer.main.get_command(app).commands)
QUOTED = re.compile(rf"'(?:{COMMANDS})(?: [^']*)?'|`(?:{COMMANDS}|caption.py)[ `]")
BARE = re.compile(r"(?<!')\b(?:caption|cluster_report)\.py \w")
HELP = {"flag", "switch", "Option", "Argument", "App"}
"""What is said there names commands, and suggests none."""


def messages(file: Path):
    """The strings of a module that are neither docstrings nor help."""
    tree = ast.parse(file.read_text("utf-8"))
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in HELP:
            left_out.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and node not in left_out:
            left_out.update(node.values)
            parts = (part.value for part in node.values)
            yield "".join(part if isinstance(part, str) else "{}" for part in parts)
        elif isinstance(node, ast.Constant) and node not in left_out:
            yield node.value if isinstance(node.value, str) else ""


def test_every_command_in_a_message_has_its_launcher():
    """`'caption.py status'` becomes what this person types; `'status'` cannot be pasted."""
    told = [(file, text) for file in sorted(PACKAGE.rglob("*.py")) for text in messages(file)]
    for pattern in (QUOTED, BARE):
        found = [
            f"{file.relative_to(PACKAGE)}: {text}" for file, text in told if pattern.search(text)
        ]
        assert found == []


def test_the_page_shows_commands_with_the_launcher_that_it_was_told():
    for script in (PACKAGE / "report" / "page" / "assets").glob("*.js"):
        code = [line for line in script.read_text("utf-8").splitlines() if line[:2] != "//"]
        assert "caption.py" not in "\n".join(code), script.name
