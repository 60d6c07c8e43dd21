"""`caption.py people` and `caption.py maintain`: the commands' names, arguments and help."""

from __future__ import annotations

from pathlib import Path

import typer

from picture_captioner.cli.command_flags import ProcessFlags
from picture_captioner.cli.flags import App, Flags
from picture_captioner.declaration import flag, switch

people_app = App(help="Who is on the photos: find faces, name people.", no_args_is_help=True)
maintain_app = App(
    help="Keep people and themes in order: daily, weekly, health.", no_args_is_help=True
)

DRY_RUN = switch("Say what would change, and change nothing.")
PERSON = typer.Argument(metavar="ID", help="A person's id, or name if only one has it.")
PERSONS = typer.Argument(metavar="ID", help="Persons by id or name.")
FACE = typer.Argument(metavar="FACE", help="A face, as 'people show ID' prints it.")
FACES = typer.Argument(None, metavar="FACE", help="Faces, as 'people show ID' has them.")


@people_app.command("scan")
def people_scan(
    flags: ProcessFlags,
    path: Path | None = typer.Argument(
        None, metavar="PATH", help="A folder or a photo; default: all photos."
    ),
) -> int:
    """Find the faces in photos that were not looked at yet; stop and repeat at will."""
    from picture_captioner.cli.commands.people import scan_faces

    return scan_faces(flags, path)


@people_app.command("cluster")
def people_cluster(
    flags: Flags,
    rebuild: bool = switch("Cluster all faces anew; names stay."),
) -> int:
    """Group faces into persons: all the first time, then those that are new."""
    from picture_captioner.cli.commands.people import cluster_faces

    return cluster_faces(flags, rebuild=rebuild)


@people_app.command("list")
def people_list(
    flags: Flags,
    hidden: bool = switch("Also those who are hidden.", name="--all"),
) -> int:
    """List persons and the number of their faces."""
    from picture_captioner.cli.commands.people import print_people

    return print_people(flags, hidden=hidden)


@people_app.command("show")
def people_show(
    flags: Flags,
    person: str = typer.Argument(
        metavar="ID", help="A person's id or name; 'nobody': faces in no group."
    ),
) -> int:
    """Print somebody's faces, each with its photo, its box and how it came there."""
    from picture_captioner.cli.commands.people import print_person

    return print_person(flags, person)


@people_app.command("review")
def people_review(flags: Flags) -> int:
    """List what a human should decide: unsure faces, persons that may be one, contradictions."""
    from picture_captioner.cli.commands.people import print_review

    return print_review(flags)


@people_app.command("associate")
def people_associate(
    flags: Flags,
    threshold: float | None = flag(
        "COSINE", "From where two groups are one person [.55].", least=0.3, most=1.0
    ),
    dry_run: bool = DRY_RUN,
) -> int:
    """Join groups of faces that look alike into persons; two of whom you spoke are never joined."""
    from picture_captioner.cli.commands.people import associate

    return associate(flags, threshold, dry_run=dry_run)


@people_app.command("name")
def people_name(
    flags: Flags,
    person: str = typer.Argument(
        metavar="ID", help="A person's id or name, or a face that is nobody's."
    ),
    name: str = typer.Argument(metavar="NAME", help="What to call this person."),
) -> int:
    """Give a person a name, which stays whatever is computed again."""
    from picture_captioner.cli.commands.people_decisions import name_person

    return name_person(flags, person, name)


@people_app.command("unname")
def people_unname(flags: Flags, person: str = PERSON) -> int:
    """Take a person's name off; faces and what else was said stay."""
    from picture_captioner.cli.commands.people_decisions import unname_person

    return unname_person(flags, person)


@people_app.command("merge")
def people_merge(
    flags: Flags,
    into: str = typer.Argument(metavar="ID", help="Who stays."),
    others: list[str] = PERSONS,
    force: bool = switch("Also two who are on one photo."),
) -> int:
    """Say that persons are one: the first stays, the others become part of it."""
    from picture_captioner.cli.commands.people_decisions import merge_persons

    return merge_persons(flags, into, others, force=force)


@people_app.command("unmerge")
def people_unmerge(flags: Flags, person: str = PERSON) -> int:
    """Take a merge back: who became part of another is somebody again, with faces and name."""
    from picture_captioner.cli.commands.people_decisions import unmerge_person

    return unmerge_person(flags, person)


