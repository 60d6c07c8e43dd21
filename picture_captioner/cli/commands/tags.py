"""`tags`: what there is, and a human's word about it, kept in tags.jsonl beside the journal."""

from __future__ import annotations

from collections.abc import Sequence

from picture_captioner.cli.commands.files import existing_journal
from picture_captioner.cli.flags import Flags, one_line, suggested
from picture_captioner.cli.terminal import say, say_all, show, show_json
from picture_captioner.errors import ExitCode, UsageError, count, did_you_mean
from picture_captioner.journal.rows import TagDecisions, TagsFile, tag_key
from picture_captioner.library.store import Library

LONGEST_TAG = 100


def print_tags(flags: Flags) -> int:
    """Print each tag with the number of photos that have it, the most frequent first."""
    found = _counts(flags)
    if flags.as_json:
        show_json([{"tag": tag, "photos": number} for tag, number in found])
        return ExitCode.DONE
    for tag, number in found:
        show(f"{number:>7,}", tag)
    if not found:
        asks, finds = suggested(flags, "run", "--fields=tags"), suggested(flags, "tag")
        say(f"No tags yet: '{asks}' asks for them, '{finds}' finds some")
    return ExitCode.DONE


def _counts(flags: Flags) -> list[tuple[str, int]]:
    settings, journal = flags.settings(), existing_journal(flags)
    with Library.open(settings.library_home, say) as library:
        library.follow_journal(journal)
        return library.tags.counts(TagDecisions.beside(journal).name)


def rename_tag(flags: Flags, tag: str, name: str) -> int:
    """Call a tag otherwise."""
    known, new = _known(flags, [tag]), _checked(name)
    if known.get(tag_key(tag), ("", 0))[0] == new:
        raise UsageError(f"{new} is called so already. Nothing is changed")
    so_before = TagDecisions.beside(existing_journal(flags)).name(tag) == new
    _decide(flags, "rename", tag=_checked(tag), to=new)
    _tell(known, [tag], new)
    if not so_before and tag_key(tag) != tag_key(new) and tag_key(new) in known:
        say(f"{new} is a tag already: the two are one from now on")
    return ExitCode.DONE


def merge_tags(flags: Flags, into: str, tags: Sequence[str]) -> int:
    """Make several tags one."""
    if {*map(tag_key, tags)} == {tag_key(into)}:
        raise UsageError(f"{into} is one tag: name others to merge. Nothing is changed")
    known = _known(flags, tags)
    _decide(flags, "merge", tags=[*map(_checked, tags)], into=_checked(into))
    _tell(known, tags, _checked(into))
    return ExitCode.DONE


def delete_tags(flags: Flags, tags: Sequence[str]) -> int:
    """Show tags nowhere any more."""
    known = _known(flags, tags)
    _decide(flags, "delete", tags=[*map(_checked, tags)])
    _tell(known, tags, None)
    return ExitCode.DONE


def restore_tags(flags: Flags, tags: Sequence[str]) -> int:
    """Take back what was decided about tags."""
    said = TagDecisions.beside(existing_journal(flags))
    for tag in tags:
        if tag_key(tag) not in said.called:
            near = did_you_mean(tag_key(tag), list(said.called))
            raise UsageError(f"nothing was decided about the tag {tag}{near}")
        if others := said.called_so(tag):
            again = suggested(flags, "tags restore", *others)
            raise UsageError(f"{tag} is what others are called now; to take that back: {again}")
    _decide(flags, "restore", tags=[*map(_checked, tags)])
    for tag in tags:
        for other in said.deleted_as(tag):
            say(f"{other} is called {tag} again")
        say(f"{tag} is {tag} again")
    return ExitCode.DONE


def _known(flags: Flags, tags: Sequence[str]) -> dict[str, tuple[str, int]]:
    """The tags that photos have, with their numbers.

    Raises:
        UsageError: one of `tags` is misspelt: no photo has it, and nothing was decided about it.
    """
    known = {tag_key(tag): (tag, number) for tag, number in _counts(flags)}
    decided = TagDecisions.beside(existing_journal(flags)).called
    for tag in map(_checked, tags):
        if tag_key(tag) not in known.keys() | decided:
            near = did_you_mean(tag, [spelled for spelled, _ in known.values()]) or "."
            raise UsageError(f"no photo has the tag {tag}{near} Nothing is changed")
    return known


def _tell(known: dict[str, tuple[str, int]], tags: Sequence[str], name: str | None) -> None:
    """Say what happens to which photos."""
    what = "left out everywhere" if name is None else f"called {name}"
    for tag in map(_checked, tags):
        spelled, photos = known.get(tag_key(tag), (tag, 0))
        say(f"{spelled}: {what} from now on ({count(photos)} with it)")


def _checked(tag: str) -> str:
    """The tag without what surrounds it."""
    return one_line("tag", tag, LONGEST_TAG)


def _decide(flags: Flags, kind: str, **what: object) -> None:
    """Write the decision, before it is told.

    Raises:
        JournalLockedError: somebody else is deciding.
        JournalError: it may not be on the disk.
    """
    with TagsFile(flags.settings().tags_path) as file:
        say_all(file.repairs, file.warnings())
        file.decide(kind, **what)
