from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.report.page.columns import Texts, floats, integers, script_json

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


def unpacked(column, count):
    """What data.js does."""
    if isinstance(column, int):
        return [column] * count
    return np.frombuffer(base64.b64decode(column["d"]), f"<{column['t']}").tolist()


@given(st.lists(st.integers(-(2**40), 2**40), max_size=40))
def test_integers_come_back(values):
    assert unpacked(integers(values), len(values)) == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([-1, 127], "i1"),
        ([0, 255], "u1"),
        ([-1, 255], "i2"),
        ([0, 65535], "u2"),
        ([-1, 65535], "i4"),
        ([0, 2**32 - 1], "u4"),
        ([0, 2**32], "f8"),
    ],
)
def test_integers_take_the_narrowest_type(values, kind):
    assert integers(values)["t"] == kind


def test_a_column_of_one_value_is_a_number():
    assert integers([7] * 44_000) == 7


def test_floats_keep_nan():
    first, second = unpacked(floats([1.5, float("nan")]), 2)
    assert first == 1.5
    assert second != second


def test_a_text_is_kept_once():
    texts = Texts()
    assert unpacked(texts.column(["a", None, "b", "a", ""]), 5) == [0, -1, 1, 0, -1]
    assert texts.all == ["a", "b"]


@given(ANY_TEXT)
def test_any_text_survives_as_script_json(text):
    written = script_json({"text": text}).encode("utf-8")
    assert json.loads(written)["text"].encode("utf-16", "surrogatepass") == text.encode(
        "utf-16", "surrogatepass"
    )


@given(ANY_TEXT)
def test_script_json_cannot_end_its_element(text):
    written = script_json([text, f"</script>{text}<!--<script>"])
    assert "<" not in written
    assert not set(written) & set("\u2028\u2029\r\n\x00")
