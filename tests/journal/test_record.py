"""One line: every field survives the way to the disk and back, and nothing else passes for one."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import MAX_ERROR_MESSAGE, ModelError, Status
from picture_captioner.journal.json_lines import read_fields
from picture_captioner.journal.record import (
    Record,
    RecordError,
    is_rel_path,
    parse_entries,
    parse_entry,
    parse_time,
    utc_now,
)
from tests.journal.support import photo

MINIMAL = b'{"rel_path":"a.jpg","caption":"x","status":"success"'

# os.fsdecode makes these of names that are not UTF-8; JSON carries them as lone escapes.
rel_paths = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    min_size=1,
).filter(is_rel_path)
texts = st.none() | st.text()
captions = st.text().map("A {}".format)
counts = st.none() | st.integers(0, 2**62)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)  # fmt: skip
records = st.builds(
    Record,
    rel_path=rel_paths,
    caption=captions,
    status=st.sampled_from(Status),
    error=st.none() | st.builds(RecordError, st.text(), st.text()),
    placeholder=st.booleans(),
    backend=texts,
    model=texts,
    content_sha256=texts,
    size=counts,
    mtime_ns=counts,
    copied_from=st.none() | rel_paths,
    cost_usd=st.none() | st.floats(0, 1e6),
    requests=counts,
    created_at=texts,
    extra=st.dictionaries(st.sampled_from(["title", "tags", "offset", "extra", "é"]), json_values),
)


@given(records)
def test_every_record_survives_the_way_to_a_line_and_back(record: Record):
    line = record.to_line()
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert Record.from_mapping(read_fields(line)) == record


@given(records)
def test_the_index_remembers_what_the_line_says_and_no_caption(record: Record):
    entry = parse_entry(record.to_line(), 17)
    for name in ("rel_path", "status", "placeholder", "backend", "model", "content_sha256", "size",
                 "mtime_ns", "copied_from", "cost_usd", "requests", "created_at"):  # fmt: skip
        assert getattr(entry, name) == getattr(record, name)
    assert (entry.caption, entry.offset) == (None, 17)


@given(st.lists(st.builds(photo, st.text(min_size=1).filter(is_rel_path), captions)))
def test_lines_read_together_are_read_as_they_are_one_by_one(several: list[Record]):
    lines = [record.to_line()[:-1] for record in several]
    offset, one_by_one = 3, []
    for line in lines:
        one_by_one.append(parse_entry(line, offset))
        offset += len(line) + 1
    assert parse_entries(lines, 3) == one_by_one


def test_names_that_are_not_utf8_come_back_as_the_same_bytes():
    name = b"2019/caf\xe9 \xff.jpg"
    line = photo(os.fsdecode(name)).to_line()
    assert b"\\udce9" in line
    assert os.fsencode(parse_entry(line, 0).rel_path) == name


def test_fields_that_say_nothing_are_left_out():
    record = photo("a.jpg", None, requests=0, cost_usd=0.0)
    assert set(json.loads(record.to_line())) == {
        "rel_path", "caption", "status", "requests", "cost_usd",
    }  # fmt: skip


def test_a_structured_field_cannot_pose_as_one_of_the_format():
    line = json.loads(photo("a.jpg", extra={"rel_path": "b.jpg", "title": "T"}).to_line())
    assert (line["rel_path"], line["title"]) == ("a.jpg", "T")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_a_number_that_json_has_no_word_for_is_not_written(value: Any):
    with pytest.raises(ValueError, match="JSON compliant"):
        photo("a.jpg", extra={"score": value}).to_line()


@pytest.mark.parametrize("value", [datetime(2026, 11, 21, tzinfo=UTC), b"x", {1}])
def test_a_value_that_json_does_not_know_is_not_written(value: Any):
    with pytest.raises(TypeError, match="JSON serializable"):
        photo("a.jpg", extra={"score": value}).to_line()


@pytest.mark.parametrize(
    "more",
    [
        b',"offset":"a field of somebody else"',
        b',"title":"caf\xc3\xa9\xe2\x80\xa8"',
        b',"x":"\\udce9","\\udce9":1',
        b',"x":' + b"9" * 5000,
        b',"x":1e999',
        b',"x":1e999,"y":"\\udce9","z":' + b"9" * 5000,
        b',"cost_usd":1',
        b',"error":"a sentence where an object belongs"',
        b',"caption":null,"tags":["a"]',
        b',"caption":" ","title":"A dog","x":"\\udce9"',
        b',"caption":null,"status":"error_api"',
    ],
    ids=lambda more: more.decode()[:20],
)
def test_lines_of_other_programs_that_are_records(more: bytes):
    line = MINIMAL + more + b"} \r"
    assert parse_entry(line, 5).offset == 5
    record = Record.from_mapping(read_fields(line))
    assert parse_entry(record.to_line(), 0).rel_path == "a.jpg"


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b'"a.jpg"',
        b"\0\0\0\0",
        MINIMAL,
        MINIMAL + b"} {}",
        b'{"rel_path":"","caption":"x","status":"success"}',
        b'{"rel_path":"a\\u0000b","caption":"x","status":"success"}',
        b'{"rel_path":"\\udce9\\u0000","caption":"x","status":"success"}',
        b'{"rel_path":null,"caption":"x","status":"success"}',
        b'{"rel_path":"a","caption":3,"status":"success"}',
        b'{"rel_path":"a","caption":null,"status":"done"}',
        b'{"rel_path":"a","status":"success"}',
        b'{"rel_path":"\\udce9","caption":null,"status":"done"}',
        b'["\\udce9"]',
        MINIMAL + b',"size":"3 MB"}',
        MINIMAL + b',"cost_usd":NaN}',
        MINIMAL + b',"cost_usd":NaN,"x":"\\udce9"}',
        MINIMAL + b',"cost_usd":1e999}',
        MINIMAL + b',"cost_usd":1e999,"x":"\\udce9"}',
        MINIMAL + b',"x":Infinity}',
        MINIMAL + b',"x":"\xff"}',
        MINIMAL + b',"x":"\xed\xb3\xa9"}',
        MINIMAL + b',"x":"tab\there"}',
        (MINIMAL + b"}").decode().encode("utf-16"),
        b'{"rel_path":"a","caption":null,"status":"success"}',
        b'{"rel_path":"a","caption":"","status":"success","id":7}',
        b'{"rel_path":"a","caption":" \\n","status":"success","tags":[]}',
        b'{"rel_path":"\\udce9","caption":null,"status":"success","title":" "}',
    ],
)
def test_lines_that_are_not_records(line: bytes):
    with pytest.raises(ValueError, match=r"."):
        parse_entry(line, 0)


@pytest.mark.parametrize(
    "path",
    [
        "/a.jpg", "//a.jpg", "../a.jpg", "a/../b.jpg", "a/..", "..", ".", "./a.jpg", "a/./b.jpg",
        "a//b.jpg", "a/", "/", "\udce9/../a.jpg", "file:///a.jpg",
    ],
)  # fmt: skip
def test_a_path_that_is_not_below_the_photos_directory_is_no_photos(path: str):
    line = json.dumps({"rel_path": path, "caption": "x", "status": "success"}).encode()
    with pytest.raises(ValueError, match="is no path below the photos directory"):
        parse_entry(line, 0)


@pytest.mark.parametrize(
    "path",
    [
        ".hidden.jpg", "..hidden.jpg", "...", "a..b.jpg", "a/..b/c.jpg", "a/b../.c", "-rf.jpg",
        " ", "a b", "a\nb.jpg", "a\\..\\b.jpg", "caf\udce9/..\udce9.jpg", "~/a.jpg", "C:\\a.jpg",
    ],
)  # fmt: skip
def test_any_name_that_a_file_can_have_is_one(path: str):
    line = json.dumps({"rel_path": path, "caption": "x", "status": "success"}).encode()
    assert parse_entry(line, 0).rel_path == path


def test_whatever_passes_for_an_entry_can_be_read_as_a_record():
    deep = MINIMAL + b',"x":' + b"[" * 300 + b"]" * 300 + b"}"
    assert parse_entry(deep, 0).rel_path == "a.jpg"
    assert Record.from_mapping(read_fields(deep)).rel_path == "a.jpg"
    with pytest.raises(RecursionError):
        parse_entry(deep.replace(b"[", b"[" * 100).replace(b"]", b"]" * 100), 0)


def test_an_error_becomes_code_and_message_of_bounded_length():
    error = RecordError.of(ModelError("x" * 600, code="empty"))
    assert (error.code, len(error.message)) == ("empty", MAX_ERROR_MESSAGE)


def test_times_are_utc_and_readable_again():
    now = utc_now()
    assert now.endswith("Z")
    assert abs((datetime.now(UTC) - parse_time(now)).total_seconds()) < 60
    assert parse_time("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    with pytest.raises(ValueError, match="yesterday"):
        parse_time("yesterday")
