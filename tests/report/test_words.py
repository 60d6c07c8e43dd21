"""Captions into words and keywords, in several languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from picture_captioner.report.keywords import keywords, what_is_said
from picture_captioner.report.words import telling_words, words
from tests.report.support import photo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "A photo of two children on",
            ["photo", "of", "two", "children", "on"],
        ),
        ("Café crème, naïve Ærø", ["café", "crème", "naïve", "ærø"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("Ein Hund im SCHNEE, Straße", ["ein", "hund", "im", "schnee", "strasse"]),
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


def test_a_word_that_begins_like_another_is_another_word():
    caption = "The care of a cat in the car at the cathedral"
    assert keywords([[caption] * 3]) == [("care", "cat", "car", "cathedral")]


@pytest.mark.parametrize(
    ("captions", "never"),
    [
        (
            "Die Kinder spielen neben ihnen am Meer, hinter ihnen das Haus.",
            "ihnen",
        ),
        ("En hund på stranden, där barnen leker med en boll.", "där"),
        ("Дети играют на пляже, перед ними море, и за ними видны горы.", "ними"),
        (
            "Kinderen op het strand met hun hond, terwijl zij kijken naar de zee.",
            "terwijl",
        ),
        ("Kaksi lasta leikkii rannalla, ja heidän koiransa juoksee heidän kanssaan.", "heidän"),
    ],
)
def test_function_words_of_many_languages_are_no_keywords(captions, never):
    assert never in set(words(captions))
    assert all(never not in found for found in keywords([[captions] * 3, ["A harbour."]], 30))


def test_a_function_word_of_one_language_is_a_word_of_another():
    """`cat` says nothing in Romanian, `car` in French, `sea` in Spanish, `dog` in Danish."""
    english = [
        "A cat sleeps in the car.",
        "The dog looks at the sea from a car.",
        "A cat by the sea.",
    ]
    french = ["Un chien court, car il est content avec les enfants sur la plage."]
    [found, courant] = keywords([english, french], 30)
    assert {"cat", "car", "sea", "dog"} <= set(found)
    assert "car" not in courant
    assert "chien" in courant


def test_where_most_photos_have_tags_these_name_a_group_and_not_the_adjectives():
    firs = "Tall silver firs stand close together on a misty slope."
    valley = "A wide valley stretches to the horizon."
    photos = [
        *(photo(f"a{i}.jpg", caption=firs, tags=("Forest", "silver fir")) for i in range(4)),
        *(photo(f"b{i}.jpg", caption=valley, tags=("valley",)) for i in range(3)),
        photo("b3.jpg", caption=valley),
    ]
    said = what_is_said(photos, [one.caption for one in photos])
    assert said[0] == ("Forest", "silver fir")
    assert said[7] == valley
    assert keywords([said[:4], said[4:]], 2) == [("forest", "silver fir"), ("valley",)]
    barely = [replace(one, tags=()) if i > 2 else one for i, one in enumerate(photos)]
    assert what_is_said(barely, [firs] * 8) == [firs] * 8


def test_groups_without_captions_have_no_keywords():
    assert keywords([]) == []
    assert keywords([[], ["the of and"]]) == [(), ()]


def test_a_group_of_common_words_alone_has_those_at_need():
    groups = [["A dog on a beach."] * 40, ["A dog lying on a sandy beach."] * 20]
    assert keywords(groups) == [(), ("lying", "sandy")]
    assert keywords(groups, common_at_need=True) == [("dog", "beach"), ("lying", "sandy")]


def test_of_a_placeholder_the_colours_tell():
    """What `template` says of one picture as of another names no theme."""
    captions = [
        "A landscape-format picture, mostly sky blue above grey-blue; crisp edges.",
        "A portrait-format picture, in beige, with touches of orange; crisp edges.",
    ]
    assert telling_words(captions) == [["sky", "blue", "grey-blue"], ["beige", "orange"]]
