"""The CSV: a row for every photo, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import Status
from picture_captioner.report.csv_export import COLUMNS, cell, write_csv
from picture_captioner.report.model import NOISE
from tests.report.support import bare_report, build, photo

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1.jpg",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1",
    'say "hi", there',
    "two\nlines.jpg",
    "caf\udce9.jpg",
    "\x1b[2J\u202egpj.exe",
    "ordinary/näme 海.jpg",
]


def rows(path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_every_photo_has_a_row(themes, tmp_path):
    path = write_csv(themes.built.report, tmp_path)
    found = rows(path)
    assert [row["path"] for row in found] == [p.rel_path for p in themes.photos]
    assert tuple(found[0]) == COLUMNS
    report = themes.built.report
    for i in (0, 99, 599):
        number = report.clustering.cluster[i]
        assert found[i]["cluster"] == ("noise" if number == NOISE else str(number))
        assert found[i]["label"] == themes.photos[i].caption
        assert found[i]["status"] == "success"
        assert float(found[i]["map_x"]) == pytest.approx(report.clustering.position[i, 0], abs=1e-4)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["cluster_export.csv"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_captions_stay_text(text, tmp_path):
    photos = [photo(text, caption=text), photo("b", status=Status.ERROR_API, last_error=text)]
    first, second = rows(write_csv(bare_report(photos), tmp_path))
    for value in (first["path"], first["label"], second["last_error"]):
        assert value[0] not in "=+-@\t\r\n\uff1d"
        assert "\x1b" not in value and "\u202e" not in value
        assert value.lstrip("'").startswith(text[:1]) or text[0] in "\x1b\udce9"


def test_escapes_and_line_breaks_are_written_as_documented():
    assert cell("caf\udce9.jpg") == "caf\\udce9.jpg"
    assert cell("\x1b[2J") == "\\x1b[2J"
    assert cell("two\nlines") == "two\nlines"
    assert cell("\nline") == "'\nline"
    assert cell("=1") == "'=1"
    assert cell("") == ""


@given(st.text())
def test_any_text_survives_a_strict_reader(text):
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([cell(text), "end"])
    written.getvalue().encode("utf-8")
    (row,) = csv.reader(io.StringIO(written.getvalue(), newline=""), strict=True)
    assert row == [cell(text), "end"]


def test_a_photo_without_a_vector_and_an_outlier_are_told_apart(tmp_path):
    photos = [photo("none.jpg"), photo("alone.jpg")]
    none, alone = rows(write_csv(build(photos, [[0, 0], [1, 0]]).report, tmp_path))
    assert (none["cluster"], none["map_x"], none["status"]) == ("", "", "")
    assert alone["cluster"] == "noise"
    assert alone["map_x"] == "0.5000"
    assert alone["centroid_distance"] == ""


def test_no_photos_leave_the_header(tmp_path):
    path = write_csv(bare_report([]), tmp_path)
    assert path.read_bytes() == (",".join(COLUMNS) + "\r\n").encode()


def test_an_older_export_stays_when_the_new_one_fails(tmp_path):
    path = write_csv(bare_report([photo("a.jpg")]), tmp_path)
    before = path.read_bytes()
    broken = bare_report([photo("a.jpg"), photo("b.jpg", taken_at="no time")])
    with pytest.raises(AttributeError):
        write_csv(broken, tmp_path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["cluster_export.csv"]


def test_excel_is_told_that_it_is_utf_8(tmp_path):
    report = bare_report([photo("näme.jpg")])
    assert write_csv(report, tmp_path, excel=True).read_bytes().startswith(b"\xef\xbb\xbfpath,")
    assert write_csv(report, tmp_path).read_bytes().startswith(b"path,")
