"""`caption.py batch`: the commands' names, arguments and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from picture_captioner.cli.flags import Command, Flags, make_app, takes_flags
from picture_captioner.cli.run_flags import RunFlags

batch_app = make_app(
    help="Captions at half price, within a day: a provider's batch jobs.", no_args_is_help=True
)

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]


@batch_app.command("submit", cls=Command)
@takes_flags
def batch_submit(flags: RunFlags) -> int:
    """Send what 'run' would caption as batch jobs, and return; nothing is sent twice."""
    from picture_captioner.cli.commands.batch_submit import submit

    return submit(flags)


@batch_app.command("status", cls=Command)
@takes_flags
def batch_status(flags: RunFlags, as_json: AsJson = False) -> int:
    """Ask the providers how far the jobs are."""
    from picture_captioner.cli.commands.batch import print_status

    return print_status(flags, as_json=as_json)


@batch_app.command("wait", cls=Command)
@takes_flags
def batch_wait(flags: RunFlags) -> int:
    """Wait until every job has ended; can be stopped and started at will."""
    from picture_captioner.cli.commands.batch import wait

    return wait(flags)


@batch_app.command("collect", cls=Command)
@takes_flags
def batch_collect(flags: RunFlags) -> int:
    """Write the answers of jobs that have ended into the journal; the files are deleted there."""
    from picture_captioner.cli.commands.batch_collect import collect_ended

    return collect_ended(flags)


@batch_app.command("cancel", cls=Command)
@takes_flags
def batch_cancel(
    flags: RunFlags,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB...", help="As 'batch list' has them.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="Every job that runs.")
    ] = False,
) -> int:
    """Ask providers to stop jobs; what is answered by then is billed, and can be collected."""
    from picture_captioner.cli.commands.batch import cancel

    return cancel(flags, jobs or [], everything=everything)


@batch_app.command("list", cls=Command)
@takes_flags
def batch_list(flags: Flags, as_json: AsJson = False) -> int:
    """List the jobs of this journal; asks nobody."""
    from picture_captioner.cli.commands.batch import print_jobs

    return print_jobs(flags, as_json=as_json)


@batch_app.command("adopt", cls=Command)
@takes_flags
def batch_adopt(
    flags: Flags,
    remote_id: Annotated[str, typer.Argument(metavar="ID", help="The provider's id of the job.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="LEDGER", help="The other machine's captions.jobs.jsonl."),
    ] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="JOB", help="Which of our jobs it is.")
    ] = None,
) -> int:
    """Take over a job that the provider has and this ledger does not know by that id."""
    from picture_captioner.cli.commands.batch import adopt

    return adopt(flags, remote_id, source, job)


@batch_app.command("ignore", cls=Command)
@takes_flags
def batch_ignore(
    flags: Flags,
    remote_id: Annotated[
        str, typer.Argument(metavar="ID", help="A provider's id, or a job of 'batch list'.")
    ],
) -> int:
    """Say that a job is none of ours, or give one up: its photos are pending again."""
    from picture_captioner.cli.commands.batch import ignore

    return ignore(flags, remote_id)
