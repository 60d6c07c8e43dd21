"""`caption.py tags`, and the flags of `tag`: names, arguments and help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from picture_captioner.cli.flags import Command, Flags, make_app, takes_flags
from picture_captioner.declaration import HOW, WHICH, Flag

tags_app = make_app(
    help="Tags, whoever gave them: list, rename, merge, delete.", no_args_is_help=True
)


@dataclass(frozen=True, kw_only=True)
class TagFlags(Flags):
    """The flags of `tag` as they were given."""

    taxonomy: Annotated[
        Path | None,
        Flag("tag", "FILE", "What to look for, in place of the package's taxonomy.toml.", WHICH),
    ] = None
    model: Annotated[
        str | None,
        Flag("tag", "NAME", "The model, or its folder, that made the vectors.", HOW),
    ] = None
    nouns: Annotated[
        bool,
        Flag("tag", "", "Also by 8,588 nouns; reading them takes minutes, once a model.", WHICH),
    ] = False
    force: Annotated[bool, Flag("tag", "", "Also photos whose tags are up to date.", WHICH)] = False


Tag: TypeAlias = Annotated[str, typer.Argument(metavar="TAG", help="As 'tags list' prints it.")]
Tags: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="TAG...", help="Tags, as 'tags list' prints them.")
]


@tags_app.command("list", cls=Command)
@takes_flags
def tags_list(
    flags: Flags,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
) -> int:
    """List the tags and how many photos have each."""
    from picture_captioner.cli.commands.tags import print_tags

    return print_tags(flags, as_json=as_json)


@tags_app.command("rename", cls=Command)
@takes_flags
def tags_rename(
    flags: Flags, tag: Tag, name: Annotated[str, typer.Argument(metavar="NAME")]
) -> int:
    """Call a tag otherwise, in photos to come as well; the journal stays as it is."""
    from picture_captioner.cli.commands.tags import rename_tag

    return rename_tag(flags, tag, name)


@tags_app.command("merge", cls=Command)
@takes_flags
def tags_merge(
    flags: Flags,
    into: Annotated[str, typer.Argument(metavar="INTO", help="What they are called from now on.")],
    tags: Tags,
) -> int:
    """Make several tags one, in photos to come as well."""
    from picture_captioner.cli.commands.tags import merge_tags

    return merge_tags(flags, into, tags)


@tags_app.command("delete", cls=Command)
@takes_flags
def tags_delete(flags: Flags, tags: Tags) -> int:
    """Show tags nowhere any more, in photos to come neither; 'tags restore' takes it back."""
    from picture_captioner.cli.commands.tags import delete_tags

    return delete_tags(flags, tags)


@tags_app.command("restore", cls=Command)
@takes_flags
def tags_restore(flags: Flags, tags: Tags) -> int:
    """Take back what was decided about tags, named as a model wrote them."""
    from picture_captioner.cli.commands.tags import restore_tags

    return restore_tags(flags, tags)
