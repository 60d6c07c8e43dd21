"""From declarations to flags: what `Settings` and a command's own dataclass declare, typer parses.

A command takes one parameter, `flags`, of a `Flags` class: `takes_flags` gives it every setting and
every field of that class whose declaration names the command. Nothing heavy is imported here:
`--help` needs no more than this.
"""

from __future__ import annotations

import inspect
import shlex
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import Field, dataclass, field
from functools import cache, partial
from keyword import iskeyword
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from picture_captioner.cli.program import program, repeat_flags
from picture_captioner.cli.terminal import JOINERS, say, set_verbosity, show
from picture_captioner.config import CONFIG_VARIABLE, Settings, load_settings
from picture_captioner.declaration import (
    EVERY,
    HOW,
    WHERE,
    WHICH,
    Declared,
    Flag,
    declared,
    flag,
    switch,
)
from picture_captioner.errors import UsageError, did_you_mean
from picture_captioner.settings import ServerAddress

C = TypeVar("C", bound=Callable[..., int])


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was typed: settings in `given`, a command's other flags in the fields of its class."""

    given: Mapping[str, Any] = field(default_factory=dict)
    config: Path | None = flag(
        "FILE", f"Read the settings from here [{CONFIG_VARIABLE}; default ./config.env].", WHERE
    )
    include: list[str] | None = flag(
        "PATTERN",
        "Only photos that match, such as '2023/**' or '*.heic'; repeatable.",
        WHICH,
        on="run batch_submit work estimate compare process read status people_scan report write",
    )
    exclude: list[str] | None = flag(
        "PATTERN",
        "Not photos that match; wins over --include; repeatable.",
        WHICH,
        on="run batch_submit work estimate compare process read status people_scan report write",
    )
    quiet: bool = switch(
        "Say nothing but errors and the hosts that photos go to.",
        HOW,
        on="run batch_submit batch_wait batch_collect estimate compare report",
        name="--quiet -q",
    )
    verbose: bool = switch(
        "Also show what goes into the log.",
        HOW,
        on="run batch_submit report",
        name="--verbose -v",
    )
    yes: bool = switch(
        "Download a model that is missing without asking.",
        HOW,
        on="run work estimate compare process read people_scan report",
        name="--yes -y",
    )
    as_json: bool = switch(
        "Print JSON.",
        on="run work estimate compare stats search report status write undo backends doctor "
        "journal_check models_list batch_status batch_list tags_list people_cluster people_list "
        "people_show people_review people_associate people_scan people_name people_merge "
        "people_unmerge people_split people_confirm people_not_this_person people_not_a_face "
        "people_unname people_hide people_same people_different people_export people_import "
        "maintain maintain_merge_similar",
        name="--json",
    )
    encoding: str = flag(
        "NAME",
        "Of the file, if not UTF-8: Excel's plain CSV has cp1252.",
        default="",
        on="import_ people_import",
    )

    def settings(self, **more: Any) -> Settings:
        """The settings with these flags on top; lines of the file that nobody can read are told.

        Raises:
            UsageError, ConfigurationError: a value does not fit.
        """
        settings = load_settings(self.config, **{**self.given, **more})
        for fault in settings.file.faults():
            _tell_once(fault)
        return settings


@cache
def _tell_once(fault: str) -> None:
    """Before anything is missed that may have stood there; a command may ask for settings twice."""
    say(fault, always=True)


def suggested(flags: Flags, command: str, *more: str, without: Container[str] = ()) -> str:
    """Another command as this person would type it, with the settings given here that it takes.

    `report` is the other program. The password of a database server is in no command.
    """
    words = program("cluster_report") if command == "report" else [*program(), *command.split()]
    return shlex.join([*words, *given_for(flags, command, without), *more])


def given_for(flags: Flags, command: str, without: Container[str] = ()) -> list[str]:
    """The flags given here that a command takes, as they are typed."""
    words = [f"--config={flags.config}"] if flags.config else []
    function = command.translate(_AS_FUNCTION)
    function += "_" * iskeyword(function)  # Python has an `import` of its own
    for name, one in declared(Settings).items():
        value = flags.given.get(name)
        if name == "library" and value:
            value = str(ServerAddress(value, ""))
        if name not in without and function in one.flag.on.split():
            words += as_typed(name, value)
    return words


_AS_FUNCTION = str.maketrans(" -", "__")


def as_typed(name: str, value: Any) -> list[str]:
    """A flag as it is typed; one that says yes has no value."""
    typed = f"--{name.replace('_', '-')}"
    if isinstance(value, list):
        return [f"{typed}={one}" for one in value]
    if value is True:
        return [typed]
    return [] if value is None or value is False else [f"{typed}={value}"]


def takes_flags(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command its flags; its own parameters come first, such as arguments."""
    hints = get_type_hints(function, include_extras=True)
    kind = hints["flags"]
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "flags"]
    settings, flags = _taken_of(Settings, function), _taken_of(kind, function)

    def command(**values: Any) -> int:
        typed = {one.name: values.pop(one.name) for one in settings}
        given = {name: _joined(value) for name, value in typed.items() if value is not None}
        given_flags = kind(given=given, **{one.name: values.pop(one.name) for one in flags})
        set_verbosity(quiet=given_flags.quiet, verbose=given_flags.verbose, yes=given_flags.yes)
        repeat_flags(partial(given_for, given_flags))
        return function(flags=given_flags, **values)

    parameters = [
        *(_own(p, hints[p.name]) for p in own),
        *settings,
        *flags,
    ]
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__annotations__ = {}
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    return command


def _own(parameter: inspect.Parameter, kind: Any) -> inspect.Parameter:
    """A parameter of the command's own; its default may be a declaration, as a class has them."""
    if not isinstance(parameter.default, Field):
        return parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=kind)
    flag, default = parameter.default.metadata["flag"], parameter.default.default
    one = Declared(parameter.name, kind, flag, default)
    return _parameter(one, kind, default, flag.help, flag)


