"""`caption.py journal`, `models`, `library`, `batch` and `tags`: names, arguments and help."""

from __future__ import annotations

from pathlib import Path

import typer

from picture_captioner.cli.flags import App, Flags
from picture_captioner.cli.run_flags import NAMED_PHOTOS, RunFlags
from picture_captioner.declaration import flag, switch

journal_app = App(help="Look after a journal: check, compact, merge.", no_args_is_help=True)


@journal_app.command("check")
def journal_check(flags: Flags) -> int:
    """Read every line and name the damaged ones; changes nothing."""
    from picture_captioner.cli.commands.journal import check_journal

    return check_journal(flags)


@journal_app.command("compact")
def journal_compact(flags: Flags) -> int:
    """Drop superseded lines; every caption and every cent stays accounted for."""
    from picture_captioner.cli.commands.journal import compact_journal

    return compact_journal(flags)


@journal_app.command("recheck")
def journal_recheck(
    flags: Flags,
    dry_run: bool = switch("List them, and withdraw nothing."),
) -> int:
    """Withdraw captions that would not be accepted today (refusals, ...); deletes nothing."""
    from picture_captioner.cli.commands.journal import recheck_journal

    return recheck_journal(flags, dry_run=dry_run)


@journal_app.command("merge")
def journal_merge(
    flags: Flags,
    other: Path = typer.Argument(help="The journal to bring in."),
) -> int:
    """Bring another machine's journal into this one; the other file is only read."""
    from picture_captioner.cli.commands.journal import merge_journal

    return merge_journal(flags, other)


models_app = App(help="Models on this machine: list, download.", no_args_is_help=True)


@models_app.command("list")
def models_list(flags: Flags) -> int:
    """List the models that can be named, their size and licence, and where they are."""
    from picture_captioner.cli.commands.models import print_models

    return print_models(flags)


@models_app.command("path")
def models_path(
    flags: Flags,
    name: str = typer.Argument(help="A model of the list, or OWNER/NAME."),
) -> int:
    """Print where a model is."""
    from picture_captioner.cli.commands.models import print_path

    return print_path(name, flags)


@models_app.command("download")
def models_download(
    flags: Flags,
    names: list[str] = typer.Argument(help="Models of the list, or OWNER/NAME."),
) -> int:
    """Fetch models, verified, into their cache or --models-dir; goes on where it was stopped."""
    from picture_captioner.cli.commands.models import download_models

    return download_models(names, flags)


@models_app.command("remove")
def models_remove(
    flags: Flags,
    names: list[str] = typer.Argument(help="Models of the list, or OWNER/NAME."),
) -> int:
    """Delete models from this machine."""
    from picture_captioner.cli.commands.models import remove_models

    return remove_models(names, flags)


library_app = App(
    help="The library itself: copy it to a server and back; index vectors there.",
    no_args_is_help=True,
)


@library_app.command("copy")
def library_copy(
    flags: Flags,
    source: str = typer.Option(
        ..., "--from", metavar="HOME", help="A library.db, or postgresql://..."
    ),
    target: str = typer.Option(
        ..., "--to", metavar="HOME", help="Likewise; one that is empty, or new."
    ),
) -> int:
    """Copy a library between library.db and a server; every row is compared before it is kept."""
    from picture_captioner.cli.commands.library import copy_library

    return copy_library(flags, source, target)


@library_app.command("index")
def library_index(flags: Flags) -> int:
    """Index the vectors of a library on a server, where there are many; others go on meanwhile."""
    from picture_captioner.cli.commands.library import index_library

    return index_library(flags)


batch_app = App(
    help="Captions at half price, within a day: a provider's batch jobs.", no_args_is_help=True
)


@batch_app.command("submit")
def batch_submit(flags: RunFlags, photos: list[str] | None = NAMED_PHOTOS) -> int:
    """Send what 'run' would caption as batch jobs, and return; nothing is sent twice."""
    from picture_captioner.cli.commands.batch_submit import submit
    from picture_captioner.cli.commands.photos import with_named_photos

    return submit(with_named_photos(flags, photos or []))


