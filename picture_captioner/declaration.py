"""What declares a setting or flag: `flag` or `switch`.

The default of a dataclass's field is made by it, or that of a command's own parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

WHERE = "Where"
WHO = "Who captions"
WHICH = "Which photos"
HOW = "How"

EVERY = "*"
"""In place of the commands' names: all that have the class."""


@dataclass(frozen=True)
class Flag:
    """What a flag is besides the name, type and default of the field that it describes.

    Attributes:
        metavar: stands for the value; empty: a switch.
        help: what `--help` says.
        panel: the section of the help that it stands in.
        on: the commands that have it, by the names of their functions; none: config.env only.
        name: the flag, where it is not the field's name.
        show_default: what holds when nothing is given, in words.
        least, most, above: the bounds of a number.
        repeatable: may be given several times; a setting's words are then joined by commas.
        comment: what config.env.example says; empty: as `help`.
    """

    metavar: str
    help: str
    panel: str | None = None
    on: str = EVERY
    name: str = ""
    show_default: str = ""
    least: float | None = None
    most: float | None = None
    above: float | None = None
    repeatable: bool = False
    comment: str = ""

    @property
    def bounds(self) -> str:
        """What a number may be, where that does not go without saying."""
        if self.most is None:
            return ""
        most = f"{self.most:.10g}"
        return f"{self.least:g} to {most}" if self.least else f"up to {most}"


def flag(
    metavar: str, told: str, panel: str | None = None, *, default: Any = None, **more: Any
) -> Any:
    """A field with a flag; `more` are other attributes of `Flag`."""
    return field(default=default, metadata={"flag": Flag(metavar, told, panel, **more)})


def switch(told: str, panel: str | None = None, **more: Any) -> Any:
    """A field with a flag that takes no value: given, it says yes."""
    return flag("", told, panel, default=False, **more)


@dataclass(frozen=True)
class Declared:
    """One declaration, read back from its field."""

    name: str
    kind: Any
    flag: Flag
    default: Any


@cache
def declared(holder: type) -> Mapping[str, Declared]:
    """The fields of a dataclass that have a flag, in their order."""
    kinds = get_type_hints(holder)
    return {
        one.name: Declared(one.name, kinds[one.name], one.metadata["flag"], one.default)
        for one in fields(holder)
        if "flag" in one.metadata
    }
