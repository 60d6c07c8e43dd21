"""What an app's errors become: a sentence and an exit code."""

from __future__ import annotations

import pytest
import typer

from picture_captioner.cli.execution import execute
from picture_captioner.errors import ExitCode
from tests.support import caption


def test_running_out_of_memory_is_a_sentence_and_69(capsys):
    app = typer.Typer()

    @app.command()
    def ask() -> None:
        _ = bytearray(1 << 62)  # more than any machine has

    assert execute(app, []) == ExitCode.UNAVAILABLE
    said = capsys.readouterr().err
    assert said.startswith("out of memory")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["journal"], ["models"], ["people"], ["maintain"]], ids=str)
def test_without_a_command_the_help_is_shown_in_lines(tmp_path, words):
    done = caption(*words, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Usage: ")
    assert "Commands:" in lines or {"Captions:", "Finding photos:"} < {*lines}
    assert lines[-1].startswith("  "), "nothing after the last command"
    assert not [line for line in lines[1:] if line.endswith("...")], "every sentence is whole"


def test_help_says_each_default_once_and_what_is_named_without_its_type(tmp_path):
    said = caption("run", "--help", cwd=tmp_path, COLUMNS="100").stdout
    assert "Usage: caption.py run [OPTIONS] [DIR|PHOTO]...\n" in said
    assert "\n  DIR|PHOTO  A folder with photos, or single ones.\n" in said
    assert "at the usual price [10; bedrock 101]. [x>=1]" in " ".join(said.split(None))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["search", "blue", "--limit", "0"], " search --help"),
        (["stats", "photo.jpg"], " stats --help"),
        (["journal", "merge"], " journal merge --help"),
        (["people", "nosuch"], " people --help"),
        (["nosuch"], "caption.py --help"),
    ],
    ids=str,
)
def test_wrong_usage_names_the_help_of_its_command(tmp_path, words, command):
    done = caption(*words, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"{command}'")
