"""No cell of the CSV calculates, whoever opens it, and every text can be had back from it."""

from __future__ import annotations

import csv
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import Status
from picture_captioner.report.csv_export import COLUMNS, cell, write_csv
from tests.report.support import bare_report, photo
from tests.torture.payloads import everything, formulas

CALCULATES = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
TRIMMED = '" \t\r\n\u00a0\u3000\u200c\u200d'
NUMBER = re.compile(r"-?\d+(\.\d+)?$")
ROWS = 256
"""Gnumeric's sheet has 65,536 rows; a few hundred at a time make errors short."""


def text_of(written: str) -> str:
    """What docs/report.md says of how a text is had back from its cell."""
    text = re.sub(r"^'(?='*[\t\r\n])", "", written)
    begins = r"((?:^|[;|\t\r\n])[\s\"'\u200c\u200d]*)'(?=[=+\-@\uff1d\uff0b\uff0d\uff20])"
    text = re.sub(begins, r"\1", text)
    codes = r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})"
    return re.sub(codes, lambda match: chr(int(next(filter(None, match.groups())), 16)), text)


def written(texts: list[str], folder: Path) -> Path:
    """Every text as a name, a caption and an error."""
    photos = [photo(text, caption=text) for text in texts]
    photos += [photo(f"{i}", status=Status.ERROR_API, last_error=t) for i, t in enumerate(texts)]
    return write_csv(bare_report(photos), folder)


def test_every_text_is_in_its_cell_and_comes_back(tmp_path, share, tried):
    texts = everything()[:: share(7, 1)]
    with open(written(texts, tmp_path), encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))
    assert tuple(rows.pop(0)) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    path, label, error = map(COLUMNS.index, ("path", "label", "last_error"))
    named, failed = rows[: len(texts)], rows[len(texts) :]
    found = [
        (text_of(row[path]), text_of(row[label]), text_of(other[error]))
        for row, other in zip(named, failed, strict=True)
    ]
    lost = sum(cells != (text, text, text) for text, cells in zip(texts, found, strict=True))
    assert lost == 0
    tried("hostile texts in the CSV, read back", 3 * len(texts), lost=lost)


def beginnings(content: str, separator: str) -> list[str]:
    """What a reader takes for cells that splits at this separator and knows no quotes."""
    return [piece.lstrip(TRIMMED) for piece in re.split(f"[{separator}\r\n]", content)]


@pytest.mark.parametrize("separator", [";", "\t", "|"], ids=["semicolons", "tabs", "pipes"])
def test_no_cell_calculates_for_a_reader_of_another_separator(
    tmp_path, share, tried, separator, request
):
    texts = formulas()[:: share(5, 1)]
    content = written(texts, tmp_path).read_bytes().decode("utf-8")
    cells = beginnings(content, re.escape(separator))
    dangerous = [c for c in cells if CALCULATES.match(c) and not NUMBER.match(c)]
    assert dangerous == []
    split_at = request.node.callspec.id
    tried(f"formulas, split at {split_at} without quotes", 3 * len(texts))


def test_this_search_would_find_a_formula():
    """Nearly every payload calculates for a reader or another as long as nobody mends it."""
    texts = formulas()
    alive = sum(any(map(CALCULATES.match, beginnings(t, ";\t|,"))) for t in texts)
    assert alive > 0.7 * len(texts)


@given(st.text(st.characters(codec=None) | st.sampled_from("=+-@;|\t\r\n\"' \\xu0123'")))
def test_any_text_comes_back_and_never_calculates(text):
    shown = cell(text)
    assert text_of(shown) == text
    for separator in (";", "\t", "\\|"):
        assert not any(map(CALCULATES.match, beginnings(shown, separator)))


@pytest.mark.needs("ssconvert")
def test_a_real_spreadsheet_finds_no_formula(tmp_path, share, tried):
    texts = formulas()[:: share(40, 1)]
    for start in range(0, len(texts), ROWS):
        piece = texts[start : start + ROWS]
        cells = cells_of(written(piece, tmp_path))
        assert len(cells) > 2 * len(piece) * 3
        assert not [text for kind, text in cells if kind is None], "these would be calculated"
    tried("formulas opened in Gnumeric", 3 * len(texts))


@pytest.mark.needs("ssconvert")
def test_the_spreadsheet_would_calculate(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text('a,=1+1,"x;=2+2"\n')
    assert (None, "=1+1") in cells_of(path)


def cells_of(path: Path) -> list[tuple[str | None, str]]:
    """Type and text of each cell as Gnumeric has it; a formula has no type."""
    sheet = path.with_suffix(".xml")
    command = ["ssconvert", "-I", "Gnumeric_stf:stf_csvtab", "-T", "Gnumeric_XmlIO:sax:0"]
    done = subprocess.run(
        [*command, str(path), str(sheet)], capture_output=True, text=True, timeout=120
    )
    assert sheet.exists(), done.stderr
    name = "{http://www.gnumeric.org/v10.dtd}Cell"
    return [(c.get("ValueType"), c.text or "") for c in ET.parse(sheet).getroot().iter(name)]
