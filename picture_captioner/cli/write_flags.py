"""The flags of `write`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from picture_captioner.cli.flags import Flags
from picture_captioner.declaration import HOW, WHICH, Flag


@dataclass(frozen=True, kw_only=True)
class WriteFlags(Flags):
    """The flags of `write` as they were given."""

    to: Annotated[
        str,
        Flag(
            "write",
            "WHERE",
            "sidecar; embedded: into the photos themselves, by exiftool; or both.",
            HOW,
        ),
    ] = "sidecar"
    keep_times: Annotated[
        bool, Flag("write", "", "Photos that are written into keep their file's times.", HOW)
    ] = False
    reader: Annotated[
        str | None,
        Flag(
            "write",
            "PROGRAM",
            "Name the sidecars for immich, digikam, darktable, lightroom or photoprism.",
            HOW,
            name="--for",
        ),
    ] = None
    fields: Annotated[
        str,
        Flag(
            "write",
            "FIELD[,FIELD]",
            "What to write: description, title, keywords, alt, people, text.",
            HOW,
        ),
    ] = "description,title,keywords,alt,people"
    conflict: Annotated[
        str,
        Flag(
            "write",
            "HOW",
            "Where somebody wrote a description: keep it, append ours to it, or ask.",
            HOW,
        ),
    ] = "keep"
    include: Annotated[
        list[str] | None, Flag("write", "PATTERN", "Only photos that match; repeatable.", WHICH)
    ] = None
    exclude: Annotated[
        list[str] | None, Flag("write", "PATTERN", "Not photos that match; repeatable.", WHICH)
    ] = None
    since: Annotated[
        str | None, Flag("write", "TIME", "Only captions younger than this ISO 8601 time.", WHICH)
    ] = None
    only_new: Annotated[
        bool, Flag("write", "", "Only photos that nothing was written for yet.", WHICH)
    ] = False
    dry_run: Annotated[bool, Flag("write", "", "Show what would change, and change nothing.")] = (
        False
    )
    as_json: Annotated[bool, Flag("write", "", "Print JSON.", name="--json")] = False
