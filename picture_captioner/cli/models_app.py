"""`caption.py models`: the commands' names, arguments and help."""

from __future__ import annotations

from typing import Annotated

import typer

from picture_captioner.cli.flags import AsJson, Command, Flags, make_app, takes_flags

models_app = make_app(help="Models on this machine: list, download.", no_args_is_help=True)


@models_app.command("list", cls=Command)
@takes_flags
def models_list(flags: Flags, as_json: AsJson = False) -> int:
    """List the models that can be named, their size and licence, and where they are."""
    from picture_captioner.cli.commands.models import print_models

    return print_models(flags, as_json=as_json)


@models_app.command("path", cls=Command)
@takes_flags
def models_path(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="A model of the list, or OWNER/NAME.")],
) -> int:
    """Print where a model is."""
    from picture_captioner.cli.commands.models import print_path

    return print_path(name, flags)


@models_app.command("download", cls=Command)
@takes_flags
def models_download(
    flags: Flags,
    names: Annotated[list[str], typer.Argument(help="Models of the list, or OWNER/NAME.")],
) -> int:
    """Fetch models, verified, into their cache or --models-dir; goes on where it was stopped."""
    from picture_captioner.cli.commands.models import download_models

    return download_models(names, flags)


@models_app.command("remove", cls=Command)
@takes_flags
def models_remove(
    flags: Flags,
    names: Annotated[list[str], typer.Argument(help="Models of the list, or OWNER/NAME.")],
) -> int:
    """Delete models from this machine."""
    from picture_captioner.cli.commands.models import remove_models

    return remove_models(names, flags)
