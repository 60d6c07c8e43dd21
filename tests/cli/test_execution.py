"""What an app's errors become: a sentence and an exit code."""

from __future__ import annotations

import typer

from picture_captioner.cli.execution import execute
from picture_captioner.errors import ExitCode


def test_running_out_of_memory_is_a_sentence_and_69(capsys):
    app = typer.Typer()

    @app.command()
    def ask() -> None:
        _ = bytearray(1 << 62)  # more than any machine has

    assert execute(app, []) == ExitCode.UNAVAILABLE
    said = capsys.readouterr().err
    assert said.startswith("out of memory")
    assert len(said.splitlines()) == 1
