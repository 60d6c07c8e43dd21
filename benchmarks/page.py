"""docs/performance.md, made of what the benchmarks said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FindingJson = Mapping[str, Any]
"""The last line of a benchmark: a `Finding`."""

BAR = "\\|"
"""A bar that ends no cell."""

HEAD = """\
# Performance

Made by `{command}`; run it again instead of editing this page. Every stage
is measured beside a named contender in the same run, so take the ratios with you and leave the
seconds here. What a script does exactly is written at its top, in `benchmarks/`.
"""


def performance_page(
    command: str, machine: Mapping[str, str], findings: Sequence[FindingJson]
) -> str:
    """The whole page; the same findings always give the same text."""
    parts = [HEAD.format(command=command), _table(["machine", ""], machine.items())]
    parts += ["## Summary\n", _summary(findings)]
    parts += [_section(finding) for finding in findings]
    return "\n".join(parts)


def _summary(findings: Sequence[FindingJson]) -> str:
    names = ["stage", "contender", "aim", "reached", "met"]
    return _table(
        names, ([*(finding[name] for name in names[:-1]), _met(finding)] for finding in findings)
    )


def _met(finding: FindingJson) -> str:
    if finding.get("skipped"):
        return "skipped"
    return "yes" if finding["met"] else "**no**"


def _section(finding: FindingJson) -> str:
    name = finding["benchmark"]
    lines = [f"## {finding['stage'][:1].upper()}{finding['stage'][1:]}", ""]
    if finding.get("skipped"):
        return "\n".join([*lines, f"Skipped: {finding['skipped']} (`benchmarks.{name}`)", ""])
    rows = finding["rows"]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = ([row.get(column, "") for column in columns] for row in rows)
    lines += [_table(columns, cells), f"What limits it: {finding['limit']}", ""]
    return "\n".join([*lines, f"`python -m benchmarks.{name}`", ""])


def _table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [_line(names), _line(["---"] * len(names)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', BAR) for cell in cells)} |"
