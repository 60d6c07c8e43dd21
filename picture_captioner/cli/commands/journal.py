"""`journal check|compact|merge`."""

from __future__ import annotations

from pathlib import Path

from picture_captioner.cli.terminal import count, say, show, size
from picture_captioner.config import load_settings
from picture_captioner.errors import ExitCode, JournalError
from picture_captioner.journal import compact, merge, read_index

_DAMAGED_LINES = (
    "The photos of damaged lines are captioned again by the next run; 'journal compact' moves the "
    "lines away"
)
_NO_LINE_END = (
    "The last of them has no line end, and is too long for a record that was torn: no run writes "
    "to this file before it is cut there by hand"
)


def check_journal(captions_jsonl: Path | None) -> int:
    """Name every damaged line.

    Raises:
        JournalError: the file is not there or cannot be read.
    """
    path = _existing(captions_jsonl)
    index = read_index(path)
    for damage in index.damage:
        show(str(damage))
    endless = index.torn is not None and index.torn.line in {d.line for d in index.damage}
    if index.torn and not endless:
        show(str(index.torn))
        say(f"{path.name}: discarded 1 malformed line ({index.torn_bytes} bytes, at the end)")
    good = f"{count(index.records, 'record')} of {count(len(index.entries))} in {path}"
    if not index.damage:
        say(f"No damage: {good}")
        return ExitCode.DONE
    advice = _NO_LINE_END if endless else _DAMAGED_LINES
    say(f"{count(len(index.damage), 'damaged line')}, {good}. {advice}")
    return ExitCode.IO_FAILED


def compact_journal(captions_jsonl: Path | None) -> int:
    """Drop superseded lines.

    Raises:
        JournalError, JournalLockedError: it is as it was.
    """
    path = _existing(captions_jsonl)
    result = compact(path)
    say(
        f"Kept {count(result.kept, 'line')}, dropped {result.dropped:,} superseded: "
        f"{size(result.bytes_before)} -> {size(result.bytes_after)}"
    )
    if result.damaged:
        say(f"{count(result.damaged, 'damaged line')} moved to {path.name}.broken")
    return ExitCode.DONE


def merge_journal(captions_jsonl: Path | None, other: Path) -> int:
    """Bring another machine's journal in.

    Raises:
        JournalError, JournalLockedError: it is as it was.
    """
    path = load_settings(captions_jsonl=captions_jsonl).captions_jsonl
    result = merge(path, other)
    say(
        f"{count(result.lines_added, 'line')} added to {path}: {count(result.paths_added)} new, "
        f"{count(result.paths_superseded)} with a better record"
    )
    if result.damaged:
        say(f"{count(result.damaged, 'damaged line')} of {other} passed over")
    return ExitCode.DONE


def _existing(captions_jsonl: Path | None) -> Path:
    path = load_settings(captions_jsonl=captions_jsonl).captions_jsonl
    try:
        path.stat()
    except FileNotFoundError as error:
        raise JournalError(
            f"there is no journal at {path}; name it with --captions-jsonl"
        ) from error
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error.strerror}") from error
    return path
