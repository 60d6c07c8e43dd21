"""What the fault tests tried and what was lost, as the table of docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
HEAD = "| what was tried | times | lost | seconds | test |\n|---|---:|---:|---:|---|\n"
SUMMARY = "| suite | times | lost | seconds |\n|---|---:|---:|---:|\n"
_ROW = re.compile(
    r"^\| (?P<what>.+) \| (?P<tried>[\d,]+) \| (?P<lost>[\d,]+) \| (?P<seconds>[\d,]+) \| "
    r"`(?P<test>\S+::[^`]+)` \|$",
    re.M,
)


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
    fresh = list(figures)
    tests = {figure.test for figure in fresh}
    kept = [figure for figure in map(_figure, _ROW.finditer(old)) if figure.test not in tests]
    rows = sorted([*kept, *fresh], key=lambda figure: (figure.test, figure.what))
    details = HEAD + "".join(figure.row() for figure in rows)
    document.write_text(before + BEGIN + _summary(rows) + "\n" + details + END + after, "utf-8")


def _figure(row: re.Match[str]) -> Figure:
    tried, lost, seconds = (int(row[n].replace(",", "")) for n in ("tried", "lost", "seconds"))
    return Figure(row["what"], tried, lost, seconds, row["test"])


def _summary(figures: list[Figure]) -> str:
    """A line for each file; several figures of one test took its time together."""
    suites: dict[str, list[Figure]] = {}
    for figure in figures:
        suites.setdefault(figure.test.partition("::")[0], []).append(figure)
    lines = []
    for file, found in suites.items():
        seconds = sum({figure.test: figure.seconds for figure in found}.values())
        tried, lost = sum(f.tried for f in found), sum(f.lost for f in found)
        lines.append(f"| `{file}` | {tried:,} | {lost:,} | {seconds:,.0f} |\n")
    return SUMMARY + "".join(lines)
