"""`caption.py`: caption a photo library into a journal that never loses a line.

This file names the commands; errors become exit codes in `execution.py` (docs/exit-codes.md). What
the commands do is in `commands/`. Settings are declared in `settings.py`, the flags of several
commands in `run_flags.py` and `command_flags.py`, a command's own here. Everything heavy is
imported when a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import picture_captioner.cli.quiet_start  # noqa: F401 - before what takes long to load

# isort: split
import sys
from dataclasses import replace
from pathlib import Path

import typer

from picture_captioner.cli.command_flags import (
    REPORT_DIR,
    ProcessFlags,
    SearchCommand,
    SearchFlags,
    TagFlags,
    WriteFlags,
)
from picture_captioner.cli.command_groups import (
    batch_app,
    journal_app,
    library_app,
    models_app,
    tags_app,
)
from picture_captioner.cli.execution import execute as run_app
from picture_captioner.cli.flags import App, Flags, Version
from picture_captioner.cli.people_app import maintain_app, people_app
from picture_captioner.cli.run_flags import NAMED_PHOTOS, RunFlags
from picture_captioner.cli.terminal import reopen_closed_streams
from picture_captioner.declaration import HOW, WHICH, WHO, flag, switch
from picture_captioner.settings import MAX_TIMEOUT

CAPTIONS, FINDING, OTHERS = "Captions", "Finding photos", "Other programs"
UPKEEP, MACHINES = "Set-up and upkeep", "Several machines (docs/scale.md)"

app = App(
    name="caption",
    help="Caption a photo library into a journal that survives anything; cluster_report.py makes "
    "a page of it. Flags without a command are those of 'run'.",
    no_args_is_help=True,
)
app.add_typer(journal_app, name="journal", rich_help_panel=CAPTIONS)
app.add_typer(models_app, name="models", rich_help_panel=UPKEEP)
app.add_typer(library_app, name="library", rich_help_panel=MACHINES)
app.add_typer(batch_app, name="batch", rich_help_panel=CAPTIONS)
app.add_typer(people_app, name="people", rich_help_panel=FINDING)
app.add_typer(tags_app, name="tags", rich_help_panel=FINDING)
app.add_typer(maintain_app, name="maintain", rich_help_panel=UPKEEP)

PROCESSED_PATH = typer.Argument(
    None, metavar="PATH", help="A folder or a photo; default: all photos."
)


@app.command(panel=CAPTIONS)
def run(flags: RunFlags, photos: list[str] | None = NAMED_PHOTOS) -> int:
    """Caption every photo that has no caption yet; stop and repeat at will."""
    from picture_captioner.cli.commands.photos import with_named_photos
    from picture_captioner.cli.commands.run import run_captions

    return run_captions(with_named_photos(flags, photos or []))


@app.command(panel=CAPTIONS)
def estimate(
    flags: RunFlags,
    photos: list[str] | None = NAMED_PHOTOS,
    trial: int | None = flag(
        "N",
        "Caption N photos now and go by how long that takes; nothing is recorded, but a "
        "service bills it.",
        HOW,
        least=1,
    ),
) -> int:
    """Say what a run would be: photos, tokens, price, time. Sends and writes nothing unasked."""
    from picture_captioner.cli.commands.estimate import print_estimate
    from picture_captioner.cli.commands.photos import with_named_photos

    return print_estimate(with_named_photos(flags, photos or []), trial=trial)


@app.command(panel=CAPTIONS)
def compare(
    flags: RunFlags,
    photos: list[str] | None = NAMED_PHOTOS,
    backends: str = typer.Option(
        metavar="NAME[:MODEL],...",
        help="Who captions them, such as 'template,ollama:qwen2.5vl:3b,openai'; @URL at the "
        "end of one for another address.",
        rich_help_panel=WHO,
    ),
    limit: int = flag("N", "How many photos.", WHICH, default=5, least=1),
) -> int:
    """Caption a few photos with several backends or models, side by side, as Markdown."""
    from picture_captioner.cli.commands.compare import print_comparison
    from picture_captioner.cli.commands.photos import with_named_photos

    return print_comparison(with_named_photos(flags, photos or []), backends, limit)


@app.command(panel=CAPTIONS)
def stats(flags: Flags) -> int:
    """Count what is in a journal; needs no photos and can be asked during a run."""
    from picture_captioner.cli.commands.stats import print_stats

    return print_stats(flags)


@app.command(cls=SearchCommand, panel=FINDING)
def search(
    flags: SearchFlags,
    query: list[str] | None = typer.Argument(
        None,
        help="Words; '\"as they stand\"'; person:, place:, tag:, text:, camera:, has:, "
        "status:, similar:NAME; 2019-06..2019-09; -word or -tag:NAME for photos without it.",
        metavar="WORDS",
    ),
) -> int:
    """Find photos by words, people, places, days, tags, text in them, and by what they show."""
    from picture_captioner.cli.commands.search import print_search

    return print_search(flags, query or [])


@app.command(panel=UPKEEP)
def forget(
    flags: Flags,
    paths: list[str] | None = typer.Argument(
        None,
        help="Photos or folders, as the journal names them or as they lie in the photos directory.",
        metavar="PATH",
    ),
    gone: bool = switch("Forget every photo that is not there any more."),
    out: Path = flag("DIR", "Folder of the report.", default=REPORT_DIR),
    dry_run: bool = switch("List them, and forget nothing."),
) -> int:
    """Take photos out of journal, jobs, log, library.db and report, for good."""
    from picture_captioner.cli.commands.forget import forget_photos

    return forget_photos(flags, paths or [], gone=gone, out=out, dry_run=dry_run)


@app.command(panel=FINDING)
def process(flags: ProcessFlags, path: Path | None = PROCESSED_PATH) -> int:
    """Compute what library.db lacks: facts, thumbnails, vectors; stop and repeat at will."""
    from picture_captioner.cli.commands.process import run_stages

    return run_stages(flags, path)


@app.command(panel=FINDING)
def read(flags: ProcessFlags, path: Path | None = PROCESSED_PATH) -> int:
    """Read what is written in photos, on this machine; 'search' finds it then."""
    from picture_captioner.cli.commands.process import run_stages

    return run_stages(replace(flags, stage=["text"]), path)


@app.command(panel=FINDING)
def tag(flags: TagFlags) -> int:
    """Give photos tags from the vectors that library.db has of them (siglip2, clip, onnx)."""
    from picture_captioner.cli.commands.tag import tag_photos

    return tag_photos(flags)


@app.command(panel=FINDING)
def status(flags: ProcessFlags, path: Path | None = PROCESSED_PATH) -> int:
    """Say of each stage how many photos are done, failed, stale and pending, and the time left."""
    from picture_captioner.cli.commands.process import print_status

    return print_status(flags, path)


@app.command(panel=OTHERS)
def write(
    flags: WriteFlags,
    query: list[str] | None = typer.Argument(
        None, help="Only photos that 'search' would find so; none: all.", metavar="WORDS"
    ),
) -> int:
    """Write captions, keywords and people into sidecars beside the photos, for other programs."""
    from picture_captioner.cli.commands.write import write_words

    return write_words(flags, query or [])


@app.command(panel=OTHERS)
def export(
    flags: Flags,
    form: str = flag(
        "FORMAT", "jsonl, or csv for a spreadsheet.", name="--format", default="jsonl"
    ),
    out: Path | None = flag("FILE", "Where to; lines that are there are not repeated."),
    only: str = flag("GROUP[,GROUP]", "caption, metadata, embedding.", default=""),
    embeddings: bool = switch("Also a vector of each picture."),
) -> int:
    """Write what is known of each photo, a line each; as CSV, captions alone."""
    from picture_captioner.cli.commands.edits import export_photos

    return export_photos(flags, form=form, out=out, only=only, embeddings=embeddings)


@app.command("import", panel=OTHERS)
def import_(
    flags: Flags,
    file: Path = typer.Argument(help="A CSV or JSON Lines file that 'export' wrote."),
    dry_run: bool = switch("List the changes, and make none."),
) -> int:
    """Take over captions, titles and tags that were edited; no later run replaces them."""
    from picture_captioner.cli.commands.edits import import_edits

    return import_edits(flags, file, dry_run=dry_run)


@app.command(panel=CAPTIONS)
def accept(flags: Flags, photos: list[str] = typer.Argument(metavar="PHOTO")) -> int:
    """Keep captions as they are: no later run replaces them."""
    from picture_captioner.cli.commands.edits import accept_captions

    return accept_captions(flags, photos)


@app.command(panel=CAPTIONS)
def reject(
    flags: Flags,
    photos: list[str] = typer.Argument(metavar="PHOTO"),
    reason: str = flag(
        "TEXT",
        "Why; kept in the journal, and told to the model, wherever that is, with the photo.",
        default="",
    ),
) -> int:
    """Take captions back; the next run asks for them again."""
    from picture_captioner.cli.commands.edits import reject_captions

    return reject_captions(flags, photos, reason)


@app.command(panel=OTHERS)
def undo(
    flags: Flags,
    run: str | None = flag("ID", "Take back one run of 'write'."),
    everything: bool = switch("Take back all that was ever written.", name="--all"),
    list_runs: bool = switch("List the runs that can be taken back.", name="--list"),
    give_up: bool = switch("Forget those whose file is gone: they stay as they are."),
) -> int:
    """Take back what 'write' wrote: byte for byte, or ours alone where somebody edited since."""
    from picture_captioner.cli.commands.undo import undo_writes

    return undo_writes(flags, run=run, everything=everything, list_runs=list_runs, give_up=give_up)


@app.command(panel=UPKEEP)
def backends(
    flags: Flags,
    check: bool = switch("Ask each that is set up for its models and balance; no photo is sent."),
) -> int:
    """List the backends that can be named, or check those that are set up."""
    from picture_captioner.cli.commands.backends import check_backends, print_backends

    return check_backends(flags) if check else print_backends(flags)


@app.command(panel=UPKEEP)
def doctor(flags: Flags) -> int:
    """Look at settings, keys, photos, journal, disk, GPU, extras, models and servers."""
    from picture_captioner.cli.commands.doctor import print_findings

    return print_findings(flags)


@app.command(panel=MACHINES)
def work(
    flags: RunFlags,
    stages: str = flag(
        "STAGE[,STAGE]",
        "What is done: caption, and the stages of 'process', such as faces.",
        HOW,
        default="caption",
    ),
    lease: float = flag(
        "SECONDS",
        "A worker that says nothing for so long is taken for dead.",
        HOW,
        default=60.0,
        least=1,
        most=MAX_TIMEOUT,
    ),
) -> int:
    """Caption as 'run' does, on many machines: they share the photos of one --library."""
    from picture_captioner.cli.commands.work import work_together

    return work_together(flags, stages, lease)


@app.command(panel=MACHINES)
def sync(flags: Flags) -> int:
    """Bring what is in this journal into the --library on a server; 'work' does it by itself."""
    from picture_captioner.cli.commands.work import sync_journal

    return sync_journal(flags)


@app.callback(invoke_without_command=True)
def caption(version: Version = False) -> None:
    """Options that need no command."""


def with_default_command(arguments: list[str]) -> list[str]:
    """`caption.py --backend mock` means `caption.py run --backend mock`."""
    own = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
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
