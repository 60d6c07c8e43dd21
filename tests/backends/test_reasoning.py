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


R = "The user wants a caption. I see a dog, perhaps a terrier."


@pytest.mark.parametrize(
    "answer",
    [
        f"<|channel>thought\n{R}\n<channel|>A dog.",
        "<|channel>thought\n<channel|>A dog.",
        f"{R}\n<channel|>A dog.",
        "thought\n\nA dog.",
        f"[THINK]{R}[/THINK]A dog.",
        f"<seed:think>{R}</seed:think>A dog.",
        f"<mm:think>{R}</mm:think>\n\nA dog.",
        f"<think duration='2'>{R}</think>A dog.",
        f"<thoughts>{R}</thoughts>A dog.",
        f"<|START_THINKING|>{R}<|END_THINKING|><|START_RESPONSE|>A dog.<|END_RESPONSE|>",
        f"<|begin_of_thought|>{R}<|end_of_thought|>\n<|begin_of_solution|>A dog.",
        f"Here are my reasoning steps:\n{R}\n[BEGIN FINAL RESPONSE]\nA dog.\n[END FINAL RESPONSE]",
        f"Here is my thought process: {R} Here is my response: A dog.",
        "Here's a thinking process:\n\n1.  **Analyze:** dog.\n</think>\n\nA dog.",
        f"Thought: {R}\nAnswer: A dog.",
        f"**Reasoning:** {R}\n\n**Final answer:** A dog.",
        f"Okay, so {R}\n\nCaption: A dog.",
    ],
)
def test_the_marks_of_other_families_and_labels(answer):
    assert without_reasoning(answer) == "A dog."


@pytest.mark.parametrize(
    "answer",
    [
        R,
        f"thought\n{R}\nA dog.",
        f"<|channel>thought\n{R}",
        f"[THINK]{R}",
        "Thinking Process:\n\n1.  **Analyze the image:** a dog.\n2.  **Draft:** A dog.",
        "Here's a thinking process that leads to the caption:\n\n1.  **Analyze:** a dog",
        f"Thinking: {R}\n\nA dog.",
        "Got it, let's look at the image. There is a dog. So the caption should be: A dog.",
        "Okay, let me analyze this photo. A dog.",
        "I need to describe the photo in one sentence. A dog.",
    ],
)
def test_thoughts_that_nothing_parts_from_an_answer_are_none(answer):
    assert without_reasoning(answer) == ""


@pytest.mark.parametrize(
    "caption",
    [
        "Thought bubbles float above a boy.",
        "Thinking: a sculpture by Rodin in bronze.",
        "A book cover that reads [THINK] in red letters.",
        "The user manual of a washing machine lies on a table.",
        "The user interface of a camera app shows a dog.",
        "A note reads: I need to write.\nThe user wants coffee.",
        'Thinking Process: 1. a dog\n{"caption": "A dog."}',
        "Let it snow, says a sign.",
        "We have a winner: a boy holds a cup.",
        "Let's see who can catch the bigger fish!",
        "Let's look at the picture wall: family photos in gilded frames.",
        "Let me look through the photo album with you, grandma.",
        "I must look silly in this hat, but the kids loved it.",
        "We must write postcards to everyone from this café.",
        "So, we need to look at the map again.",
    ],
)
def test_captions_that_speak_of_thinking_stay(caption):
    assert without_reasoning(caption) == caption


@given(st.lists(st.sampled_from([*MARKS, "dog", " ", "beach"])).map("".join))
def test_no_mark_survives_and_nothing_is_added(answer):
    left = without_reasoning(answer)
    assert not any(mark in left for mark in MARKS)
    assert left.count("dog") <= answer.count("dog")


@given(st.text(alphabet="abc <>/.\n"), st.text(alphabet="xyz .\n"))
def test_a_closed_block_in_front_leaves_the_caption_as_it_is(thought, caption):
    assert without_reasoning(f"<think>{thought}</think>{caption}") == caption.strip()
