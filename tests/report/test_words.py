"""Captions into words and keywords, in several languages."""

from __future__ import annotations

import pytest

from picture_captioner.report.keywords import keywords
from picture_captioner.report.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A photo of two children on the beach.", ["children", "beach"]),
        ("Café crème, naïve Ærø", ["café", "crème", "naïve", "ærø"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("Ein Hund im SCHNEE, Straße", ["hund", "schnee", "strasse"]),
        ("Дети играют на пляже", ["дети", "играют", "на", "пляже"]),
        ("समुद्र तट", ["समुद्र", "तट"]),
        ("شاطئ البحر", ["شاطئ", "البحر"]),
        ("海辺の子供", ["海辺", "辺の", "の子", "子供"]),
        ("海", ["海"]),
        ("iPhone写真", ["iphone", "写真"]),
        ("12 boats, 3.5 m, x", ["boats"]),
        ("well-lit o'clock", ["well-lit", "o'clock"]),
        ("", []),
        ("\udce9 \x00 <b>bold</b>", ["bold"]),
    ],
)
def test_words(text, expected):
    assert list(words(text)) == expected


def test_thai_has_no_spaces_and_still_has_words():
    assert len(list(words("เด็กบนชายหาด"))) >= 3


def test_keywords_tell_a_group_from_the_others():
    groups = [
        ["A dog on the beach.", "A dog runs into the waves.", "Waves on a beach.", "A dog sleeps."],
        ["A dog in the snow.", "Snow on a mountain.", "A mountain hut.", "A dog sleeps."],
    ]
    beach, mountain = keywords(groups)
    assert set(beach[:2]) == {"beach", "waves"}
    assert set(mountain[:2]) == {"mountain", "snow"}
    assert "runs" not in beach, "one caption of four is not the group"


def test_what_half_of_all_captions_say_is_no_keyword():
    groups = [[f"zzhabit beach {i}" for i in range(40)], [f"zzhabit snow {i}" for i in range(40)]]
    assert keywords(groups) == [("beach",), ("snow",)]


def test_a_word_and_its_plural_are_one_keyword():
    assert keywords([["boat boats harbour", "boats boat harbour"]]) == [("boat", "harbour")]


def test_groups_without_captions_have_no_keywords():
    assert keywords([]) == []
    assert keywords([[], ["the of and"]]) == [(), ()]
