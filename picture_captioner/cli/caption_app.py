"""`caption.py`: caption a photo library into a journal that never loses a line.

This file parses flags, wires the parts and maps errors to exit codes (docs/exit-codes.md). What
the commands do is in `pipeline/` and `journal/`; what the flags mean is in `cli/options.py`.
Everything heavy is imported when a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import picture_captioner.cli.quiet_start  # noqa: F401 - before what takes long to load

# isort: split
import sys
from pathlib import Path
from typing import Annotated

import typer

from picture_captioner.cli import local_options as local
from picture_captioner.cli import options as flag
from picture_captioner.cli import search_options as sought
from picture_captioner.cli.execution import execute as run_app
from picture_captioner.cli.terminal import reopen_closed_streams, show

app = typer.Typer(
    name="caption",
    help="Caption a photo library into a journal that survives anything. "
    "Without a command, 'run' is meant.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
journal_app = typer.Typer(help="Look after a journal: check, compact, merge.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")
models_app = typer.Typer(help="Models on this machine: list, download.", no_args_is_help=True)
app.add_typer(models_app, name="models")


@app.command()
def run(
    photos_dir: flag.PhotosDir = None,
    captions_jsonl: flag.CaptionsJsonl = None,
    backend: flag.Backend = None,
    model: flag.Model = None,
    prompt: flag.Prompt = None,
    prompt_file: flag.PromptFile = None,
    fallback: flag.Fallback = None,
    hints: flag.HintsFile = None,
    base_url: flag.BaseUrl = None,
    local_only: flag.LocalOnly = None,
    allow_http: flag.AllowHttp = None,
    language: flag.Language = None,
    fields: flag.Fields = None,
    max_tags: flag.MaxTags = None,
    max_tokens: flag.MaxTokens = None,
    option: flag.BackendOption = None,
    include: flag.Include = None,
    exclude: flag.Exclude = None,
    files_from: flag.FilesFrom = None,
    follow_links: flag.FollowLinks = None,
    order: flag.PhotoOrder = "path",
    shard: flag.Shard = None,
    limit: flag.Limit = None,
    retry_status: flag.RetryStatus = None,
    retry_only: flag.RetryOnly = False,
    stale: flag.StaleAspects = None,
    force: flag.Force = False,
    since: flag.Since = None,
    max_workers: flag.MaxWorkers = None,
    decode_workers: flag.DecodeWorkers = None,
    timeout: flag.Timeout = None,
    max_edge: flag.MaxEdge = None,
    max_cost: flag.MaxCost = None,
    max_requests: flag.MaxRequests = None,
    max_photo_cost: flag.MaxPhotoCost = None,
    prices_file: flag.PricesFile = None,
    restart_every: flag.RestartEvery = None,
    dry_run: flag.DryRun = False,
    accept_truncated: flag.AcceptTruncated = False,
    mock_error_rate: flag.MockErrorRate = None,
    quantization: local.Quantization = None,
    device: local.Device = None,
    batch_size: local.BatchSize = None,
    max_pixels: local.MaxPixels = None,
    max_new_tokens: local.MaxNewTokens = None,
    revision: local.Revision = None,
    models_dir: flag.ModelsDir = None,
    show_setting: flag.ShowSetting = None,
) -> int:
    """Caption every photo that has no caption yet; stop and repeat at will."""
    given = dict(locals())  # first statement, so exactly the parameters
    from picture_captioner.cli.commands.compose import RunFlags
    from picture_captioner.cli.commands.run import run_captions

    return run_captions(RunFlags(**given))


@app.command()
def estimate(
    photos_dir: flag.PhotosDir = None,
    captions_jsonl: flag.CaptionsJsonl = None,
    backend: flag.Backend = None,
    model: flag.Model = None,
    prompt: flag.Prompt = None,
    prompt_file: flag.PromptFile = None,
    hints: flag.HintsFile = None,
    fields: flag.Fields = None,
    max_tags: flag.MaxTags = None,
    base_url: flag.BaseUrl = None,
    local_only: flag.LocalOnly = None,
    allow_http: flag.AllowHttp = None,
    language: flag.Language = None,
    option: flag.BackendOption = None,
    include: flag.Include = None,
    exclude: flag.Exclude = None,
    files_from: flag.FilesFrom = None,
    follow_links: flag.FollowLinks = None,
    shard: flag.Shard = None,
    retry_status: flag.RetryStatus = None,
    retry_only: flag.RetryOnly = False,
    stale: flag.StaleAspects = None,
    force: flag.Force = False,
    since: flag.Since = None,
    max_workers: flag.MaxWorkers = None,
    max_edge: flag.MaxEdge = None,
    prices_file: flag.PricesFile = None,
    as_json: flag.AsJson = False,
) -> int:
    """Say what a run would be: photos, tokens, price, time. Sends and writes nothing."""
    given = dict(locals())
    from picture_captioner.cli.commands.compose import RunFlags
    from picture_captioner.cli.commands.estimate import print_estimate

    as_json = given.pop("as_json")
    return print_estimate(RunFlags(**given), as_json=as_json)


@app.command()
def compare(
    backends: flag.ComparedBackends,
    photos_dir: flag.PhotosDir = None,
    limit: flag.ComparedPhotos = 5,
    prompt: flag.Prompt = None,
    prompt_file: flag.PromptFile = None,
    base_url: flag.BaseUrl = None,
    local_only: flag.LocalOnly = None,
    allow_http: flag.AllowHttp = None,
    language: flag.Language = None,
    include: flag.Include = None,
    exclude: flag.Exclude = None,
    files_from: flag.FilesFrom = None,
    follow_links: flag.FollowLinks = None,
    order: flag.PhotoOrder = "path",
    timeout: flag.Timeout = None,
    max_edge: flag.MaxEdge = None,
    prices_file: flag.PricesFile = None,
    models_dir: flag.ModelsDir = None,
) -> int:
    """Caption a few photos with several backends or models, side by side, as Markdown."""
    given = dict(locals())
    from picture_captioner.cli.commands.compare import print_comparison
    from picture_captioner.cli.commands.compose import RunFlags

    names, most = given.pop("backends"), given.pop("limit")
    return print_comparison(RunFlags(**given), names, most)


@app.command()
def stats(captions_jsonl: flag.CaptionsJsonl = None, as_json: flag.AsJson = False) -> int:
    """Count what is in a journal; needs no photos and can be asked during a run."""
    from picture_captioner.cli.commands.stats import print_stats

    return print_stats(captions_jsonl, as_json=as_json)


@app.command()
def search(
    query: sought.Query,
    captions_jsonl: flag.CaptionsJsonl = None,
    library_db: flag.LibraryDb = None,
    limit: sought.SearchLimit = 20,
    as_json: flag.AsJson = False,
    model: sought.EmbedderModel = None,
    captions_only: sought.CaptionsOnly = False,
    models_dir: flag.ModelsDir = None,
    open_report: sought.OpenReport = False,
    out: sought.ReportDir = sought.REPORT_DIR,
) -> int:
    """Find photos by their captions and, after a report by siglip2 or clip, by what they show."""
    given = dict(locals())
    from picture_captioner.cli.commands.search import SearchFlags, print_search

    return print_search(SearchFlags(**given))


@app.command()
def backends(as_json: flag.AsJson = False) -> int:
    """List the backends that can be named."""
    from picture_captioner.cli.commands.backends import print_backends

    return print_backends(as_json=as_json)


@journal_app.command("check")
def journal_check(captions_jsonl: flag.CaptionsJsonl = None) -> int:
    """Read every line and name the damaged ones; changes nothing."""
    from picture_captioner.cli.commands.journal import check_journal

    return check_journal(captions_jsonl)


@journal_app.command("compact")
def journal_compact(captions_jsonl: flag.CaptionsJsonl = None) -> int:
    """Drop superseded lines; every caption and every cent stays accounted for."""
    from picture_captioner.cli.commands.journal import compact_journal

    return compact_journal(captions_jsonl)


@journal_app.command("recheck")
def journal_recheck(
    captions_jsonl: flag.CaptionsJsonl = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="List them, and withdraw nothing.")
    ] = False,
) -> int:
    """Withdraw captions that would not be accepted today (refusals, ...); deletes nothing."""
    from picture_captioner.cli.commands.journal import recheck_journal

    return recheck_journal(captions_jsonl, dry_run=dry_run)


@journal_app.command("merge")
def journal_merge(
    other: Annotated[Path, typer.Argument(help="The journal to bring in.")],
    captions_jsonl: flag.CaptionsJsonl = None,
) -> int:
    """Bring another machine's journal into this one; the other file is only read."""
    from picture_captioner.cli.commands.journal import merge_journal

    return merge_journal(captions_jsonl, other)


