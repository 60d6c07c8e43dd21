"""The flags of `caption.py`, each described once.

Flags that are also settings default to None here: a flag that was not given leaves the value to
the environment, config.env or the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_WHERE = "Where"
_WHO = "Who captions"
_WHICH = "Which photos"
_HOW = "How"

PhotosDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder with the photos [PHOTOS_DIR].",
        rich_help_panel=_WHERE,
        readable=False,  # asked for when it is opened: access lists may allow what bits forbid
    ),
]
CaptionsJsonl: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The journal, one line per photo [CAPTIONS_JSONL; default captions.jsonl].",
        rich_help_panel=_WHERE,
    ),
]
LibraryDb: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What is known besides captions [LIBRARY_DB; default library.db beside the journal].",
        rich_help_panel=_WHERE,
    ),
]
ModelsDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder with model files, looked into before the caches [MODELS_DIR].",
        rich_help_panel=_WHERE,
    ),
]
Backend: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Who writes the captions, see 'backends' [BACKEND; default template].",
        rich_help_panel=_WHO,
    ),
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Model name [MODEL; default: the backend's].", rich_help_panel=_WHO
    ),
]
Prompt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", help="What to ask about each photo [PROMPT].", rich_help_panel=_WHO
    ),
]
PromptFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Read the prompt from a UTF-8 text file.", rich_help_panel=_WHO
    ),
]
BackendOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the backend itself; repeatable.",
        rich_help_panel=_WHO,
    ),
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of this backend, for a proxy or a server of your own [OPENAI_BASE_URL for "
        "openai, OLLAMA_BASE_URL for ollama, and so on].",
        rich_help_panel=_WHO,
    ),
]
Fallback: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BACKEND[:MODEL]",
        help="Who is asked about photos that the backend cannot caption; repeatable, in that "
        "order; @URL at the end for another address [FALLBACK].",
        rich_help_panel=_WHO,
    ),
]
HintsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--hints",
        metavar="FILE",
        help="JSON lines with 'tags' by 'rel_path' or 'content_sha256', told to the model.",
        rich_help_panel=_WHO,
    ),
]
Language: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Language of the captions [LANGUAGE].", rich_help_panel=_WHO),
]
Fields: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD[,FIELD]",
        help="What to write down: caption, title, tags, summary, or 'full' for these and more "
        "[FIELDS; default caption].",
        rich_help_panel=_WHO,
    ),
]
MaxTags: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=50,
        metavar="N",
        help="At most N tags a photo [MAX_TAGS; default: 3 to 5].",
        rich_help_panel=_WHO,
    ),
]
MaxTokens: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Longest answer, in tokens [MAX_TOKENS; default: what the fields need].",
        rich_help_panel=_WHO,
    ),
]
LocalOnly: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--local-only",
        metavar="",
        help="Refuse any address that is not this machine [LOCAL_ONLY].",
        rich_help_panel=_WHO,
    ),
]
AllowHttp: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--allow-http",
        metavar="",
        help="Allow plain http to another machine; anybody between can see it [ALLOW_HTTP].",
        rich_help_panel=_WHO,
    ),
]
Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Wait so long for an answer [TIMEOUT; default: the backend's].",
        rich_help_panel=_HOW,
    ),
]
MaxEdge: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        help="Longer side of what the backend sees [MAX_EDGE; default: the backend's].",
        rich_help_panel=_HOW,
    ),
]
MaxCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        help="Stop when this journal has cost so much, all runs together [MAX_COST].",
        rich_help_panel=_HOW,
    ),
]
MaxRequests: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Stop when this journal has taken so many requests [MAX_REQUESTS].",
        rich_help_panel=_HOW,
    ),
]
MaxPhotoCost: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        help="Stop at a photo that bills more [MAX_PHOTO_COST; default: 5 times its estimate].",
        rich_help_panel=_HOW,
    ),
]
PricesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSON with prices that win over the maintained ones [PRICES_FILE].",
        rich_help_panel=_HOW,
    ),
]
MaxWorkers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Requests at a time [MAX_WORKERS; default: the backend's].",
        rich_help_panel=_HOW,
    ),
]
DecodeWorkers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Processes that decode photos [DECODE_WORKERS; default: one per core].",
        rich_help_panel=_HOW,
    ),
]
Include: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Only photos that match, such as '2023/**' or '*.heic'; repeatable.",
        rich_help_panel=_WHICH,
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Not photos that match; wins over --include; repeatable.",
        rich_help_panel=_WHICH,
    ),
]
FilesFrom: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Only the photos listed in a file, one per line or NUL-separated; '-' is stdin.",
        rich_help_panel=_WHICH,
    ),
]
FollowLinks: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--follow-links",
        metavar="",
        help="Also what is behind links that lead out of the photos folder [FOLLOW_LINKS].",
        rich_help_panel=_WHICH,
    ),
]
PhotoOrder: TypeAlias = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="ORDER",
        help="path, newest, oldest or random.",
        rich_help_panel=_WHICH,
    ),
]
Shard: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Only the I-th of N equal shares, for N machines that share the photos.",
        rich_help_panel=_WHICH,
    ),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Work through N photos, then stop.", rich_help_panel=_WHICH
    ),
]
RetryStatus: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="STATUS[,STATUS]",
        help="Also photos with error_api, error_model or error_corrupt, or 'all' of them.",
        rich_help_panel=_WHICH,
    ),
]
RetryOnly: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--retry-only",
        metavar="",
        help="Only those of --retry-status (default then: error_api,error_model).",
        rich_help_panel=_WHICH,
    ),
]
StaleAspects: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--stale",
        metavar="WHAT[,WHAT]",
        help="Also photos captioned by another 'model' or 'prompt', or whose 'content' changed.",
        rich_help_panel=_WHICH,
    ),
]
Force: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--force",
        metavar="",
        help="All photos, also those done; adds lines, deletes none.",
        rich_help_panel=_WHICH,
    ),
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="A record younger than this ISO 8601 time counts as done, whatever other flags say.",
        rich_help_panel=_WHICH,
    ),
]
RestartEvery: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="End with exit code 2 after N photos if there is more to do (for run_loop.sh).",
        rich_help_panel=_HOW,
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Open every photo, send nothing, list the broken ones.",
        rich_help_panel=_HOW,
    ),
]
AcceptTruncated: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-truncated",
        metavar="",
        help="Caption what is left of a picture whose file ends too early; its record says "
        "'truncated'.",
        rich_help_panel=_HOW,
    ),
]
MockErrorRate: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Let the mock backend (or a dry run) fail for this share of the photos.",
        rich_help_panel=_HOW,
    ),
]
ShowSetting: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Print one setting as this run would use it, and do nothing else: "
        "backend, model, extra, captions_jsonl, photos_dir.",
        rich_help_panel=_HOW,
    ),
]
ComparedBackends: TypeAlias = Annotated[
    str,
    typer.Option(
        "--backends",
        metavar="NAME[:MODEL],...",
        help="Who captions them, such as 'template,ollama:qwen2.5vl:3b,openai'; @URL at the end "
        "of one for another address.",
        rich_help_panel=_WHO,
    ),
]
ComparedPhotos: TypeAlias = Annotated[
    int,
    typer.Option("--limit", min=1, metavar="N", help="How many photos.", rich_help_panel=_WHICH),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]
