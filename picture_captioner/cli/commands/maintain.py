"""`maintain`: people kept in order, by one step or by those of a day or a week."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from picture_captioner.cli.commands.people import decisions_of
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, show
from picture_captioner.config import Settings
from picture_captioner.errors import ConfigurationError, ExitCode
from picture_captioner.extras import how_to_install
from picture_captioner.library import Library
from picture_captioner.people.decisions import Decisions
from picture_captioner.pipeline.people.people_file import PeopleFile

READ_ONLY = ("health", "check-staleness")


def run_step(flags: Flags, name: str, *, as_json: bool) -> int:
    """Do a step, or those of `daily` or `weekly`, and say what it found.

    Raises:
        JournalLockedError: another process decides or maintains.
        LibraryError: library.db cannot be written.
    """
    settings = flags.settings()
    try:
        from picture_captioner.pipeline.people.upkeep import DAILY, STEPS, WEEKLY
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"it needs the package {error.name}: run {how_to_install('people')}"
        ) from error
    steps = {"daily": DAILY, "weekly": WEEKLY}.get(name, (name,))
    result: dict[str, object] = {}
    with _held(settings, name) as (library, said):
        for step in steps:
            result |= STEPS[step](library, said)
    if as_json or name == "health":
        show(json.dumps(result))
        return ExitCode.DONE
    for field, value in result.items():
        show(field.replace("_", " "), str(value))
    if result.get("stale"):
        say("Next: caption.py people cluster --rebuild")
    return ExitCode.DONE


@contextmanager
def _held(settings: Settings, name: str) -> Iterator[tuple[Library, Decisions]]:
    """The library and what was said; who changes something holds people.jsonl's lock."""
    there = settings.has_library
    with Library.open(settings.library_home, say) if there else Library.in_memory(say) as library:
        if name in READ_ONLY or not there:
            yield library, decisions_of(settings)
            return
        with PeopleFile(settings.people_path) as file:
            for warning in (*file.repairs, *file.warnings()):
                say(warning)
            yield library, file.said()
