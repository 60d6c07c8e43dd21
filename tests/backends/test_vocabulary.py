"""A vocabulary: its file, what is a term of it, and what becomes of a model's tags."""

from __future__ import annotations

import os

import pytest

from picture_captioner.backends.fields import DEFAULT_MAX_TAGS, OUTSIDE, FieldsAsked
from picture_captioner.backends.vocabulary import EnumLimit, Vocabulary, read_vocabulary
from picture_captioner.errors import ConfigurationError, ModelError, UsageError
from picture_captioner.pipeline.asking.prices import read_price_file
from picture_captioner.tags.taxonomy import Taxonomy

LINES = (
    "beach", "New York", "bike = bicycle", "Animal > Dog", "Animal > Dog > Poodle", "city",
    "pup = hound = Dog", "close-up", "child", "glass", "glasses", "Fruit > Orange",
    "Colour > Orange",
)  # fmt: skip


def test_a_file_is_a_term_a_line(tmp_path):
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# places\nbeach\n\n  snow \nbeach\nDog\ndog\n", encoding="utf-8")
    assert read_vocabulary(path).terms == ("beach", "snow", "Dog")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no terms"),
        (b"\xff\xfe", "not UTF-8"),
        (None, "No such file"),
        (b"Animal > > Dog", "'Animal > > Dog' is no term"),
        (b"= bicycle", "no term"),
        (b"x" * 101, "no term"),
        (b"cat\nbike = cat\nbike = bicycle", "bike is a term or another word"),
        (b"bike\nbike = bicycle", "bike is a term or another word"),
        (b"Fruit > Orange\nColour > Orange\ntangerine = orange", "several terms end with orange"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path, content, said):
    path = tmp_path / "terms.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_vocabulary(path)


@pytest.mark.parametrize(
    ("tag", "term"),
    [
        ("beach", "beach"), ("Beaches", "beach"), ("BEACH", "beach"), ("beachy", None),
        ("new  york", "New York"), ("new-york", "New York"), ("york", None),
        ("bike", "bicycle"), ("Bikes", "bicycle"), ("bicycles", "bicycle"),
        ("dog", "Animal > Dog"), ("dogs", "Animal > Dog"), ("Animal>Dog", "Animal > Dog"),
        ("hounds", "Animal > Dog"), ("pup", "Animal > Dog"), ("poodle", "Animal > Dog > Poodle"),
        ("animals", "Animal"), ("cities", "city"), ("close up", "close-up"),
        ("close_up", "close-up"), ("children", "child"), ("glasses", "glasses"),
        ("glass", "glass"), ("orange", None), ("fruit > oranges", "Fruit > Orange"),
        ("", None), (">", None), ("s", None), ("\u3000", None),
    ],
)  # fmt: skip
def test_a_tag_is_a_term_in_another_case_number_or_word(tag, term):
    assert Vocabulary.of(LINES).term(tag) == term


def test_a_model_calls_a_term_by_its_last_level_where_that_is_enough():
    named = Vocabulary.of(LINES).named
    assert "Dog" in named
    assert {"Fruit > Orange", "Colour > Orange"} <= set(named)
    assert all(Vocabulary.of(LINES).term(name) for name in named)


@pytest.mark.parametrize(
    ("mode", "tags"),
    [
        ("strict", ["Animal > Dog", "bicycle"]),
        ("prefer", ["Animal > Dog", "bicycle", "sunset glow", "surf"]),
        ("free", ["sunset glow", "Animal > Dog", "surf", "bicycle"]),
    ],
)
def test_tags_by_the_mode(mode, tags):
    found = Vocabulary.of(LINES, mode).sort(["Sunset glow", "dogs", "Surf", "bike", "Dog"])
    assert found.tags == tags
    assert found.outside == ["sunset glow", "surf"]


def asked(mode="strict", most=DEFAULT_MAX_TAGS, lines=LINES):
    return FieldsAsked(("caption", "tags"), most, Vocabulary.of(lines, mode))


def test_tags_of_nothing_but_other_words_are_asked_about_again_and_then_left_out():
    values = {"caption": "A wave.", "tags": ["surf"]}
    with pytest.raises(ModelError, match="words listed") as caught:
        asked().check(values)
    assert caught.value.code == "validation"
    assert asked().check(values, asked_before=True) == {
        "caption": "A wave.", "tags": [], OUTSIDE: ["surf"],
    }  # fmt: skip


@pytest.mark.parametrize("tags", [[], ["dog"], ["dog", "surf"]])
def test_a_strict_vocabulary_asks_for_no_least_number_of_tags(tags):
    found = asked().check({"caption": "A wave.", "tags": tags})
    assert found["tags"] == ["Animal > Dog"] * ("dog" in tags)


def test_there_are_never_more_tags_than_asked_for():
    found = asked(most=2).check({"caption": "A wave.", "tags": "dog, beach, city, bike"})
    assert found["tags"] == ["Animal > Dog", "beach"]


def test_the_question_lists_the_words_and_the_schema_holds_to_them():
    limit = EnumLimit(values=100, characters=1000)
    assert asked().schema(limit)["properties"]["tags"]["items"]["enum"][0] == "beach"
    assert "enum" not in asked("prefer").schema(limit)["properties"]["tags"]["items"]
    for small in (None, EnumLimit(3, 1000), EnumLimit(100, 20)):
        assert "enum" not in asked().schema(small)["properties"]["tags"]["items"]
    assert "The words for tags: beach; New York; Animal; Dog; Poodle" in asked().instruction()
    assert "[] if none fits" in asked().instruction()
    assert "3 to 5 keywords" in asked("prefer").instruction()
    assert "The words for tags" in asked("prefer").instruction()
    assert "words for tags" not in asked("free").instruction()


def test_a_list_too_long_for_a_question_is_not_told():
    many = asked(lines=tuple(f"term {number}" for number in range(2_001)))
    assert "words for tags" not in many.instruction()
    assert many.check({"caption": "x", "tags": ["Term 7", "y"]})["tags"] == ["term 7"]


def test_another_vocabulary_or_mode_is_another_question():
    digests = {asked(mode).limits["vocabulary"] for mode in ("strict", "prefer", "free")}
    assert len(digests | {asked(lines=("beach",)).limits["vocabulary"]}) == 4


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("# pets\na > b\nc\nb > a\n", "lines 2 and 4: .* goes round in a circle"),
        ("a > b\nb > c\nc > a\n", "lines 1 and 2 and 3: "),
    ],
)
def test_terms_above_each_other_are_refused_with_their_lines(tmp_path, lines, said):
    (tmp_path / "words").write_text(lines)
    with pytest.raises(UsageError, match=said):
        read_vocabulary(tmp_path / "words")
    (tmp_path / "words").write_text("USA > New York > New York\nUSA > Georgia\nGeorgia > Tbilisi\n")
    assert len(read_vocabulary(tmp_path / "words").terms) == 6


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_vocabulary, Taxonomy.read, read_price_file):
        with pytest.raises((UsageError, ConfigurationError), match="no regular file"):
            read(tmp_path / "pipe")
