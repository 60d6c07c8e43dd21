"""The flags of `caption.py search`, and where it looks for a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from picture_captioner.cli.flags import Command, Flags
from picture_captioner.declaration import WHICH, Flag

REPORT_DIR = Path("report_out")
"""Where a report is written to, and looked for."""

LISTED = 20
"""How many photos are listed where no limit is given; `--paths0` gives all."""

_Several: TypeAlias = list[str] | None


@dataclass(frozen=True, kw_only=True)
class SearchFlags(Flags):
    """The flags of `search` as they were given."""

    person: Annotated[_Several, Flag("search", "NAME", "Photos that show somebody.", WHICH)] = None
    place: Annotated[_Several, Flag("search", "NAME", "Taken in a town or country.", WHICH)] = None
    from_: Annotated[
        str | None,
        Flag("search", "DATE", "Taken since: 2019, 2019-06, 2019-06-30.", WHICH, name="--from"),
    ] = None
    to: Annotated[str | None, Flag("search", "DATE", "Taken until, that included.", WHICH)] = None
    tag: Annotated[_Several, Flag("search", "TAG", "With a tag.", WHICH)] = None
    text: Annotated[_Several, Flag("search", "TEXT", "With this written in it.", WHICH)] = None
    camera: Annotated[
        _Several, Flag("search", "NAME", "By a camera: a part of its name.", WHICH)
    ] = None
    has: Annotated[
        _Several,
        Flag("search", "WHAT", "With a caption, face, person, place, tag, text, time, ...", WHICH),
    ] = None
    status: Annotated[
        _Several, Flag("search", "STATUS", "Whose last attempt ended so, or 'pending'.", WHICH)
    ] = None
    similar: Annotated[
        _Several, Flag("search", "PATH", "That look like a photo of the library.", WHICH)
    ] = None
    not_: Annotated[
        _Several,
        Flag("search", "WORDS", "Without these words or conditions.", WHICH, name="--not"),
    ] = None
    limit: Annotated[
        int | None,
        Flag("search", "N", f"Print at most N photos [{LISTED}; with --paths0 all].", least=1),
    ] = None
    sort: Annotated[
        Literal["relevance", "date"] | None,
        Flag("search", "ORDER", "relevance, or date (the newest first) [date without words]."),
    ] = None
    all_: Annotated[
        bool, Flag("search", "", "Also near-duplicates of what is shown.", name="--all")
    ] = False
    as_json: Annotated[bool, Flag("search", "", "Print JSON.", name="--json")] = False
    paths0: Annotated[
        bool, Flag("search", "", "Print whole paths, a zero byte after each, for 'xargs -0'.")
    ] = False
    model: Annotated[
        str | None,
        Flag(
            "search",
            "NAME",
            "Model of the report's embedder, if it was not the default: a name or a folder.",
        ),
    ] = None
    captions_only: Annotated[
        bool,
        Flag("search", "", "Do not load the report's embedder to search the pictures themselves."),
    ] = False
    open_report: Annotated[
        bool,
        Flag(
            "search",
            "",
            "Show the report in a browser, with this search in it.",
            name="--open --open-report",
        ),
    ] = False
    models_dir: Path | None = None  # as the settings say
    out: Annotated[Path, Flag("search", "DIR", "Folder of that report.")] = REPORT_DIR


class SearchCommand(Command):
    """`search`, which takes `-tag:snow` for a condition where other commands see flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a minus sign, which the grammar knows too, for the one hyphen before a word."""
        signed = [_signed(one) for one in args]
        return super().parse_args(ctx, signed)


def _signed(argument: str) -> str:
    if argument.startswith("-") and not argument.startswith("--") and len(argument) > len("-h"):
        return "\u2212" + argument[1:]
    return argument
