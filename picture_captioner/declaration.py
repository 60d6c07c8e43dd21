"""What a declaration of a setting or flag is: a field of a dataclass, annotated with its `Flag`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

WHERE = "Where"
WHO = "Who captions"
WHICH = "Which photos"
HOW = "How"


@dataclass(frozen=True)
class Flag:
    """What a flag is besides the name, type and default of the field that it describes.

    Attributes:
        on: the commands that have it, by the names of their functions; none: config.env only.
        metavar: stands for the value; empty: a switch.
        help: what `--help` says.
        name: the flag, where it is not the field's name.
        default: what holds when nothing is given, in words.
        least, most, above: the bounds of a number.
        repeatable: may be given several times; a setting's words are then joined by commas.
        comment: what config.env.example says; empty: as `help`.
    """

    on: str
    metavar: str
    help: str
    panel: str | None = None
    name: str = ""
    default: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    repeatable: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Declared:
    """One declaration, read back from its field."""

    name: str
    kind: Any
    flag: Flag
    default: Any


@cache
def declared(holder: type) -> Mapping[str, Declared]:
    """The fields of a dataclass that have a `Flag`, in their order."""
    hints = get_type_hints(holder, include_extras=True)
    found = {}
    for one in fields(holder):
        if get_origin(hints[one.name]) is Annotated:
            kind, *notes = get_args(hints[one.name])
            for flag in notes:
                if isinstance(flag, Flag):
                    found[one.name] = Declared(one.name, kind, flag, one.default)
    return found
