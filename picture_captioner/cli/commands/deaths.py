"""What to tell, and what to record, after the program died of a photo."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from picture_captioner.cli.terminal import count, say
from picture_captioner.errors import Status
from picture_captioner.journal import InFlight, Journal
from picture_captioner.pipeline.asking.deaths import Deaths, died_record, find_deaths, settled
from picture_captioner.pipeline.selecting.selection import Selection, SelectionRules

_log = logging.getLogger("caption.run")

NAMED = 5


def weigh_deaths(
    in_flight: InFlight, journal: Journal, selection: Selection, rules: SelectionRules
) -> Deaths:
    """Tell how the last run died, record the guilty, and put what is suspect last.

    The guilty leave `selection.pending`, even if `--retry-status` asked for them: the verdict is
    about the try that it brought.

    Raises:
        JournalError: a verdict cannot be written.
    """
    _tell_death(in_flight)
    in_flight.forget(settled(in_flight.suspicions, journal.index))  # by the run that died, too
    deaths = find_deaths(journal, in_flight.suspicions, selection.pending, rules.identity)
    if deaths:
        _record_guilty(deaths, journal, selection, rules)
        in_flight.forget(settled(in_flight.suspicions, journal.index))
        selection.pending = deaths.ordered(selection.pending)
        tried = [photo.rel_path for photo in selection.pending if deaths.on_trial(photo)]
        if tried:
            say(
                f"More than once the program died while the backend had {_these(tried)}. To be "
                "tried alone, after all others; should it die again, run the same command again"
            )
    return deaths


def _tell_death(in_flight: InFlight) -> None:
    death = in_flight.death
    if death is None:
        return
    how = f"crashed ({death.reason}; the log says where)"
    if not death.reason:
        how = "was killed (by hand, by a power cut, or because memory ran out)"
    _log.error("the last run died", extra={"event": "run_died", "trace": death.trace})
    if photos := [photo.rel_path for photo in death.photos]:
        say(f"The last run {how} while the backend had {_these(photos)}")
    else:
        say(f"The last run {how}; the backend had no photo then")


def _these(paths: Sequence[str]) -> str:
    named = ", ".join(paths[:NAMED])
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return f"{count(len(paths))}: {named}{more}"


def _record_guilty(
    deaths: Deaths, journal: Journal, selection: Selection, rules: SelectionRules
) -> None:
    for photo in list(selection.pending):
        if sentence := deaths.sentence(photo):
            content, error = sentence
            journal.append(died_record(photo, content, error, rules.identity))
            selection.pending.remove(photo)
            selection.done[Status.ERROR_MODEL] += 1
            say(
                f"{photo.rel_path}: {error}. Recorded as error_model and passed over from now on; "
                "--retry-status error_model tries it again, alone"
            )
