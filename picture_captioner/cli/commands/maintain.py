"""`maintain`: people and themes kept in order, by one step or by those of a day or a week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from picture_captioner.cli.command_flags import REPORT_DIR
from picture_captioner.cli.commands.files import library_there
from picture_captioner.cli.commands.known_people import deciding, decisions_of
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.terminal import say, show_json, show_table
from picture_captioner.config import Settings
from picture_captioner.engines.claims import health as workers_health
from picture_captioner.engines.claims import prune
from picture_captioner.errors import ConfigurationError, ExitCode, count
from picture_captioner.extras import how_to_install
from picture_captioner.library.store import Library
from picture_captioner.people.decisions import Decisions
from picture_captioner.settings import ServerAddress

READ_ONLY = ("health", "check-staleness")


def run_step(flags: Flags, name: str) -> int:
    """Do a step, or those of `daily` or `weekly`, and say what it found."""
    settings = flags.settings()
    try:
        from picture_captioner.pipeline.people.upkeep import DAILY, STEPS, WEEKLY
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"it needs the package {error.name}: run {how_to_install('people')}"
        ) from error
    steps = {"daily": DAILY, "weekly": WEEKLY}.get(name, (name,))
    result: dict[str, Any] = {}
    with _held(settings, name) as (library, said):
        for step in steps:
            if step in READ_ONLY:
                result |= STEPS[step](library, said)
                continue
            with library.database.transaction() as connection:
                connection.alone("cluster faces")  # other machines group and maintain, too
                result |= STEPS[step](library, said)
        if isinstance(settings.library_home, ServerAddress):
            with library.database.transaction() as connection:
                if name == "health":
                    result |= workers_health(connection)
                elif name in {"daily", "weekly"}:
                    result |= prune(connection)
    if "stale" in result:
        result["themes"] = _why_themes_are_stale()
    if flags.as_json or name == "health":
        show_json(result)
        if not flags.as_json and result["unclustered_faces"] != result["unassigned_pool_size"]:
            say(_whose_they_are(result))
        return ExitCode.DONE
    show_table([*_in_words(result)])
    if result.get("stale"):
        say(f"Next: {suggested(flags, 'people cluster', '--rebuild')}")
    if result.get("themes"):
        say(f"Next: {suggested(flags, 'report')}")
    return ExitCode.DONE


def _whose_they_are(health: Mapping[str, Any]) -> str:
    """Why the faces in no cluster are not as many as `people list` says are nobody's."""
    return (
        f"{count(health['unclustered_faces'], 'face')} in no cluster, and "
        f"{health['unassigned_pool_size']:,} nobody's: a face is somebody's without a cluster "
        "where it is like theirs or was named, and a cluster may be nobody"
    )


def _in_words(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the steps found, for a person."""
    for field, value in result.items():
        name = field.replace("_", " ")
        if field == "violations":
            yield "contradictions", "; ".join(value) or "none"
        elif field == "stale":
            yield "clustering", f"stale: {result['why']}" if value else "up to date"
        elif field == "themes":
            yield "report", f"stale: {value}" if value else "up to date"
        elif field == "similar":
            yield "look alike", count(value, "pair") + " of groups"
        elif field != "why":
            yield name, f"{value:,}"


def _why_themes_are_stale() -> str:
    """Why the report should be made without --assign; empty if its clusters still fit."""
    if not REPORT_DIR.is_dir():
        return ""
    from picture_captioner.pipeline.people.regrouping import STALE_FROM
    from picture_captioner.report.run_state import STATE_FILE, BrokenStateError, load_state

    try:
        state = load_state(REPORT_DIR / STATE_FILE)
    except (BrokenStateError, OSError) as error:
        return str(error)
    if state is None:
        return ""
    share = float(state.added.sum()) / max(int((~state.added).sum()), 1)
    return f"{share:.0%} of the photos were assigned since" if share >= STALE_FROM else ""


@contextmanager
def _held(settings: Settings, name: str) -> Iterator[tuple[Library, Decisions]]:
    """The library and what was said; who changes something holds people.jsonl's lock."""
    if settings.has_library and name not in READ_ONLY:
        with deciding(settings) as (library, file):
            yield library, file.said()
        return
    with library_there(settings) as library:
        yield library, decisions_of(settings)
