"""How the person called this program, so that a suggested command can be pasted back."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

_LAUNCHERS = ("caption", "cluster_report")


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


def command(*words: str) -> str:
    """A command of `caption.py` as this person would type it."""
    return shlex.join([*program(), *words])


def as_called(message: str) -> str:
    """The message with the commands in it as this person would type them.

    Rooms below know no launcher: they write `'caption.py status'`.
    """
    for name in _LAUNCHERS:
        if f"'{name}.py " in message:
            message = message.replace(f"'{name}.py ", f"'{shlex.join(program(name))} ")
    return message
