"""The table of docs/reliability.md: written from what tests say, and true of the tree."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT
from tests.torture.figures import (
    BEGIN,
    END,
    HEAD,
    SUMMARY,
    Figure,
    figures_in,
    write_figures,
)

DOCUMENT = ROOT / "docs" / "reliability.md"


def test_rows_of_tests_that_ran_are_replaced_and_others_stay(tmp_path):
    document = tmp_path / "table.md"
    document.write_text(f"before\n{BEGIN}{END}after\n")
    old, kills = "t.py::test_old", "t.py::test_kills[1 to 2]"
    write_figures(
        document, [Figure("cuts", 5, 0, 1.2, old), Figure("kills", 1_000, 0, 61.4, kills)]
    )
    write_figures(document, [Figure("cuts", 7, 0, 2.0, old), Figure("holes", 1, 0, 2.0, old)])
    assert document.read_text() == (
        f"before\n{BEGIN}{SUMMARY}| `t.py` | 1,008 | 0 | 63 |\n\n"
        f"{HEAD}| kills | 1,000 | 0 | 61 | `{kills}` |\n"
        f"| cuts | 7 | 0 | 2 | `{old}` |\n| holes | 1 | 0 | 2 | `{old}` |\n{END}after\n"
    )


def test_a_report_carries_what_its_test_noted(tried, request):
    tried("nothing at all", 3)
    report = pytest.TestReport(
        "t.py::x", ("t.py", 1, "x"), {}, "passed", None, "call",
        user_properties=request.node.user_properties, duration=2.0,
    )  # fmt: skip
    assert figures_in([report]) == [Figure("nothing at all", 3, 0, 2.0, "t.py::x")]
    request.node.user_properties.clear()  # no row of its own


def test_every_row_names_a_test_that_is_there():
    named = re.findall(r"\| `(\S+::[^`]+)` \|$", DOCUMENT.read_text("utf-8"), re.M)
    assert named
    for test in named:
        path, _, name = test.partition("::")
        function = name.partition("[")[0].rpartition("::")[2]
        assert f"def {function}(" in (ROOT / path).read_text("utf-8"), test
