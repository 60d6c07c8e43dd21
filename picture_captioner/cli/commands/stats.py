"""`stats`: what is in a journal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from picture_captioner.cli.commands.files import existing_journal
from picture_captioner.cli.flags import Flags, suggested
from picture_captioner.cli.terminal import say, say_all, show_json, show_table
from picture_captioner.errors import ExitCode, count
from picture_captioner.journal.summary import Summary, summarize


def print_stats(flags: Flags) -> int:
    """Count the journal and print it."""
    path = existing_journal(flags)
    summary, index = summarize(path)
    say_all(index.warnings(path.name))
    if flags.as_json:
        slowest = [{"latency_ms": ms, "rel_path": photo} for ms, photo in summary.slowest]
        show_json(vars(summary) | {"slowest": slowest})  # asdict rebuilds a Counter wrongly
    elif not summary.records:
        say(f"{path} holds no records yet")
    else:
        show_table(_rows(path, summary))
        if summary.suspect:
            found = suggested(flags, "search", "status:suspect")
            say(f"Suspect captions name what nobody told: {found}")
    return ExitCode.DONE


def _rows(path: Path, summary: Summary) -> list[tuple[str, str]]:
    rows = [
        ("journal", str(path)),
        ("photos", f"{summary.photos:,} ({count(summary.records, 'record')})"),
    ]
    rows += _counted("status", summary.by_status)
    rows += _counted("backend", summary.by_backend)
    rows += _counted("model", summary.by_model)
    rows += _counted("error", summary.by_error)
    optional = (
        ("placeholders", summary.placeholders),
        ("redo failed", summary.redo_failed),
        ("edited", summary.edited),
        ("withdrawn", summary.withdrawn),
        ("dry run only", summary.dry_run_only),
        ("copies", summary.copies),
        ("suspect", summary.suspect),
        ("requests", summary.requests),
        ("tokens in", summary.input_tokens),
        ("tokens out", summary.output_tokens),
        ("damaged lines", summary.damaged_lines),
    )
    rows += [(name, f"{number:,}") for name, number in optional if number]
    if summary.cost_usd or summary.unpriced_requests:
        spent = f"{summary.cost_usd:,.4f} USD"
        if unpriced := summary.unpriced_requests:
            spent += f", and what {count(unpriced, 'request')} without a price took"
        rows.append(("spent", spent))
    rows += [(name, t) for name, t in (("first", summary.first), ("last", summary.last)) if t]
    rows += [("slowest", f"{ms / 1000:,.2f} s  {path}") for ms, path in summary.slowest if ms]
    return rows


def _counted(name: str, counts: Counter[str]) -> list[tuple[str, str]]:
    return [(name, f"{number:>9,}  {what}") for what, number in counts.most_common()]