def _taken_of(holder: type, function: Callable[..., int]) -> list[inspect.Parameter]:
    return [
        parameter
        for commands, parameter in _offered(holder)
        if EVERY in commands or function.__name__ in commands
    ]


@cache
def _offered(holder: type) -> list[tuple[frozenset[str], inspect.Parameter]]:
    """The flags of a class as typer wants them, made once for all commands that have them."""
    every = list(declared(holder).values())
    if holder is Settings:
        made = [_parameter(one, _setting_kind(one), None, _setting_help(one)) for one in every]
    else:
        every.sort(key=lambda one: one.flag.panel is None)  # the others last
        made = [_parameter(one, one.kind, one.default, one.flag.help, one.flag) for one in every]
    return [(frozenset(o.flag.on.split()), p) for o, p in zip(every, made, strict=True)]


def _joined(value: Any) -> Any:
    return ",".join(value) if isinstance(value, list) else value


def _parameter(
    one: Declared, kind: Any, default: Any, told: str, bounds: Flag | None = None
) -> inspect.Parameter:
    """A parameter as typer wants it; the bounds of a setting are checked wherever it stands."""
    flag = one.flag
    option = typer.Option(
        *(flag.name or f"--{one.name.replace('_', '-')}").split(),
        metavar=flag.metavar,
        help=told,
        rich_help_panel=flag.panel,
        min=bounds.least if bounds else None,
        max=bounds.most if bounds else None,
        parser=_named_path if Path in {kind, *get_args(kind)} else None,
        show_default=not told.endswith("]."),  # it is in the words
    )
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


def _named_path(word: str) -> Path:
    """A path that is not empty: for pathlib `--photos-dir "$NOT_SET"` is the working folder.

    Whether it can be read is asked when it is opened: access lists may allow it.
    """
    if not word:
        raise typer.BadParameter("it is empty; is a variable not set?")
    return Path(word)


def _setting_kind(one: Declared) -> Any:
    """The setting's type as a flag has it: not given is None, which leaves it to the others."""
    if one.flag.repeatable:
        return list[str] | None
    return one.kind if NoneType in get_args(one.kind) else one.kind | None


def _setting_help(one: Declared) -> str:
    default = one.flag.show_default or one.default
    if isinstance(default, float):
        default = f"{default:g}"
    words = [one.name.upper(), one.flag.bounds, f"default {default}" if default else ""]
    return f"{one.flag.help[:-1]} [{'; '.join(word for word in words if word)}]."


def words_in(name: str, text: str, valid: Iterable[str]) -> list[str]:
    """The words of a list with commas.

    Raises:
        UsageError: one that is not valid.
    """
    return [one_of(name, word.strip(), valid) for word in text.split(",") if word.strip()]


def one_of(name: str, word: str, valid: Iterable[str]) -> str:
    """The word.

    Raises:
        UsageError: it is not valid.
    """
    known = list(valid)
    if word not in known:
        hint = did_you_mean(word, known)
        shown = word or "''"
        raise UsageError(f"{name} {shown}: expected {', '.join(known)}{hint}")
    return word


def one_line(noun: str, text: str, longest: int) -> str:
    """A name or tag without what surrounds it.

    Raises:
        UsageError: it is none.
    """
    cleaned = unicodedata.normalize("NFC", " ".join(text.split()))
    printable = "".join(character for character in cleaned if character not in JOINERS)
    if not printable or len(cleaned) > longest or not printable.isprintable():
        raise UsageError(f"a {noun} has 1 to {longest} printable characters")
    return cleaned


class Command(TyperCommand):
    """A command whose help is in sections, without rich: that took two thirds of the time."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section a panel, in the order in which they first appear."""
        sections: _Sections = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                panel = getattr(parameter, "rich_help_panel", None)
                title = "Arguments" if is_argument else panel or "Options"
                name = record[0].split(" <")[0] if is_argument else record[0]  # without its type
                sections.setdefault(title, []).append((name, record[1]))
        _write(sections, formatter)


class Group(TyperGroup):
    """Commands in sections, each with its whole sentence: typer cuts it at the end of the line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section a panel, in the order in which they first appear."""
        sections: _Sections = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(panel, []).append((name, command.get_short_help_str(LONGEST_LINE)))
        _write(sections, formatter)


_Sections: TypeAlias = dict[str, list[tuple[str, str]]]
LONGEST_LINE = 200


def _write(sections: _Sections, formatter: Any) -> None:
    for title, records in sections.items():
        with formatter.section(title):
            formatter.write_dl(records)


class App(typer.Typer):
    """An app without rich, whose commands take flags; its errors are told by `execution.py`."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            cls=Group,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            **more,
        )

    def command(  # type: ignore[override]
        self, name: str | None = None, cls: type[Command] = Command, panel: str | None = None
    ) -> Callable[[C], C]:
        """Make a command of a function; its name is the function's where none is given."""
        register = super().command(name, cls=cls, rich_help_panel=panel)

        def registered(function: C) -> C:
            register(takes_flags(function))
            return function

        return registered


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from picture_captioner.extras import DISTRIBUTION

        show(version(DISTRIBUTION))
        raise typer.Exit


Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version",
        metavar="",
        help="Print the version and exit.",
        is_eager=True,
        callback=_print_version,
    ),
]