@people_app.command("split")
def people_split(flags: Flags, person: str = PERSON, faces: list[str] | None = FACES) -> int:
    """Make another person of these faces; without any, of the groups that look different."""
    from picture_captioner.cli.commands.people_decisions import split_person

    return split_person(flags, person, faces or [])


@people_app.command("confirm")
def people_confirm(flags: Flags, person: str = PERSON, faces: list[str] | None = FACES) -> int:
    """Say that faces are this person's; without any, all that are now."""
    from picture_captioner.cli.commands.people_decisions import confirm_faces

    return confirm_faces(flags, person, faces or [])


@people_app.command("not-this-person")
def people_not_this_person(flags: Flags, face: str = FACE, person: str = PERSON) -> int:
    """Say that a face is not this person's; it never comes back by itself."""
    from picture_captioner.cli.commands.people_decisions import refuse_person

    return refuse_person(flags, face, person)


@people_app.command("not-a-face")
def people_not_a_face(
    flags: Flags,
    faces: list[str] = typer.Argument(metavar="FACE", help="Faces, as 'people show' has them."),
) -> int:
    """Say that it is no face, or nobody's: a statue, a poster."""
    from picture_captioner.cli.commands.people_decisions import refuse_faces

    return refuse_faces(flags, faces)


@people_app.command("hide")
def people_hide(
    flags: Flags,
    persons: list[str] | None = typer.Argument(None, metavar="ID", help="Persons by id or name."),
    under: int | None = flag(
        "N", "Everybody unnamed with fewer faces.", name="--unnamed-under", least=1
    ),
    undo: bool = switch("Show them again."),
) -> int:
    """Leave persons out of lists and report; nothing is deleted."""
    from picture_captioner.cli.commands.people_decisions import hide_persons

    return hide_persons(flags, persons or [], under, hidden=not undo)


@people_app.command("same")
def people_same(
    flags: Flags,
    faces: list[str] = typer.Argument(metavar="FACE FACE...", help="Faces."),
) -> int:
    """Say that faces are one person's, whoever that is."""
    from picture_captioner.cli.commands.people_decisions import link_faces

    return link_faces(flags, faces)


@people_app.command("different")
def people_different(
    flags: Flags,
    one: str = typer.Argument(metavar="ONE", help="A face or a person."),
    other: str = typer.Argument(metavar="OTHER", help="Another one of the same kind."),
) -> int:
    """Say that two faces, or two persons, are never the same person."""
    from picture_captioner.cli.commands.people_decisions import keep_apart

    return keep_apart(flags, one, other)


@people_app.command("export")
def people_export(
    flags: Flags,
    file: Path = typer.Argument(metavar="FILE", help="The CSV file to write."),
) -> int:
    """Write persons into a CSV file, to name them in a spreadsheet."""
    from picture_captioner.cli.commands.people_csv import export_people

    return export_people(flags, file)


@people_app.command("import")
def people_import(
    flags: Flags,
    file: Path = typer.Argument(metavar="FILE", help="The CSV file to read."),
    dry_run: bool = DRY_RUN,
) -> int:
    """Take names and 'hidden' from a CSV file that 'people export' wrote."""
    from picture_captioner.cli.commands.people_csv import import_people

    return import_people(flags, file, dry_run=dry_run)


def _step(name: str, told: str) -> None:
    """A maintenance command without flags of its own."""

    def maintain(flags: Flags) -> int:
        from picture_captioner.cli.commands.maintain import run_step

        return run_step(flags, name)

    maintain.__doc__ = told
    maintain_app.command(name)(maintain)


_step("daily", "Centroids, empty clusters, statistics, what follows from links, contradictions.")
_step("weekly", "What is done daily, and medoids, similar clusters, old unassigned faces.")
_step("health", "Count clusters, faces, links and, on a server, workers; changes nothing.")
_step("check-staleness", "Say whether faces, or the report's themes, should be clustered anew.")
_step("recompute-centroids", "Compute every cluster's centroid again.")
_step("update-medoids", "Find the most typical face of every cluster again.")
_step("cleanup-empty", "Drop clusters that lost all their faces.")
_step("update-stats", "Count the faces of every cluster again.")


@maintain_app.command("merge-similar")
def maintain_merge_similar(
    flags: Flags,
    threshold: float | None = flag(
        "COSINE", "As 'associate'.", name="--similarity-threshold", least=0.3, most=1.0
    ),
    dry_run: bool = DRY_RUN,
) -> int:
    """Join groups of faces that look alike; the same as 'people associate'."""
    from picture_captioner.cli.commands.people import associate

    return associate(flags, threshold, dry_run=dry_run)
