"""The flags of a model in this process, `run --backend local`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

_MODEL = "A model in this process (--backend local)"

Quantization: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="int4, int8, none or auto (default: int4 where 16 bit would leave no room).",
        rich_help_panel=_MODEL,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="cuda, mps, cpu or auto (default: the first there is).",
        rich_help_panel=_MODEL,
    ),
]
BatchSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Photos at a time, or auto (default: the largest that fits is found).",
        rich_help_panel=_MODEL,
    ),
]
MaxPixels: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="AREA",
        help="Scale photos down to so many pixels; what a caption costs (default 401408).",
        rich_help_panel=_MODEL,
    ),
]
MaxNewTokens: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="The longest answer (default: MAX_TOKENS, else 256).",
        rich_help_panel=_MODEL,
    ),
]
Revision: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Branch, tag or commit of the model; a commit never changes.",
        rich_help_panel=_MODEL,
    ),
]
