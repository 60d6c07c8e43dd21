"""How the person called this program, so that a suggested command can be pasted back."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

GROUPS = ("batch", "journal", "library", "maintain", "models", "people", "tags")
"""Commands that may have another one behind them."""

_SUGGESTED = re.compile(
    rf"'(caption|cluster_report)\.py( (?:{'|'.join(GROUPS)}) [a-z-]+| [a-z][a-z-]*)?([^']*)'"
)
_repeated: list[Callable[[str], list[str]]] = []


def repeat_flags(given_for: Callable[[str], list[str]]) -> None:
    """Let the commands in messages have the flags given here that they take.

    Args:
        given_for: these flags, by the name of a command; `report` is the other program.
    """
    _repeated[:] = [given_for]


def program(name: str = "caption") -> list[str]:
    """The words before the subcommand: `uv run caption.py`, `python caption.py` or `caption`.

    Whichever of the two programs was called, the other one lies beside it. Where `python` is
    another one, or none, the one that runs this is named by its path.
    """
    called = Path(sys.argv[0])
    if called.name == "__main__.py":  # `python -m picture_captioner`, perhaps in a checkout
        called = called.parent.with_name("caption.py")
        called = called if called.is_file() else Path("caption")
    if called.suffix != ".py":
        return [name.replace("_", "-")]
    script = str(called.with_name(f"{name}.py"))
    # `uv run` puts this into the environment of what it runs.
    if "UV_RUN_RECURSION_DEPTH" in os.environ:
        return ["uv", "run", script]
    return ["python" if shutil.which("python") == sys.executable else sys.executable, script]


def command(name: str, *more: str) -> str:
    """A command of `caption.py` as this person would type it, with the flags given here."""
    return shlex.join([*program(), *name.split(), *_given(name, " ".join(more)), *more])


def _given(name: str, rest: str) -> list[str]:
    """The flags given here that a command takes and does not have yet."""
    given = [flag for given_for in _repeated if name for flag in given_for(name)]
    return [flag for flag in given if flag.partition("=")[0] not in rest]


def as_called(message: str) -> str:
    """The message with the commands in it as this person would type them.

    Rooms below know neither launcher nor flags: they write `'caption.py status'`.
    """
    return _SUGGESTED.sub(_as_typed, message)


def _as_typed(suggestion: re.Match[str]) -> str:
    launcher, words, rest = suggestion.groups("")
    given = _given("report" if launcher == "cluster_report" else words.strip(), rest)
    # Behind the rest: before it, they would part a command from what it is about.
    return f"'{' '.join([shlex.join(program(launcher)) + words + rest, *map(shlex.quote, given)])}'"
