"""Leaked reasoning: a caption is never a train of thought."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner.backends.reasoning import without_reasoning

MARKS = ["<think>", "</think>", "<THINKING>", "</thinking>", "◁think▷", "◁/think▷"]


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A dog on a beach.", "A dog on a beach."),
        ("<think>Hm, a dog?</think>\n\nA dog.", "A dog."),
        ("<think></think>A dog.", "A dog."),
        ("<Thinking>Hm</Thinking> A dog.", "A dog."),
        ("<think>one</think>A dog <think>two</think>on a beach.", "A dog on a beach."),
        ("<think>a <think>nested</think> thought</think>A dog.", "A dog."),
        ("Hm, a dog?</think>A dog.", "A dog."),
        ("◁think▷Hm◁/think▷A dog.", "A dog."),
        ("A dog. <think>Is it", "A dog."),
        ("<think>Hm, a dog? Or is it", ""),
        ("<think>Hm</think>", ""),
        ("  ", ""),
        ("A sign that reads <b>think</b>.", "A sign that reads <b>think</b>."),
    ],
)
def test_what_is_left(answer, caption):
    assert without_reasoning(answer) == caption


@given(st.lists(st.sampled_from([*MARKS, "dog", " ", "beach"])).map("".join))
def test_no_mark_survives_and_nothing_is_added(answer):
    left = without_reasoning(answer)
    assert not any(mark in left for mark in MARKS)
    assert left.count("dog") <= answer.count("dog")


@given(st.text(alphabet="abc <>/.\n"), st.text(alphabet="xyz .\n"))
def test_a_closed_block_in_front_leaves_the_caption_as_it_is(thought, caption):
    assert without_reasoning(f"<think>{thought}</think>{caption}") == caption.strip()
