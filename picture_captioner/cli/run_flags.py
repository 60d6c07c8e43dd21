"""The flags of `run`, `estimate` and `compare` that are no settings, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from picture_captioner.cli.flags import Flags
from picture_captioner.declaration import HOW, WHICH, WHO, Flag

_RUN = "run batch_submit"
_JOBS = "Batch jobs (half price)"
_MODEL = "A model on this machine (--backend local)"
_MANY = "Several machines (docs/scale.md)"


@dataclass(frozen=True, kw_only=True)
class RunFlags(Flags):
    """The flags of `run` as they were given; `estimate` and `compare` have some of them."""

    prompt_file: Annotated[
        Path | None,
        Flag(
            f"{_RUN} work estimate compare", "FILE", "Read the prompt from a UTF-8 text file.", WHO
        ),
    ] = None
    hints: Annotated[
        Path | None,
        Flag(
            f"{_RUN} work estimate",
            "FILE",
            "JSON lines with 'tags' by 'rel_path' or 'content_sha256', told to the model.",
            WHO,
        ),
    ] = None
    option: Annotated[
        list[str] | None,
        Flag(
            f"{_RUN} work batch_status batch_wait batch_collect batch_cancel estimate",
            "NAME=VALUE",
            "An option of the backend itself; repeatable.",
            WHO,
        ),
    ] = None
    service_tier: Annotated[
        str | None,
        Flag(
            "run work estimate",
            "TIER",
            "flex: half the price for answers that may take minutes (openai, gemini).",
            WHO,
        ),
    ] = None
    extra_body: Annotated[
        str | None,
        Flag(
            f"{_RUN} work",
            "JSON",
            "Further fields of each request, for servers that speak OpenAI's protocol, such as "
            '\'{"provider": {"data_collection": "deny"}}\' for OpenRouter.',
            WHO,
        ),
    ] = None
    include: Annotated[
        list[str] | None,
        Flag(
            f"{_RUN} work estimate compare",
            "PATTERN",
            "Only photos that match, such as '2023/**' or '*.heic'; repeatable.",
            WHICH,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        Flag(
            f"{_RUN} work estimate compare",
            "PATTERN",
            "Not photos that match; wins over --include; repeatable.",
            WHICH,
        ),
    ] = None
    files_from: Annotated[
        str | None,
        Flag(
            f"{_RUN} work estimate compare",
            "FILE",
            "Only the photos listed in a file, one per line or NUL-separated; '-' is stdin.",
            WHICH,
        ),
    ] = None
    order: Annotated[
        str, Flag(f"{_RUN} work compare", "ORDER", "path, newest, oldest or random.", WHICH)
    ] = "path"
    shard: Annotated[
        str | None,
        Flag(
            f"{_RUN} estimate",
            "I/N",
            "Only the I-th of N equal shares, for N machines that share the photos.",
            WHICH,
        ),
    ] = None
    limit: Annotated[
        int | None, Flag(_RUN, "N", "Work through N photos, then stop.", WHICH, least=1)
    ] = None
    retry_status: Annotated[
        str | None,
        Flag(
            f"{_RUN} estimate",
            "STATUS[,STATUS]",
            "Also photos with error_api, error_model or error_corrupt, or 'all' of them.",
            WHICH,
        ),
    ] = None
    retry_only: Annotated[
        bool,
        Flag(
            f"{_RUN} estimate",
            "",
            "Only those of --retry-status (default then: error_api,error_model).",
            WHICH,
        ),
    ] = False
    stale: Annotated[
        str | None,
        Flag(
            f"{_RUN} estimate",
            "WHAT[,WHAT]",
            "Also photos captioned by another 'model' or 'prompt', or whose 'content' changed.",
            WHICH,
        ),
    ] = None
    force: Annotated[
        bool,
        Flag(
            f"{_RUN} estimate", "", "All photos, also those done; adds lines, deletes none.", WHICH
        ),
    ] = False
    overwrite_edits: Annotated[
        bool, Flag(f"{_RUN} estimate", "", "Also captions that a human wrote or accepted.", WHICH)
    ] = False
    since: Annotated[
        str | None,
        Flag(
            f"{_RUN} estimate",
            "TIME",
            "A record younger than this ISO 8601 time counts as done, whatever other flags say.",
            WHICH,
        ),
    ] = None
    restart_every: Annotated[
        int | None,
        Flag(
            "run",
            "N",
            "End with exit code 2 after N photos if there is more to do (for run_loop.sh).",
            HOW,
            least=1,
        ),
    ] = None
    dry_run: Annotated[
        bool, Flag("run", "", "Open every photo, send nothing, list the broken ones.", HOW)
    ] = False
    no_library: Annotated[
        bool,
        Flag(f"{_RUN} work", "", "Keep no facts and thumbnails in library.db on the way.", HOW),
    ] = False
    accept_truncated: Annotated[
        bool,
        Flag(
            f"{_RUN} work",
            "",
            "Caption what is left of a picture whose file ends too early; its record says "
            "'truncated'.",
            HOW,
        ),
    ] = False
    mock_error_rate: Annotated[
        float | None,
        Flag(
            "run",
            "SHARE",
            "Let the mock backend (or a dry run) fail for this share of the photos.",
            HOW,
            least=0.0,
            most=1.0,
        ),
    ] = None
    quantization: Annotated[
        str | None,
        Flag(
            "run work",
            "KIND",
            "int4, int8, none or auto (default: int4 where 16 bit would leave no room).",
            _MODEL,
        ),
    ] = None
    device: Annotated[
        str | None,
        Flag("run work", "NAME", "cuda, mps, cpu or auto (default: the first there is).", _MODEL),
    ] = None
    batch_size: Annotated[
        str | None,
        Flag(
            "run work",
            "N",
            "Photos at a time, or auto (default: the largest that fits is found).",
            _MODEL,
        ),
    ] = None
    max_pixels: Annotated[
        int | None,
        Flag(
            "run work",
            "AREA",
            "Scale photos down to so many pixels; what a caption costs (default 401408).",
            _MODEL,
        ),
    ] = None
    max_new_tokens: Annotated[
        int | None,
        Flag(
            "run work", "N", "The longest answer (default: MAX_TOKENS, else 256).", _MODEL, least=1
        ),
    ] = None
    revision: Annotated[
        str | None,
        Flag(
            "run work",
            "NAME",
            "Branch, tag or commit of the model; a commit never changes.",
            _MODEL,
        ),
    ] = None
    in_process: Annotated[
        bool,
        Flag(
            "run work",
            "",
            "Run the model in this process, for a debugger or profiler; it then dies with it.",
            _MODEL,
        ),
    ] = False
    model_restart_every: Annotated[
        int | None,
        Flag(
            "run work",
            "N",
            "Load the model afresh after N photos, which gives leaked memory back (default 5000).",
            _MODEL,
            least=1,
        ),
    ] = None
    engine: Annotated[
        Literal["here", "ray"],
        Flag(
            "run",
            "NAME",
            "ray: decode, and run a local model, on the nodes of a Ray cluster; the journal and "
            "all requests to providers stay here.",
            _MANY,
        ),
    ] = "here"
    ray_address: Annotated[
        str | None,
        Flag(
            "run",
            "HOST:PORT",
            "A Ray cluster that this machine has joined, or auto (default: a Ray on this machine, "
            "for this run).",
            _MANY,
        ),
    ] = None
    model_copies: Annotated[
        int | None,
        Flag(
            "run",
            "N",
            "So many copies of the model on the cluster, several on a GPU if need be (default: one "
            "for each GPU; without any, one for each node).",
            _MANY,
            least=1,
        ),
    ] = None
    batch: Annotated[
        bool,
        Flag(
            "run",
            "",
            "At half price, by the provider's batch jobs: submit, wait up to a day, collect.",
            _JOBS,
        ),
    ] = False
    min_batch: Annotated[
        int,
        Flag(
            _RUN,
            "N",
            "Ask about fewer photos than that one at a time, at the usual price [10; bedrock 101].",
            _JOBS,
            least=1,
        ),
    ] = 10
    job_tokens: Annotated[
        int,
        Flag(
            _RUN,
            "N",
            "The most tokens that may wait in jobs, as your account's tier allows [any number].",
            _JOBS,
            least=0,
        ),
    ] = 0
    to_files: Annotated[
        Path | None,
        Flag(
            "batch_submit",
            "DIR",
            "Send nothing: write the jobs as files for 'vllm run-batch' (--backend compatible).",
            _JOBS,
        ),
    ] = None
    poll: Annotated[
        float,
        Flag(
            "run batch_wait", "SECONDS", "How often to ask how far jobs are [60].", _JOBS, least=0.1
        ),
    ] = 60.0
    repair: Annotated[
        str,
        Flag(
            "run batch_collect",
            "HOW",
            "What to do about answers that are no caption: ask again at once, one at a time "
            "(single), or leave them for the next job (batch) [single].",
            _JOBS,
        ),
    ] = "single"
    again: frozenset[str] = frozenset()  # photos whose last answer was of no use
    named: tuple[Path, ...] = ()  # the single photos that are arguments
    as_json: bool = False
