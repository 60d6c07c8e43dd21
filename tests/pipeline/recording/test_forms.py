"""What is no caption by its form, and captions of screens, signs and codes that look like it."""

import time

import pytest

from picture_captioner.errors import ModelError
from picture_captioner.pipeline.recording.answers import fault_in, judge_answer
from tests.pipeline.recording.test_refusals import answers


def code_of(answer, **how):
    """The code of the verdict; None for a caption."""
    try:
        judge_answer(answer, **how)
    except ModelError as verdict:
        return verdict.code
    return None


@pytest.mark.parametrize(
    "answer",
    [
        "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body></body></html>",
        "<html><body>Sign in to WiFi",
        '<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
        "<error>busy</error>",
        "<image_soft_token>",
        '<tool_call>{"name":"describe","arguments":{}}</tool_call>',
        '<tool_call>{"name":"describe"',
        '{"error": "Internal server error", "code": 500}',
        '{"detail": "Not Found"}',
        '{"caption": "A dog runs across a wet',
        '```json\n{"caption": "A dog on a',
        '{"caption": {"type": "string"}, "required": ["caption"]}',
        '{"type": "object", "properties": {"caption": {"description": "a caption"}}}',
        'data: {"choices":[{"delta":{"content":"A dog"}}]}',
        '{"name": "describe_image", "arguments": {"image": "photo.jpg"}}',
        "function_call: describe_image()",
        "describe_image(photo)",
        "import torch; print(1)",
        "def caption(image): return image",
        'Traceback (most recent call last):\n  File "server.py", line 3',
        "RuntimeError: no kernel image",
        "torch.cuda.OutOfMemoryError: tried to allocate 2 GiB",
        "Error: upstream request timed out",
        "panic: runtime error: index out of range [3] with length 3",
        "goroutine 17 [running]: main.handle(0xc0000b2000)",
        "thread 'main' panicked at src/main.rs:42:18",
        "dial tcp 10.0.0.4:8080: connect: no route to host",
        "HTTP/1.1 503 Service Unavailable",
        "![image](http://example.com/x.jpg)",
        "https://example.com/a.png",
        "data:image/png;base64,iVBORw0KGgo",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "IMG_1234.jpg",
        "2023/holiday-3.heic",
        "#dog #meadow #nature",
        "7",
        "0.87",
        "Confidence: 0.93",
        "Score: 8/10",
        "[Insert caption here]",
        "[Your caption here]",
        "[image description]",
        "{caption}",
        "<caption>",
        "[PAD][PAD]",
        "<0x0A>",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
        "Yes.",
        "True",
        "unsafe S4",
        "B",
        "Tags: dog, beach",
        '<function=caption>{"text": "A dog"}</function>',
        "Service Unavailable",
        "503 Service Unavailable",
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "Rate limit exceeded. Please try again later.",
        "Loading...",
    ],
)
def test_what_a_server_or_a_program_says_is_broken(answer):
    assert code_of(answer) == "broken"


@pytest.mark.parametrize(
    "answer",
    [
        "Caption:",
        "**Description:**",
        "Here is a caption for the photo:",
        "The image shows",
        "This photo is of a",
        "In this image, we see",
        "Das Bild zeigt:",
        "L'image montre",
        "图片显示",
        '{"caption": null}',
        '{"caption": ""}',
        '```json\n{"caption": null}\n```',
    ],
)
def test_a_label_without_a_caption_is_empty(answer):
    assert code_of(answer) == "empty"


QUESTION = "Name the three main colours of this photo, and nothing else."


def test_the_question_given_back_is_no_caption():
    assert code_of(QUESTION, prompt=QUESTION) == "broken"
    assert code_of("name the three main colours of this photo", prompt=QUESTION) == "broken"
    assert code_of("Red, blue and green.", prompt=QUESTION) is None


@pytest.mark.parametrize(
    "answer",
    ["7", "Yes.", "B", "Score: 8/10", "#dog #meadow", '{"colours": ["red", "blue"]}', "[1, 2]"],
)
def test_what_only_a_persons_own_question_may_have_asked_for(answer):
    assert code_of(answer) == "broken"
    assert code_of(answer, prompt=QUESTION) is None
    assert fault_in(answer, {}) is None, "a stored one may have been asked for"


@pytest.mark.parametrize(
    "answer", ['{"error": "busy"}', '{"caption": null}', "<b></b>", '{"a": "b']
)
def test_what_nobody_asks_for(answer):
    assert code_of(answer, prompt=QUESTION)
    assert fault_in(answer, {})


def test_captions_of_screens_errors_code_and_signs_are_captions():
    rows = [(lang, text) for kind, lang, text in answers("unseen_errors.tsv") if kind == "caption"]
    assert len(rows) >= 140
    assert len({lang for lang, _ in rows}) >= 12
    wrong = {text: code for _, text in rows if (code := code_of(text))}
    assert len(wrong) <= 1, wrong


def test_errors_in_words_that_it_did_not_learn_from_are_found():
    """Written before the answers that it learned from were, or kept aside until the end."""
    learned = {text for _, _, text in answers("answers.tsv")}
    errors = [text for kind, _, text in answers("unseen_errors.tsv") if kind == "error"]
    assert learned.isdisjoint(errors)
    missed = [text for text in errors if code_of(text) is None]
    assert len(missed) <= 0.15 * len(errors), missed


@pytest.mark.parametrize(
    "unit", ["<a ", "<a>", '{"', "[[", "#a ", "a.b(", "a_", "1 ", "aA1", "(", "a "]
)
def test_a_long_answer_takes_no_time(unit):
    code_of(unit)  # the weights are read once
    started = time.process_time()
    code_of(unit * 50_000)
    assert time.process_time() - started < 2
