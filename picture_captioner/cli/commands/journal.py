"""`journal check|compact|merge|recheck`."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from picture_captioner.batch.ledger import JobLedger, ledger_path, read_jobs
from picture_captioner.cli.commands.files import existing_journal
from picture_captioner.cli.flags import Flags
from picture_captioner.cli.terminal import say, say_all, show, show_json, size
from picture_captioner.errors import ExitCode, count
from picture_captioner.journal.maintenance import compact, merge
from picture_captioner.journal.reading import read_again, read_index
from picture_captioner.journal.record import Record, RecordError
from picture_captioner.journal.writing import Journal
from picture_captioner.pipeline.asking.circuit_breaker import SAME_IN_A_ROW
from picture_captioner.pipeline.recording.answers import fault_in

_DAMAGED_LINES = (
    "The photos of damaged lines are captioned again by the next run; "
    "'caption.py journal compact' moves the lines away"
)
_NO_JOURNAL = (
    "It is no journal: name another file with --captions-jsonl; if it was one, move it away, and "
    "the next run begins a new one"
)
_NO_LINE_END = (
    "The last of them has no line end, and is too long for a record that was torn: no run writes "
    "to this file before it is cut there by hand"
)


def check_journal(flags: Flags) -> int:
    """Name every damaged line."""
    path = existing_journal(flags)
    index = read_index(path)
    if flags.as_json:
        damage = [{"line": d.line, "reason": str(d)} for d in index.damage]
        torn = str(index.torn) if index.torn else None
        counts = {"records": index.records, "photos": len(index.entries)}
        show_json({"journal": str(path), **counts, "damage": damage, "torn": torn})
    for damaged in () if flags.as_json else index.damage:
        show(str(damaged))
    endless = index.torn is not None and index.torn.line in {d.line for d in index.damage}
    if index.torn and not endless:
        if not flags.as_json:
            show(str(index.torn))
        if index.records or not index.damage:
            say(
                f"{path.name}: discarded 1 malformed line in reading "
                f"({count(index.torn_bytes, 'byte')}, at the end: a killed run leaves one). "
                "The file is as it was; the next run cuts it off"
            )
    good = f"{count(index.records, 'record')} of {count(len(index.entries))} in {path}"
    if not index.damage:
        say(f"No damage{' but for that line' if index.torn else ''}: {good}")
        return ExitCode.DONE
    advice = _NO_LINE_END if endless else _DAMAGED_LINES if index.records else _NO_JOURNAL
    say(f"{count(len(index.damage), 'damaged line')}, {good}. {advice}")
    return ExitCode.IO_FAILED


def compact_journal(flags: Flags) -> int:
    """Drop superseded lines.

    Raises:
        JournalError, JournalLockedError: it is as it was.
    """
    path = existing_journal(flags)
    result = compact(path, [job.id for job in read_jobs(path).values() if job.is_out])
    say(
        f"Kept {count(result.kept, 'line')}, dropped {result.dropped:,} superseded: "
        f"{size(result.bytes_before)} -> {size(result.bytes_after)}"
    )
    if result.damaged:
        say(f"{count(result.damaged, 'damaged line')} moved to {path.name}.broken")
    return ExitCode.DONE


def merge_journal(flags: Flags, other: Path) -> int:
    """Bring another machine's journal in.

    Raises:
        JournalError, JournalLockedError: it is as it was.
    """
    path = flags.settings().captions_jsonl
    if theirs := JobLedger.read(ledger_path(other))[0]:
        # First: photos that are out over there must not be sent from here, whatever ends this.
        with JobLedger.beside(path) as ledger:
            for job in ledger.bring_in(theirs):
                say(f"Job {job.id} of {other} is followed here, too: {count(len(job.photos))}")
    result = merge(path, other)
    say(
        f"{count(result.lines_added, 'line')} added to {path}: {count(result.paths_added)} new, "
        f"{count(result.paths_superseded)} with a better record"
    )
    if result.damaged:
        say(f"{count(result.damaged, 'damaged line')} of {other} passed over")
    if result.torn_bytes:
        say(
            f"{other}: discarded 1 malformed line ({count(result.torn_bytes, 'byte')}, at the end: "
            "a copy that was cut off, or taken while a run wrote, has one)"
        )
    return ExitCode.DONE


def recheck_journal(flags: Flags, *, dry_run: bool) -> int:
    """Withdraw captions that would not be accepted today: lines are added, none is changed.

    Raises:
        JournalError, JournalLockedError: what was withdrawn before is on the disk.
    """
    path = existing_journal(flags)
    found: Counter[str] = Counter()
    repeats = Repeats()
    with contextlib.ExitStack() as held:
        journal = None if dry_run else held.enter_context(Journal(path))
        index = read_index(path) if journal is None else journal.index
        say_all(index.warnings(path.name))
        # What a human wrote is not judged.
        given = (e for e in index.captions() if not (e.edited or e.placeholder))
        answers = sorted(given, key=lambda entry: entry.offset)
        for first in range(0, len(answers), _READ_AT_ONCE):
            some = read_again(path, answers[first : first + _READ_AT_ONCE])
            faulty = [_judged(Record.from_mapping(fields), repeats) for fields in some]
            withdrawals = [record for record in faulty if record is not None]
            for record in withdrawals:
                code, message = record.error or ("", "")
                found[code] += 1
                show(record.rel_path, code, message)
            if journal is not None:
                journal.append(*withdrawals)
    _tell_recheck(path, found, len(answers), repeats, dry_run=dry_run)
    return ExitCode.DONE


_READ_AT_ONCE = 10_000


def _judged(record: Record, repeats: Repeats) -> Record | None:
    """The line that withdraws the caption, if it is none."""
    fault = fault_in(record.caption, record.extra)
    if fault is None:
        repeats.see(record)
        return None
    return record.withdrawal(RecordError.of(fault), fault.status)


class Repeats:
    """Captions of different photos, one after the other, that say the same.

    They are told and not withdrawn: without the pixels, a burst cannot be told from a model that
    did not see its photos.
    """

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self._last: tuple[object, ...] = ()
        self._contents: set[str | None] = set()

    def see(self, record: Record) -> None:
        """Take in the next caption of the file."""
        said = (record.backend, record.model, (record.caption or "").casefold())
        if said != self._last or not record.caption:
            self._last, self._contents = said, set()
            self.runs[-1:] = [run for run in self.runs[-1:] if len(run) >= SAME_IN_A_ROW]
            self.runs.append([])
        if record.copied_from is None and record.content_sha256 not in self._contents:
            self._contents.add(record.content_sha256)
            self.runs[-1].append(record.rel_path)

    def tell(self) -> None:
        """Say of each long enough run of photos with one text that it is one."""
        for run in self.runs:
            if len(run) >= SAME_IN_A_ROW:
                say(
                    f"{len(run):,} photos in a row have one and the same caption ({run[0]} to "
                    f"{run[-1]}): if they look nothing alike, the model did not see them; "
                    "--files-from LIST --force captions them again",
                    always=True,
                )


def _tell_recheck(
    path: Path, found: Counter[str], answers: int, repeats: Repeats, *, dry_run: bool
) -> None:
    repeats.tell()
    if not found:
        say(f"Every one of {count(answers, 'caption')} in {path} would be accepted today")
        return
    reasons = ", ".join(f"{code} {number:,}" for code, number in found.most_common())
    done = "would be withdrawn (left as they are: --dry-run)" if dry_run else "withdrawn"
    say(f"{found.total():,} of {count(answers, 'caption')} {done}: {reasons}")
    if not dry_run:
        say("Next, to caption these photos again: the run that you use, with the same flags")
