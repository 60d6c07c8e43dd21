"""`caption.py library`: the commands' names, arguments and help."""

from __future__ import annotations

from typing import Annotated

import typer

from picture_captioner.cli.flags import Command, Flags, make_app, takes_flags

library_app = make_app(
    help="The library itself: copy it to a server and back; index vectors there.",
    no_args_is_help=True,
)


@library_app.command("copy", cls=Command)
@takes_flags
def library_copy(
    flags: Flags,
    source: Annotated[
        str, typer.Option("--from", metavar="HOME", help="A library.db, or postgresql://...")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="HOME", help="Likewise; one that is empty, or new.")
    ],
) -> int:
    """Copy a library between library.db and a server; every row is compared before it is kept."""
    from picture_captioner.cli.commands.library import copy_library

    return copy_library(flags, source, target)


@library_app.command("index", cls=Command)
@takes_flags
def library_index(flags: Flags) -> int:
    """Index the vectors of a library on a server, where there are many; others go on meanwhile."""
    from picture_captioner.cli.commands.library import index_library

    return index_library(flags)