@models_app.command("list")
def models_list(models_dir: flag.ModelsDir = None, as_json: flag.AsJson = False) -> int:
    """List the models that can be named, their size and licence, and where they are."""
    from picture_captioner.cli.commands.models import print_models

    return print_models(models_dir, as_json=as_json)


@models_app.command("path")
def models_path(
    name: Annotated[str, typer.Argument(help="A model of the list, or OWNER/NAME.")],
    models_dir: flag.ModelsDir = None,
) -> int:
    """Print where a model is."""
    from picture_captioner.cli.commands.models import print_path

    return print_path(name, models_dir)


@models_app.command("download")
def models_download(
    names: Annotated[list[str], typer.Argument(help="Models of the list, or OWNER/NAME.")],
    models_dir: flag.ModelsDir = None,
) -> int:
    """Fetch models, verified, into their cache or --models-dir; goes on where it was stopped."""
    from picture_captioner.cli.commands.models import download_models

    return download_models(names, models_dir)


@models_app.command("remove")
def models_remove(
    names: Annotated[list[str], typer.Argument(help="Models of the list, or OWNER/NAME.")],
    models_dir: flag.ModelsDir = None,
) -> int:
    """Delete models from this machine."""
    from picture_captioner.cli.commands.models import remove_models

    return remove_models(names, models_dir)


@app.callback(invoke_without_command=True)
def version(
    show_version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Print the version and exit.", is_eager=True),
    ] = False,
) -> None:
    """Options that need no command."""
    if show_version:
        from importlib.metadata import version as installed

        show(installed("picture-captioner-clusterer-chunker"))
        raise typer.Exit


def with_default_command(arguments: list[str]) -> list[str]:
    """`caption.py --backend mock` means `caption.py run --backend mock`."""
    own = {"--help", "-h", "--version"}
    if arguments and arguments[0].startswith("-") and arguments[0] not in own:
        return ["run", *arguments]
    return arguments


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return run_app(app, with_default_command(arguments))


def main() -> None:
    """Entry point of the `caption` script."""
    reopen_closed_streams()
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()
