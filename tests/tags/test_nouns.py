"""The open vocabulary: nouns, and which are above which."""

from __future__ import annotations

from picture_captioner.tags.nouns import Nouns


def test_nouns_have_more_general_ones_and_no_circle():
    nouns = Nouns.read()
    assert len(nouns.names) == len(set(nouns.names)) > 8_000
    assert set(nouns.above.values()) <= set(nouns.names)
    assert next(nouns.more_general("poodle")) == "dog"
    assert "animal" in list(nouns.more_general("poodle"))
    for name in nouns.names:
        assert name not in list(nouns.more_general(name))
    assert all(name.isascii() and name == name.lower() for name in nouns.names)


def test_of_a_noun_and_a_more_general_one_the_first_is_kept():
    nouns = Nouns.read()
    assert nouns.most_special(["dog", "poodle", "beach", "animal"]) == ["poodle", "beach"]
    assert nouns.sentences("apple")[0] == "a photo of an apple."
