"""Running a typer app: every foreseen error becomes a sentence on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence

import typer

from console.logs import escape_what_is_not_logged
from console.program import program
from console.quiet_start import interruptible
from console.terminal import say
from errors import ExitCode, FatalError

BUG = 1
"""Exit status of an error that nobody foresaw; its traceback is in the log."""


def execute(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    escape_what_is_not_logged()
    try:
        with interruptible():
            result = app(list(arguments), standalone_mode=False)
            sys.stdout.flush()
    except typer.TyperException as error:
        if message := error.format_message().rstrip("."):  # empty: the help was shown instead
            say(f"{message}; see '{shlex.join(program())} --help'")
        return ExitCode.USAGE
    except FatalError as error:
        say(str(error))
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough (`stats | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        return 128 + signal.SIGINT
    except Exception as error:
        logging.getLogger("caption").exception("internal error", extra={"event": "bug"})
        say(f"internal error, please report it: {type(error).__name__}: {error}")
        return BUG
    return result if isinstance(result, int) else ExitCode.DONE
