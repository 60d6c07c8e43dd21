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
    words = " ".join(said.split(None))
    assert "at the usual price [10; bedrock 101]. [x>=1]" in words
    assert "[PATIENCE; up to 86400; default 300]" in words
    assert "[VOCABULARY_MODE; default strict]" in words
    said = caption("process", "--help", cwd=tmp_path, COLUMNS="100").stdout
    assert "[FACE_SCORE; 0.1 to 0.99; default 0.6]" in " ".join(said.split(None))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["search", "blue", "--limit", "0"], " search --help"),
        (["stats", "photo.jpg"], " stats --help"),
        (["journal", "merge"], " journal merge --help"),
        (["people", "nosuch"], " people --help"),
        (["nosuch"], "caption.py --help"),
        (["run", "--include"], " run --help"),
        (["tags", "rename", "dog", "--config"], " tags rename --help"),
        (["--include"], " run --help"),
    ],
    ids=str,
)
def test_wrong_usage_names_the_help_of_its_command(tmp_path, words, command):
    done = caption(*words, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"{command}'")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("run --max-tags=", "input should be a whole number, such as 5"),
        ("run --timeout=x", "input should be a number, such as 1.5"),
        ("run --engine=x", "'x' is not one of 'here', 'ray'"),
        ("batch wait --poll=inf", "input should be less than or equal to 86400"),
        ("work --lease=inf", "input should be less than or equal to 86400"),
        ("run --limit=0", "input should be greater than or equal to 1"),
        ("run --photos-dir=", "it is empty; is a variable not set?"),
    ],
)
def test_of_a_value_that_does_not_fit_it_is_said_plainly_what_does(tmp_path, words, reason):
    done = caption(*words.split(), cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    flag = words.split()[-1].partition("=")[0]
    assert done.stderr.startswith(f"Invalid value for '{flag}': {reason}; see '")