@batch_app.command("status")
def batch_status(flags: RunFlags) -> int:
    """Ask the providers how far the jobs are."""
    from picture_captioner.cli.commands.batch import print_status

    return print_status(flags)


@batch_app.command("wait")
def batch_wait(flags: RunFlags) -> int:
    """Wait until every job has ended; can be stopped and started at will."""
    from picture_captioner.cli.commands.batch import wait

    return wait(flags)


@batch_app.command("collect")
def batch_collect(flags: RunFlags) -> int:
    """Write the answers of jobs that have ended into the journal; the files are deleted there."""
    from picture_captioner.cli.commands.batch_collect import collect_ended

    return collect_ended(flags)


@batch_app.command("cancel")
def batch_cancel(
    flags: RunFlags,
    jobs: list[str] | None = typer.Argument(None, metavar="JOB", help="As 'batch list' has them."),
    everything: bool = switch("Every job that runs.", name="--all"),
) -> int:
    """Ask providers to stop jobs; what is answered by then is billed, and can be collected."""
    from picture_captioner.cli.commands.batch import cancel

    return cancel(flags, jobs or [], everything=everything)


@batch_app.command("list")
def batch_list(flags: Flags) -> int:
    """List the jobs of this journal; asks nobody."""
    from picture_captioner.cli.commands.batch import print_jobs

    return print_jobs(flags)


@batch_app.command("adopt")
def batch_adopt(
    flags: Flags,
    remote_id: str = typer.Argument(metavar="ID", help="The provider's id of the job."),
    source: Path | None = flag("LEDGER", "The other machine's captions.jobs.jsonl.", name="--from"),
    job: str | None = flag("JOB", "Which of our jobs it is."),
) -> int:
    """Take over a job that the provider has and this ledger does not know by that id."""
    from picture_captioner.cli.commands.batch import adopt

    return adopt(flags, remote_id, source, job)


@batch_app.command("ignore")
def batch_ignore(
    flags: Flags,
    remote_id: str = typer.Argument(
        metavar="ID", help="A provider's id, or a job of 'batch list'."
    ),
) -> int:
    """Say that a job is none of ours, or give one up: its photos are pending again."""
    from picture_captioner.cli.commands.batch import ignore

    return ignore(flags, remote_id)


tags_app = App(help="Tags, whoever gave them: list, rename, merge, delete.", no_args_is_help=True)


TAG = typer.Argument(metavar="TAG", help="As 'tags list' prints it.")
TAGS = typer.Argument(metavar="TAG", help="Tags, as 'tags list' prints them.")


@tags_app.command("list")
def tags_list(
    flags: Flags,
) -> int:
    """List the tags and how many photos have each."""
    from picture_captioner.cli.commands.tags import print_tags

    return print_tags(flags)


@tags_app.command("rename")
def tags_rename(flags: Flags, tag: str = TAG, name: str = typer.Argument(metavar="NAME")) -> int:
    """Call a tag otherwise, in photos to come as well; the journal stays as it is."""
    from picture_captioner.cli.commands.tags import rename_tag

    return rename_tag(flags, tag, name)


@tags_app.command("merge")
def tags_merge(
    flags: Flags,
    into: str = typer.Argument(metavar="INTO", help="What they are called from now on."),
    tags: list[str] = TAGS,
) -> int:
    """Make several tags one, in photos to come as well."""
    from picture_captioner.cli.commands.tags import merge_tags

    return merge_tags(flags, into, tags)


@tags_app.command("delete")
def tags_delete(flags: Flags, tags: list[str] = TAGS) -> int:
    """Show tags nowhere any more, in photos to come neither; 'tags restore' takes it back."""
    from picture_captioner.cli.commands.tags import delete_tags

    return delete_tags(flags, tags)


@tags_app.command("restore")
def tags_restore(flags: Flags, tags: list[str] = TAGS) -> int:
    """Take back what was decided about tags, named as a model wrote them."""
    from picture_captioner.cli.commands.tags import restore_tags

    return restore_tags(flags, tags)
