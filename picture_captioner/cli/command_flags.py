"""The flags of commands other than `run` that are no settings, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from picture_captioner.cli.flags import Command, Flags
from picture_captioner.declaration import HOW, WHERE, WHICH, flag, switch

REPORT_DIR = Path("report_out")
"""Where a report is written to, and looked for."""

LISTED = 20
"""How many photos are listed where no limit is given; `--paths0` gives all."""

_Several: TypeAlias = list[str] | None
_CLUSTERS = "Clusters"
_OUTPUT = "Output"


@dataclass(frozen=True, kw_only=True)
class SearchFlags(Flags):
    """The flags of `search` as they were given."""

    person: _Several = flag("NAME", "Photos that show somebody.", WHICH)
    place: _Several = flag("NAME", "Taken in a town or country.", WHICH)
    from_: str | None = flag(
        "DATE", "Taken since: 2019, 2019-06, 2019-06-30.", WHICH, name="--from"
    )
    to: str | None = flag("DATE", "Taken until, that included.", WHICH)
    tag: _Several = flag("TAG", "With a tag.", WHICH)
    text: _Several = flag("TEXT", "With this written in it.", WHICH)
    camera: _Several = flag("NAME", "By a camera: a part of its name.", WHICH)
    has: _Several = flag("WHAT", "With a caption, face, person, place, tag, text, time, ...", WHICH)
    status: _Several = flag("STATUS", "Whose last attempt ended so, or 'pending'.", WHICH)
    similar: _Several = flag("PATH", "That look like a photo of the library.", WHICH)
    not_: _Several = flag("WORDS", "Without these words or conditions.", WHICH, name="--not")
    limit: int | None = flag("N", f"Print at most N photos [{LISTED}; with --paths0 all].", least=1)
    sort: Literal["relevance", "date"] | None = flag(
        "ORDER", "relevance, or date (the newest first) [date without words]."
    )
    all_: bool = switch("Also near-duplicates of what is shown.", name="--all")
    paths0: bool = switch("Print whole paths, a zero byte after each, for 'xargs -0'.")
    model: str | None = flag(
        "NAME", "Model of the report's embedder, if it was not the default: a name or a folder."
    )
    captions_only: bool = switch(
        "Do not load the report's embedder to search the pictures themselves."
    )
    open_report: bool = switch(
        "Show the report in a browser, with this search in it.", name="--open --open-report"
    )
    models_dir: Path | None = None  # as the settings say
    out: Path = flag("DIR", "Folder of that report.", default=REPORT_DIR)


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


@dataclass(frozen=True, kw_only=True)
class ProcessFlags(Flags):
    """The flags of `process` as they were given; `status` has some of them."""

    stage: list[str] | None = flag(
        "NAME", "Only this stage and those it needs; repeatable.", WHICH, on="process"
    )
    limit: int | None = flag(
        "N", "Open N photos, then stop.", WHICH, on="process read people_scan", least=1
    )
    force: bool = switch("Also what is done or failed.", WHICH, on="process read people_scan")
    dry_run: bool = switch(
        "Say what is to do, and open no photo.", HOW, on="process read people_scan"
    )


@dataclass(frozen=True, kw_only=True)
class ReportFlags(Flags):
    """The flags of `cluster_report.py` as they were given."""

    no_photos: bool = switch("Use the journal alone.", WHERE)
    embedder: str = flag(
        "NAME",
        "What tells photos apart: auto, siglip2, clip, onnx, caption, pixels.",
        _CLUSTERS,
        default="auto",
    )
    model: str | None = flag(
        "NAME", "The embedder's model: a name or a folder (default: the embedder's own).", _CLUSTERS
    )
    device: str = flag("NAME", "auto, cpu, cuda, mps.", _CLUSTERS, default="auto")
    download: bool = switch("Let the embedder fetch its model, once.", _CLUSTERS)
    models_dir: Path | None = None  # as the settings say
    min_cluster_size: int | None = flag(
        "N",
        "Photos in the smallest cluster (default: a third of the root of their "
        "number, at least 5; 2 of fewer than 30).",
        _CLUSTERS,
        least=2,
    )
    seed: int = flag(
        "N",
        "Same photos, same seed, same clusters.",
        _CLUSTERS,
        default=42,
        least=0,
        most=2**32 - 1,
    )
    fast: bool = switch("Use all cores; the next run may then cluster differently.", _CLUSTERS)
    engine: str = flag(
        "NAME",
        "umap-hdbscan, or none for events and duplicates alone.",
        _CLUSTERS,
        default="umap-hdbscan",
    )
    assign: bool = switch(
        "Keep the clusters of the earlier report; put new photos into them.", _CLUSTERS
    )
    reassign_noise: bool = switch("Give photos that are in no cluster the nearest one.", _CLUSTERS)
    vocabulary: Path | None = flag(
        "FILE", "Terms, one a line, for photos without a caption (siglip2 and clip).", _CLUSTERS
    )
    out: Path = flag("DIR", "Folder for the report; made if need be.", _OUTPUT, default=REPORT_DIR)
    no_people: bool = switch("Leave out who is on the photos, and all faces.", _OUTPUT)
    excel: bool = switch("Begin the CSV with the mark by which Excel knows UTF-8.", _OUTPUT)


@dataclass(frozen=True, kw_only=True)
class TagFlags(Flags):
    """The flags of `tag` as they were given."""

    taxonomy: Path | None = flag(
        "FILE", "What to look for, in place of the package's taxonomy.toml.", WHICH
    )
    model: str | None = flag("NAME", "The model, or its folder, that made the vectors.", HOW)
    nouns: bool = switch("Also by 8,588 nouns; reading them takes minutes, once a model.", WHICH)
    faces: bool = switch(
        "Experiment: also emotion, expression and gaze of faces that 'people scan' found.", WHICH
    )
    min_confidence: float = flag(
        "0-1",
        "No tag that is less sure, whatever the taxonomy takes.",
        WHICH,
        default=0.0,
        least=0.0,
        most=1.0,
        show_default="0",
    )
    force: bool = switch("Also photos whose tags are up to date.", WHICH)


@dataclass(frozen=True, kw_only=True)
class WriteFlags(Flags):
    """The flags of `write` as they were given."""

    to: str = flag(
        "WHERE",
        "sidecar; embedded: into the photos themselves, by exiftool; or both.",
        HOW,
        default="sidecar",
    )
    keep_times: bool = switch("Photos that are written into keep their file's times.", HOW)
    reader: str | None = flag(
        "PROGRAM",
        "Name the sidecars for immich, digikam, darktable, lightroom or photoprism.",
        HOW,
        name="--for",
    )
    fields: str = flag(
        "FIELD[,FIELD]",
        "What to write: description, title, keywords, alt, people, text.",
        HOW,
        default="description,title,keywords,alt,people",
    )
    conflict: str = flag(
        "HOW",
        "Where somebody wrote a description: keep it, append ours to it, or ask.",
        HOW,
        default="keep",
    )
    since: str | None = flag("TIME", "Only captions younger than this ISO 8601 time.", WHICH)
    only_new: bool = switch("Only photos that nothing was written for yet.", WHICH)
    dry_run: bool = switch("Show what would change, and change nothing.")
