"""`caption.py journal`: the commands' names, arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from picture_captioner.cli.flags import AsJson, Command, Flags, make_app, takes_flags

journal_app = make_app(help="Look after a journal: check, compact, merge.", no_args_is_help=True)


@journal_app.command("check", cls=Command)
@takes_flags
def journal_check(flags: Flags, as_json: AsJson = False) -> int:
    """Read every line and name the damaged ones; changes nothing."""
    from picture_captioner.cli.commands.journal import check_journal

    return check_journal(flags, as_json=as_json)


@journal_app.command("compact", cls=Command)
@takes_flags
def journal_compact(flags: Flags) -> int:
    """Drop superseded lines; every caption and every cent stays accounted for."""
    from picture_captioner.cli.commands.journal import compact_journal

    return compact_journal(flags)


@journal_app.command("recheck", cls=Command)
@takes_flags
def journal_recheck(
    flags: Flags,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="List them, and withdraw nothing.")
    ] = False,
) -> int:
    """Withdraw captions that would not be accepted today (refusals, ...); deletes nothing."""
    from picture_captioner.cli.commands.journal import recheck_journal

    return recheck_journal(flags, dry_run=dry_run)


@journal_app.command("merge", cls=Command)
@takes_flags
def journal_merge(
    flags: Flags,
    other: Annotated[Path, typer.Argument(help="The journal to bring in.")],
) -> int:
    """Bring another machine's journal into this one; the other file is only read."""
    from picture_captioner.cli.commands.journal import merge_journal

    return merge_journal(flags, other)
