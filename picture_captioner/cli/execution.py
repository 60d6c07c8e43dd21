"""Running a typer app: every foreseen error becomes a sentence on stderr and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence

import typer

from picture_captioner.cli.logs import escape_what_is_not_logged
from picture_captioner.cli.program import program
from picture_captioner.cli.quiet_start import interruptible
from picture_captioner.cli.terminal import output_errors, say, set_verbosity
from picture_captioner.errors import ExitCode, FatalError, OutputError
from picture_captioner.foreign_text import faults_of
from picture_captioner.workers.sandbox import forbid_core_dumps

BUG = 1
"""Exit status of an error that nobody foresaw; its traceback is in the log."""

_HELP = frozenset({"--help", "-h"})


def execute(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    forbid_core_dumps()
    escape_what_is_not_logged()
    set_verbosity(quiet=False, verbose=False)
    try:
        with interruptible(), _typers_own_output(arguments):
            result = app(list(arguments), standalone_mode=False)
            with output_errors():
                sys.stdout.flush()
    except typer.TyperException as error:
        _say_what_was_meant(error, app, arguments)
        return ExitCode.USAGE
    except OutputError as error:
        _let_go_of_stdout()
        say(str(error), always=True)
        return error.exit_code
    except FatalError as error:
        say(str(error), always=True)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`stats | head`).
        _let_go_of_stdout()
        return ExitCode.DONE
    except MemoryError:
        logging.getLogger("caption").info("out of memory", exc_info=True)
        say(
            "out of memory: close other programs, or lift the limit (ulimit -v), and start it "
            "again",
            always=True,
        )
        return ExitCode.UNAVAILABLE
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        return 128 + signal.SIGINT
    except Exception as error:
        logging.getLogger("caption").exception("internal error", extra={"event": "bug"})
        say(f"internal error, please report it: {type(error).__name__}: {error}", always=True)
        return BUG
    return result if isinstance(result, int) else ExitCode.DONE


def _say_what_was_meant(
    error: typer.TyperException, app: typer.Typer, arguments: Sequence[str]
) -> None:
    """What is wrong with the words that were typed, and whose help says what is right.

    The message of a command that has only subcommands is its whole help.
    """
    message = error.format_message().rstrip()
    if error.__cause__ is not None:
        from pydantic import ValidationError

        if isinstance(error.__cause__, ValidationError):
            for _, plainly in faults_of(error.__cause__):
                message = message.replace(getattr(error, "message", message), plainly)
    if "\n" in message:
        for line in message.splitlines():
            say(line, always=True)
    elif message:  # some versions have shown the help instead
        named = str(app.info.name).replace("-", "_")
        said = shlex.join([*program(named), *_command_among(arguments, app), "--help"])
        say(f"{message.rstrip('.')}; see '{said}'", always=True)


def _command_among(arguments: Sequence[str], app: typer.Typer) -> Iterator[str]:
    """The words that name the command; an error has it only if the parser read to its end."""
    command: object = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return
        yield word


@contextlib.contextmanager
def _typers_own_output(arguments: Sequence[str]) -> Iterator[None]:
    """Typer lets errors of the help's own output pass, and ends with 1 when nobody reads on.

    All else that goes to stdout is watched where it is written.
    """
    try:
        with output_errors() if _HELP.intersection(arguments) else contextlib.nullcontext():
            yield
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise


def _let_go_of_stdout() -> None:
    """Python writes what is left once more when it ends, and complains when it cannot."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
