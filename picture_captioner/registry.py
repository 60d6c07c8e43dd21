"""What can be named, such as backends and embedders: rows of a table, imported when they are used.

A new one is a file and a row. Another package adds its own through an entry point group
(`picture_captioner.backends`, `picture_captioner.embedders`), without an edit here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from picture_captioner.errors import ConfigurationError, UsageError, did_you_mean
from picture_captioner.extras import how_to_install

T = TypeVar("T")


class Plugin(NamedTuple):
    """A row of a table; `target` is `module:Class`. `writes_fields` is of backends alone."""

    name: str
    target: str
    extra: str | None
    summary: str
    writes_fields: bool = False


@dataclass(slots=True)
class Registry(Generic[T]):
    """The table of one kind of classes, and the import of each.

    `reserved` are names that mean something else where one is asked for, such as `auto`.
    """

    noun: str
    base: type[T]
    built_in: tuple[Plugin, ...]
    reserved: tuple[str, ...] = ()

    def rows(self) -> dict[str, Plugin]:
        """Every row by name: the built-in ones, then those of other packages.

        Raises:
            ConfigurationError: another package uses a name that is taken.
        """
        table = {row.name: row for row in self.built_in}
        for point in importlib.metadata.entry_points(group=f"picture_captioner.{self.noun}s"):
            package = point.dist.name if point.dist else "another package"
            if point.name in table or point.name in self.reserved:
                raise ConfigurationError(
                    f"the {self.noun} name {point.name!r} of {package} is taken already; "
                    "uninstall one"
                )
            table[point.name] = Plugin(point.name, point.value, None, f"from {package}")
        return table

    def row(self, name: str) -> Plugin:
        """The row of this name.

        Raises:
            UsageError: there is none; the message lists the valid names.
        """
        table = self.rows()
        if name not in table:
            raise UsageError(
                f"there is no {self.noun} {name!r}{did_you_mean(name, table)} "
                f"({self.noun}s: {', '.join([*self.reserved, *sorted(table)])})"
            )
        return table[name]

    def load(self, name: str) -> type[T]:
        """Import the class of this name.

        Raises:
            UsageError: there is none.
            ConfigurationError: its extra is not installed, and the message is the line that does
                it; or another package's class cannot be imported, or is of another kind.
        """
        row = self.row(name)
        module, _, attribute = row.target.partition(":")
        try:
            loaded = getattr(importlib.import_module(module), attribute, None)
        except Exception as error:
            told = self._why(row, error)
            if told is None:
                raise
            raise ConfigurationError(told) from error
        if not (isinstance(loaded, type) and issubclass(loaded, self.base)):
            raise ConfigurationError(f"{row.target} is not of the class {self.base.__name__}")
        return loaded

    def _why(self, row: Plugin, error: Exception) -> str | None:
        """What to tell of a failed import; None if it is a bug of ours."""
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if row not in self.built_in:
            theirs = f"the {self.noun} {row.name} ({row.summary})"
            if missing is not None:
                return f"{theirs} needs the package {missing}, which is not installed"
            return (
                f"{theirs} cannot be imported: {type(error).__name__}: {error}; update or "
                "uninstall its package"
            )
        if missing is None or row.extra is None or missing == row.target.partition(":")[0]:
            return None
        return (
            f"the {row.name} {self.noun} needs the package {missing}: run "
            f"{how_to_install(row.extra)}"
        )
