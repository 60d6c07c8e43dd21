"""What the fault tests tried and what was lost, as the table of docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
HEAD = "| what was tried | times | lost | seconds | test |\n|---|---:|---:|---:|---|\n"
_ROW = re.compile(r"^\| (?P<what>.+) \| [\d,]+ \| [\d,]+ \| [\d,]+ \| `(?P<test>\S+)` \|$", re.M)


@dataclass(frozen=True)
class Figure:
    """One line of the table; `seconds` are those of the whole test."""

    what: str
    tried: int
    lost: int
    seconds: float
    test: str

    def row(self) -> str:
        numbers = f"{self.tried:,} | {self.lost:,} | {self.seconds:,.0f}"
        return f"| {self.what} | {numbers} | `{self.test}` |\n"


def figures_in(reports: Iterable[pytest.TestReport]) -> list[Figure]:
    """Those that tests noted with the fixture `tried`, by test."""
    found = [
        Figure(what, tried, lost, report.duration, report.nodeid)
        for report in reports
        for name, value in report.user_properties
        if name == "tried"
        for what, tried, lost in [value]
    ]
    return sorted(found, key=lambda figure: (figure.test, figure.what))


def write_figures(document: Path, figures: Iterable[Figure]) -> None:
    """Replace the rows of these tests between the markers; the other rows stay."""
    before, _, rest = document.read_text("utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {(m["test"], m["what"]): m[0] + "\n" for m in _ROW.finditer(old)}
    fresh = list(figures)
    tests = {figure.test for figure in fresh}
    rows = {key: row for key, row in rows.items() if key[0] not in tests}
    rows |= {(figure.test, figure.what): figure.row() for figure in fresh}
    table = HEAD + "".join(rows[key] for key in sorted(rows))
    document.write_text(before + BEGIN + table + END + after, "utf-8")
