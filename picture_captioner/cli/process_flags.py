"""The flags of `process` and `status` that are no settings, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from picture_captioner.cli.flags import Flags
from picture_captioner.declaration import HOW, WHICH, Flag


@dataclass(frozen=True, kw_only=True)
class ProcessFlags(Flags):
    """The flags of `process` as they were given; `status` has some of them."""

    stage: Annotated[
        list[str] | None,
        Flag("process", "NAME", "Only this stage and those it needs; repeatable.", WHICH),
    ] = None
    include: Annotated[
        list[str] | None,
        Flag(
            "process read status people_scan",
            "PATTERN",
            "Only photos that match, such as '2023/**' or '*.heic'; repeatable.",
            WHICH,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        Flag(
            "process read status people_scan",
            "PATTERN",
            "Not photos that match; wins over --include; repeatable.",
            WHICH,
        ),
    ] = None
    limit: Annotated[
        int | None,
        Flag("process read people_scan", "N", "Open N photos, then stop.", WHICH, least=1),
    ] = None
    force: Annotated[
        bool, Flag("process read people_scan", "", "Also what is done or failed.", WHICH)
    ] = False
    dry_run: Annotated[
        bool, Flag("process read people_scan", "", "Say what is to do, and open no photo.", HOW)
    ] = False
