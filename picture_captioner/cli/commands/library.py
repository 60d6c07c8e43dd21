"""`library copy`, `library index`."""

from __future__ import annotations

from pathlib import Path

from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say
from picture_captioner.config import Settings
from picture_captioner.errors import ExitCode, UsageError, count
from picture_captioner.library.copying import copy, opened_to_copy
from picture_captioner.library.store import Library
from picture_captioner.settings import ServerAddress


def copy_library(flags: Flags, source: str, target: str) -> int:
    """Copy every row of one library into another, which is empty.

    Raises:
        UsageError: the other is not empty, or no such address.
        LibraryError: one of them is not there or cannot be used; nothing is copied.
        ConfigurationError: the other is a file of another kind, or an address has a fault.
    """
    settings = flags.settings()
    old, new = _home(settings, source), _home(settings, target)
    with opened_to_copy(old, say) as library, Library.open(new, say) as other:
        rows = copy(library, other.database)
    tables = sum(number > 0 for number in rows.values())
    say(
        f"Copied {count(sum(rows.values()), 'row')} of {count(tables, 'table')} from {old} to "
        f"{new}: read again there, each table has the same rows"
    )
    return ExitCode.DONE


def index_library(flags: Flags) -> int:
    """Index the vectors of a library on a server."""
    home = flags.settings().library_home
    if isinstance(home, Path):
        raise UsageError("library index is for a library on a server: name one with --library")
    from picture_captioner.library.postgresql_search import index_vectors

    Library.open(home, say).close()  # brings it to this version
    for told in index_vectors(home):
        say(told)
    return ExitCode.DONE


def _home(settings: Settings, named: str) -> Path | ServerAddress:
    is_address = "://" in named or named.startswith(("postgres:", "postgresql:"))
    return settings.served_library(named) if is_address else Path(named).expanduser()
