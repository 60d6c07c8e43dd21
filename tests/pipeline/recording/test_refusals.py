"""Refusals, models that saw no image, and captions that sound like them, in 34 languages."""

import time
from collections import Counter
from pathlib import Path

import pytest

from picture_captioner.errors import ModelError, RefusedInWordsError
from picture_captioner.pipeline.recording.answers import fault_in, judge_answer
from picture_captioner.pipeline.recording.refusals import refusal_in

REFUSAL = "I'm sorry, but I can't help with that."
BLIND = "I don't see an image attached."


def answers(name):
    lines = (Path(__file__).parent / name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines]


def mistaken(rows):
    """Those that are taken for the other: refusals, and captions."""
    wrong = [
        (kind, text) for kind, _, text in rows if bool(refusal_in(text)) == (kind == "caption")
    ]
    return (
        [text for kind, text in wrong if kind != "caption"],
        [text for kind, text in wrong if kind == "caption"],
    )


def bad(text):
    """Whether the text would not be stored."""
    try:
        judge_answer(text)
    except ModelError:
        return True
    return False


def test_what_it_learned_from_is_known():
    rows = answers("answers.tsv")
    of_kind = Counter(kind for kind, _, _ in rows)
    missed, wrong = mistaken(rows)
    assert len(missed) <= 0.01 * (len(rows) - of_kind["caption"]), missed
    assert len(wrong) <= 0.01 * of_kind["caption"], wrong
    kinds = [refusal_in(text) == kind for kind, _, text in rows if kind != "caption"]
    assert sum(kinds) >= 0.97 * len(kinds)


@pytest.mark.parametrize("name", ["unseen_before.tsv", "unseen_after.tsv"])
def test_of_what_it_did_not_learn_from_98_of_100_are_right_on_each_side(name):
    """Written by others, who saw neither code nor answers: one set before, one after the code."""
    learned = {text for _, _, text in answers("answers.tsv")}
    rows = [row for row in answers(name) if row[2] not in learned]
    assert len(rows) >= 190, "the same short refusal may stand in both"
    missed, wrong = mistaken(rows)
    assert len(missed) <= 2, missed
    assert len(wrong) <= 2, wrong


def test_of_hard_ones_by_another_hand_98_of_100_are_right_on_each_side():
    """Captions of dialogs, contracts and darkness; refusals, errors. By one who read none here."""
    learned = {text for _, _, text in answers("answers.tsv")}
    rows = [row for row in answers("unseen_hard.tsv") if row[2] not in learned]
    assert len(rows) >= 570
    taken = {
        kind: [text for own, _, text in rows if own == kind and (kind == "caption") == bad(text)]
        for kind in ("caption", "refused", "no_image", "error")
    }
    assert {kind: len(texts) for kind, texts in taken.items() if len(texts) > 2} == {}, taken


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "?",
        "12",
        "Dog",
        "A caption for request 17.",
        "server caption",
        "response 5",
        "Photo 1.",
        "IMG_0001",
        "a" * 3000,
        "«»",
        "Caption 3 of b.jpg",
        "🎉",
    ],
)
def test_what_says_little_is_a_caption(text):
    assert refusal_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f'"{REFUSAL}"',
        f"“{REFUSAL}”",
        "Hello! Thank you for your message. I don\u2019t see any image here.",
        "I'm sorry.\n\nI can't help with identifying people.",
        REFUSAL.upper(),
    ],
)
def test_quotation_marks_around_all_and_politeness_in_front_change_nothing(text):
    assert refusal_in(text)


def test_what_stands_between_quotation_marks_is_read_in_the_picture():
    assert refusal_in(f'A sign above the counter says "{REFUSAL}"') is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [(REFUSAL, "refused"), (BLIND, "no_image"), (f"This image shows {BLIND}", "no_image")],
)
def test_it_is_no_caption_and_its_verdict_quotes_it(answer, code):
    with pytest.raises(ModelError) as verdict:
        judge_answer(answer)
    assert verdict.value.code == code
    assert answer[-20:] in str(verdict.value)
    assert isinstance(verdict.value, RefusedInWordsError) == (code == "refused")


def test_a_stored_record_is_judged_by_the_same_rule_in_its_descriptions_alone():
    assert fault_in(REFUSAL, {}).code == "refused"
    assert fault_in("A dog.", {"title": BLIND}).code == "no_image"
    assert fault_in("A dog.", {"summary": REFUSAL}).code == "refused"
    honest = {"title": "A dog", "tags": ["no image"], "text_in_image": {"value": REFUSAL}}
    assert fault_in("A dog.", honest) is None
    assert fault_in(None, {"title": 7}) is None


@pytest.mark.parametrize(
    "unit", ["sorry ", "i can't see ", "kann ich ", "please upload ", '"', "我没有"]
)
def test_a_long_answer_takes_no_longer_than_a_short_one(unit):
    refusal_in(unit)  # the weights are read once
    started = time.process_time()
    refusal_in(unit * 500_000)
    assert time.process_time() - started < 0.5
