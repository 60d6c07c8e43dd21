"""Hints: read strictly, found by path or content, fit for a prompt."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.hints import (
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    Hints,
    read_hints,
)

SHA = "ab" * 32


def written(tmp_path, *lines):
    path = tmp_path / "hints.jsonl"
    path.write_bytes(b"".join(line if isinstance(line, bytes) else dump(line) for line in lines))
    return path


def dump(line):
    return json.dumps(line).encode() + b"\n"


def test_tags_are_found_by_path_and_by_content(tmp_path):
    path = written(
        tmp_path,
        {"rel_path": "a/1.jpg", "tags": ["dog", "beach"]},
        {"content_sha256": SHA.upper(), "tags": ["beach", "anna"], "score": 0.3},
        b"\n",
        {"rel_path": "a/1.jpg", "tags": ["dog", "ball"]},
    )
    hints = read_hints(path)
    assert hints
    assert hints.tags("a/1.jpg", None) == ("dog", "beach", "ball")
    assert hints.tags("renamed.jpg", SHA) == ("beach", "anna")
    assert hints.tags("a/1.jpg", SHA) == ("dog", "beach", "ball", "anna")
    assert hints.tags("a/2.jpg", "cd" * 32) == ()
    assert Hints().tags("a/1.jpg", SHA) == ()


def test_a_name_that_is_not_utf_8_is_found(tmp_path):
    path = written(tmp_path, rb'{"rel_path": "caf\udce9.jpg", "tags": ["cup"]}' + b"\n")
    assert read_hints(path).tags("caf\udce9.jpg", None) == ("cup",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"dog, beach\n", "line 2"),
        (b'{"rel_path": "a.jpg"}\n', "tags"),
        (b'{"rel_path": "a.jpg", "tags": "dog"}\n', "tags"),
        (b'{"tags": ["dog"]}\n', "no rel_path and no content_sha256"),
        (b'{"content_sha256": "12", "tags": []}\n', "content_sha256"),
        (b'{"rel_path": "", "tags": []}\n', "rel_path"),
        (b"\xff\xfe\n", "line 2"),
        (b"[" * 100_000 + b"\n", "line 2"),
    ],
)
def test_a_line_that_is_no_hint_is_named(tmp_path, line, said):
    path = written(tmp_path, {"rel_path": "a.jpg", "tags": []}, line)
    with pytest.raises(UsageError) as caught:
        read_hints(path)
    assert said in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.jsonl: No such file"):
        read_hints(tmp_path / "none.jsonl")


@given(st.lists(st.text(), max_size=120))
def test_whatever_a_tagger_wrote_fits_into_a_prompt(tmp_path_factory, tags):
    path = written(tmp_path_factory.mktemp("hints"), {"rel_path": "a.jpg", "tags": tags})
    given_tags = read_hints(path).tags("a.jpg", None)
    assert len(given_tags) <= MAX_TAGS
    assert len(set(given_tags)) == len(given_tags)
    for tag in given_tags:
        assert 0 < len(tag) <= MAX_TAG_CHARACTERS
        assert tag.isprintable()
        assert tag == " ".join(tag.split())
        tag.encode("utf-8")


def test_a_name_is_found_however_its_accents_are_spelled(tmp_path):
    path = tmp_path / "hints.jsonl"
    path.write_text('{"rel_path": "Caf\\u00e9/1.jpg", "tags": ["coffee"]}\n', encoding="utf-8")
    assert read_hints(path).tags("Cafe\u0301/1.jpg", None) == ("coffee",)
