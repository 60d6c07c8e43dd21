"""The flags of `run`, `estimate` and `compare` that are no settings, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from picture_captioner.cli.flags import Flags, as_typed, suggested
from picture_captioner.declaration import HOW, WHICH, WHO, declared, flag, switch
from picture_captioner.settings import MAX_TIMEOUT

_RUN = "run batch_submit"
_JOBS = "Batch jobs (half price)"
_MODEL = "A model on this machine (--backend local)"
_MANY = "Several machines (docs/scale.md)"

NAMED_PHOTOS = typer.Argument(
    None, metavar="DIR|PHOTO", help="A folder with photos, or single ones.", show_default=False
)
"""The argument of the commands that take photos as `run` does."""


@dataclass(frozen=True, kw_only=True)
class RunFlags(Flags):
    """The flags of `run` as they were given; `estimate` and `compare` have some of them."""

    prompt_file: Path | None = flag(
        "FILE", "Read the prompt from a UTF-8 text file.", WHO, on=f"{_RUN} work estimate compare"
    )
    hints: Path | None = flag(
        "FILE",
        "JSON lines with 'tags' by 'rel_path' or 'content_sha256', told to the model.",
        WHO,
        on=f"{_RUN} work estimate",
    )
    option: list[str] | None = flag(
        "NAME=VALUE",
        "An option of the backend itself (docs/api_providers.md); repeatable.",
        WHO,
        on=f"{_RUN} work batch_status batch_wait batch_collect batch_cancel estimate",
    )
    service_tier: str | None = flag(
        "TIER",
        "flex: half the price for answers that may take minutes (openai, gemini).",
        WHO,
        on="run work estimate",
    )
    extra_body: str | None = flag(
        "JSON",
        "Further fields of each request, for servers that speak OpenAI's protocol, such as "
        '\'{"provider": {"data_collection": "deny"}}\' for OpenRouter.',
        WHO,
        on=f"{_RUN} work",
    )
    files_from: str | None = flag(
        "FILE",
        "Only the photos listed in a file, one per line or NUL-separated; '-' is stdin.",
        WHICH,
        on=f"{_RUN} work estimate compare",
    )
    order: str = flag(
        "ORDER", "path, newest, oldest or random.", WHICH, default="path", on=f"{_RUN} work compare"
    )
    shard: str | None = flag(
        "I/N",
        "Only the I-th of N equal shares, for N machines that share the photos.",
        WHICH,
        on=f"{_RUN} estimate",
    )
    limit: int | None = flag("N", "Work through N photos, then stop.", WHICH, on=_RUN, least=1)
    retry_status: str | None = flag(
        "STATUS[,STATUS]",
        "Also photos with error_api, error_model or error_corrupt, or 'all' of them.",
        WHICH,
        on=f"{_RUN} work estimate",
    )
    retry_only: bool = switch(
        "Only those of --retry-status (default then: error_api,error_model).",
        WHICH,
        on=f"{_RUN} work estimate",
    )
    stale: str | None = flag(
        "WHAT[,WHAT]",
        "Also photos captioned by another 'model' or 'prompt', or whose 'content' changed.",
        WHICH,
        on=f"{_RUN} work estimate",
    )
    force: bool = switch(
        "All photos, also those done; adds lines, deletes none.", WHICH, on=f"{_RUN} work estimate"
    )
    overwrite_edits: bool = switch(
        "Also captions that a human wrote or accepted.", WHICH, on=f"{_RUN} work estimate"
    )
    since: str | None = flag(
        "TIME",
        "A record younger than this ISO 8601 time counts as done, whatever other flags say.",
        WHICH,
        on=f"{_RUN} work estimate",
    )
    restart_every: int | None = flag(
        "N",
        "End with exit code 2 after N photos if there is more to do (for run_loop.sh).",
        HOW,
        on="run",
        least=1,
    )
    dry_run: bool = switch("Open every photo, send nothing, list the broken ones.", HOW, on="run")
    no_library: bool = switch(
        "Keep no facts and thumbnails in library.db on the way.", HOW, on=f"{_RUN} work"
    )
    accept_truncated: bool = switch(
        "Caption what is left of a picture whose file ends too early; its record says 'truncated'.",
        HOW,
        on=f"{_RUN} work",
    )
    mock_error_rate: float | None = flag(
        "SHARE",
        "Let the mock backend (or a dry run) fail for this share of the photos.",
        HOW,
        on="run",
        least=0.0,
        most=1.0,
    )
    quantization: str | None = flag(
        "KIND",
        "int4, int8, none or auto (default: int4 where 16 bit would leave no room).",
        _MODEL,
        on="run work",
    )
    device: str | None = flag(
        "NAME", "cuda, mps, cpu or auto (default: the first there is).", _MODEL, on="run work"
    )
    batch_size: str | None = flag(
        "N",
        "Photos at a time, or auto (default: the largest that fits is found).",
        _MODEL,
        on="run work",
    )
    max_pixels: int | None = flag(
        "AREA",
        "Scale photos down to so many pixels; what a caption costs (default 401408).",
        _MODEL,
        on="run work",
    )
    max_new_tokens: int | None = flag(
        "N", "The longest answer (default: MAX_TOKENS, else 256).", _MODEL, on="run work", least=1
    )
    revision: str | None = flag(
        "NAME", "Branch, tag or commit of the model; a commit never changes.", _MODEL, on="run work"
    )
    in_process: bool = switch(
        "Run the model in this process, for a debugger or profiler; it then dies with it.",
        _MODEL,
        on="run work",
    )
    model_restart_every: int | None = flag(
        "N",
        "Load the model afresh after N photos, which gives leaked memory back (default 5000).",
        _MODEL,
        on="run work",
        least=1,
    )
    engine: Literal["here", "ray"] = flag(
        "NAME",
        "ray: decode, and run a local model, on the nodes of a Ray cluster; the journal and "
        "all requests to providers stay here.",
        _MANY,
        default="here",
        on="run",
    )
    ray_address: str | None = flag(
        "HOST:PORT",
        "A Ray cluster that this machine has joined, or auto (default: a Ray on this machine, "
        "for this run).",
        _MANY,
        on="run",
    )
    model_copies: int | None = flag(
        "N",
        "So many copies of the model on the cluster, several on a GPU if need be (default: one "
        "for each GPU; without any, one for each node).",
        _MANY,
        on="run",
        least=1,
    )
    batch: bool = switch(
        "At half price, by the provider's batch jobs: submit, wait up to a day, collect.",
        _JOBS,
        on="run",
    )
    min_batch: int = flag(
        "N",
        "Ask about fewer photos than that one at a time, at the usual price [10; bedrock 101].",
        _JOBS,
        default=10,
        on=_RUN,
        least=1,
    )
    job_tokens: int = flag(
        "N",
        "The most tokens that may wait in jobs, as your account's tier allows [any number].",
        _JOBS,
        default=0,
        on=_RUN,
        least=0,
    )
    to_files: Path | None = flag(
        "DIR",
        "Send nothing: write the jobs as files for 'vllm run-batch' (--backend compatible).",
        _JOBS,
        on="batch_submit",
    )
    poll: float = flag(
        "SECONDS",
        "How often to ask how far jobs are [60].",
        _JOBS,
        default=60.0,
        on="run batch_wait",
        least=0.1,
        most=MAX_TIMEOUT,
    )
    repair: str = flag(
        "HOW",
        "What to do about answers that are no caption: ask again at once, one at a time "
        "(single), or leave them for the next job (batch) [single].",
        _JOBS,
        default="single",
        on="run batch_collect",
    )
    again: frozenset[str] = frozenset()  # photos whose last answer was of no use
    named: tuple[Path, ...] = ()  # the single photos that are arguments
    below: str = ""  # the part of the photos directory that is one


_WHICH_PHOTOS = ("include", "exclude", "files_from", "shard", "prompt_file", "hints")
"""Of the flags that are no settings, those that say which photos are meant, and what is asked."""

_HOW_ASKED = ("option", "service_tier", "extra_body")
"""Those that mean something to one backend alone."""


def same_photos(flags: RunFlags, command: str, *additions: str) -> str:
    """`run` or `estimate` for the same photos, with what was given here and which that one takes.

    A price limit or an address that was left out would be missed; what was asked for once, such as
    --force, is not repeated, nor is, for another backend, what this one alone understands.
    """
    other = any(addition.startswith("--backend") for addition in additions)
    words: list[str] = []
    for name in _WHICH_PHOTOS if other else _WHICH_PHOTOS + _HOW_ASKED:
        if command in declared(RunFlags)[name].flag.on.split():
            words += as_typed(name, getattr(flags, name))
    words += map(str, flags.named)
    words += [str(flags.settings().photos_dir or "") + f"/{flags.below}"] * bool(flags.below)
    without = {"backend", "model", "base_url"} if other else ()
    return suggested(flags, command, *words, *additions, without=without)
