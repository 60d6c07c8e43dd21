"""Nothing from outside can steer the terminal, and numbers read well."""

import io
import json
import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picture_captioner.cli.terminal import (
    dollars,
    duration,
    rate,
    safe,
    say,
    show,
    show_table,
    size,
)

ODD = st.text(st.characters() | st.sampled_from("\x00\x1b\x7f\x9b\n\t\u202e\u2028\u200d\udce9"))


@given(text=ODD)
def test_safe_leaves_nothing_that_a_terminal_obeys(text):
    shown = safe(text)
    categories = {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"}
    assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert safe(shown) == shown


@given(text=st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Mn", "Me"])))
@example(text="Ömers Foto 家族.jpg")
@example(text="👩‍👩‍👧 👍🏽 🏳️‍🌈 🇨🇭 1️⃣")
@example(text="שבת ๒๓ é")
def test_safe_keeps_what_people_write(text):
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\x9b2Jb", r"a\x9b2Jb"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\nSkipping 7", r"a\nSkipping 7"),
        ("caf\udce9.jpg", r"caf\udce9.jpg"),
        ("a\rb\tc", r"a\rb\tc"),
        ("\u2066x\ufeff", r"\u2066x\ufeff"),
    ],
)
def test_safe_shows_what_it_took_out(text, shown):
    assert safe(text) == shown


def test_data_goes_to_stdout_and_talk_to_stderr(capsys):
    say("hello\x07")
    show("data\x07")
    out, err = capsys.readouterr()
    assert (out, err) == ("data\\x07\n", "hello\\x07\n")


def test_columns_are_separated_by_tabs_that_no_name_can_fake(capsys):
    show("a\tb.jpg", "truncated", "ends early")
    assert capsys.readouterr().out == "a\\tb.jpg\ttruncated\tends early\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_data_is_shown_in_any_encoding(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    show("家族 é.jpg")
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding).endswith(".jpg\n")


def test_a_closed_terminal_does_not_stop_the_talk(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("nobody hears this")


def test_a_pipe_that_nobody_reads_does_not_stop_the_talk(monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    say("nobody hears this")


def test_table(capsys):
    show_table([("photos", "3"), ("a", "b")])
    show_table([])
    assert capsys.readouterr().out.splitlines() == ["photos  3", "a       b"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (86_400, "1 day"),
        (273_600, "3 days 4 h"),
    ],
)
def test_duration(seconds, said):
    assert duration(seconds) == said


UNITS = {"day": 86_400, "days": 86_400, "h": 3600, "min": 60, "s": 1}


@given(seconds=st.floats(0, 1e9))
def test_a_duration_is_true_within_its_second_unit(seconds):
    found = re.findall(r"(\d+) ([a-z]+)", duration(seconds))
    said = sum(int(number) * UNITS[unit] for number, unit in found)
    assert 1 <= len(found) <= 2
    assert abs(said - seconds) <= max(UNITS[found[-1][1]], seconds * 0.05)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (135_400, "135 kB"),
        (999_700, "1 MB"),
        (2.4e9, "2.4 GB"),
        (999.9e9, "1 TB"),
        (1234e12, "1.23 PB"),
    ],
)
def test_size(number, said):
    assert size(number) == said


@pytest.mark.parametrize(
    ("per_second", "said"),
    [(0.5128, "0.513"), (12.34, "12.3"), (99.96, "100"), (1234.5, "1,234"), (0, "0")],
)
def test_rate(per_second, said):
    assert rate(per_second) == f"{said} per second"


@given(number=st.floats(0, 1e15) | st.integers(0, 10**15))
def test_no_number_is_in_scientific_notation(number):
    assert "e" not in size(number).removesuffix("bytes")
    assert number < 1e-3 or "e+" not in rate(number)


def test_json_passes_unchanged(capsys):
    value = {"rel_path": "caf\udce9\n.jpg", "n": 1}
    show(json.dumps(value))
    assert json.loads(capsys.readouterr().out) == value


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "0.00 USD"),
        (0.000000361, "0.00000036 USD"),
        (0.000364, "0.00036 USD"),
        (0.0999, "0.100 USD"),
        (0.5, "0.50 USD"),
        (0.996, "1.00 USD"),
        (1234.5, "1,234.50 USD"),
    ],
)
def test_dollars(amount, said):
    assert dollars(amount) == said


def test_marks_are_not_piled_up():
    tibetan = "\u0f67\u0f90\u0fb5\u0fa8\u0fb3\u0fba\u0fbc\u0fbb\u0f82"  # eight on a letter
    assert safe(f"{tibetan} e\u0301") == f"{tibetan} e\u0301"
    assert (
        safe("a" + "\u0301" * 300 + "b\u0301") == "a" + "\u0301" * 8 + "\\u0301" * 292 + "b\u0301"
    )
