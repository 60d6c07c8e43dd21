"""Foreign text: cut, then handled in linear time, and no form of a key survives it."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner import foreign_text
from picture_captioner.backends import (
    fields,
    gemini_protocol,
    http_errors,
    openai_errors,
    rate_limits,
    reasoning,
)
from picture_captioner.backends.field_values import clean_tag, cut_at_word, one_line
from picture_captioner.backends.http_service import MAX_QUOTED
from picture_captioner.cli import terminal
from picture_captioner.errors import MAX_ERROR_MESSAGE, ModelError
from picture_captioner.foreign_text import (
    MAX_LOOKED_AT,
    all_without_secrets,
    clean,
    forms_of,
    keep_secret,
    without_secrets,
)
from picture_captioner.image_loader import decode_errors
from picture_captioner.journal.record import parse_entry
from picture_captioner.library import selection
from picture_captioner.metadata import times
from picture_captioner.pipeline.recording import answers
from picture_captioner.report import csv_export, duplicates, text, words

KEY = "sk-proj-CANARY0123456789"


@pytest.fixture
def no_keys(monkeypatch):
    monkeypatch.setattr(foreign_text, "_keys", set())


def quoted(said: str, secret: str) -> str:
    return clean(said, MAX_QUOTED, secret)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Rate limit reached", "Rate limit reached"),
        ("two\n lines\tand tabs", "two lines and tabs"),
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: [key]."),
        ("Incorrect key: sk-proj-abc*****xyz9", "Incorrect key: [key]"),
        ("sent Authorization: Bearer abc.def", "sent Authorization: [key]"),
        ("bad image data:image/jpeg;base64," + "QUJD" * 40, "bad image [data]"),
        ("see https://api.example.com/a?key=1#x now", "see https://api.example.com/a now"),
        ("at https://me:pw@host.example/v1", "at https://host.example/v1"),
        ("cannot open /home/anna/photos/kid.jpg", "cannot open kid.jpg"),
        (r"cannot open C:\Users\Anna\kid.jpg", "cannot open kid.jpg"),
        ("model `Qwen/Qwen2.5-VL-7B-Instruct`", "model `Qwen/Qwen2.5-VL-7B-Instruct`"),
        ("POST /v1/chat/completions 404", "POST completions 404"),
        ("and/or 3/4", "and/or 3/4"),
        ("<html><body>502 Bad Gateway</body></html>", ""),
        ("\n<!DOCTYPE html><title>login</title>", ""),
        ("", ""),
    ],
)
def test_quoted_words_hold_nothing_private(text, cleaned):
    assert quoted(text, KEY) == cleaned


def test_without_a_key_nothing_is_replaced():
    assert quoted("no key here", "") == "no key here"


@given(st.text(), st.text(), st.integers(1, 3))
def test_the_key_never_survives_and_the_length_is_bounded(before, after, times):
    cleaned = quoted(before + KEY * times + after, KEY)
    assert KEY not in cleaned
    assert len(cleaned) <= MAX_QUOTED


def test_a_long_text_is_cut_where_it_shows():
    cleaned = quoted("word " * 200, KEY)
    assert len(cleaned) == MAX_QUOTED
    assert cleaned.endswith("…")


def test_a_key_that_is_cut_in_half_does_not_survive(no_keys):
    for length in range(6, len(KEY)):
        said = clean(("word " * 1000)[: MAX_LOOKED_AT - length] + KEY, 2 * MAX_LOOKED_AT, KEY)
        assert KEY[:6] not in said


@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_no_form_of_a_key_survives(before, after):
    data = before + KEY.encode() + after
    echoes = [
        KEY[::-1],
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        data.hex(),
        quote(data),
        json.dumps([KEY]),
    ]
    for echo in echoes:
        assert any(form in echo for form in forms_of(KEY)), echo
        said = clean(f"you sent {echo}", 400, KEY)
        assert not any(form in said for form in forms_of(KEY)), said


def test_keys_that_a_caption_may_hold_by_chance_are_left(no_keys):
    for key in ("", "x", "EMPTY", "ollama", "anything", "photograph"):
        keep_secret(key)
    said = "an EMPTY box, a photograph of anything"
    assert without_secrets(said) == said
    keep_secret(f" {KEY}\n")
    assert without_secrets(f"a {KEY} sign") == "a [key] sign"
    fields = {"title": f"x{KEY}", "tags": [KEY[::-1], "dog"], "n": 3, "deep": {"a": {"b": KEY}}}
    told = all_without_secrets(fields)
    assert told == {
        "title": "x[key]",
        "tags": ["[key]", "dog"],
        "n": 3,
        "deep": {"a": {"b": "[key]"}},
    }


@pytest.mark.parametrize(
    "echo",
    [
        " ".join(KEY),
        "-".join(KEY[3:]),
        "-\n".join(KEY).upper(),
        f"{KEY[:12]}\n    {KEY[12:]}",
        KEY.removeprefix("sk-"),
        KEY.removeprefix("sk-proj-").lower(),
        " ".join(KEY)[::-1],
        base64.b64encode(KEY.removeprefix("sk-proj-").encode()).decode(),
    ],
)
def test_a_key_written_otherwise_or_without_its_prefix_is_taken_out(no_keys, echo):
    keep_secret(KEY)
    for said in (without_secrets(f"a {echo} b"), clean(f"a {echo} b", 400)):
        assert said.startswith("a [key]"), said
        assert said.endswith(" b"), said
        assert "canary" not in said.lower().replace(" ", "").replace("-", "")


def test_captions_keep_words_that_only_resemble_a_key(no_keys):
    for key in ("lm-studio", "my-local-secret-key", "sk-local", KEY):
        keep_secret(key)
    said = "An LM studio: my local secret key on a ring, canary 0123, SK local."
    assert without_secrets(said) == said


# --- time ---


def _read_fields(said: str) -> None:
    asked = fields.FieldsAsked(("caption", "tags"))
    try:
        asked.read(said)
    except ModelError:
        return


def _judge(said: str) -> None:
    try:
        answers.judge_answer(said)
    except ModelError:
        return


def _parse_line(said: str) -> None:
    try:
        parse_entry(json.dumps({"rel_path": said, "caption": said, "status": "x"}).encode(), 0)
    except ValueError:
        return


def _quotas(said: str) -> None:
    names = (
        "x-ratelimit-reset-requests",
        "ratelimit",
        "ratelimit-limit",
        "ratelimit-reset",
        "date",
    )
    rate_limits.quotas(dict.fromkeys(names, said) | {"ratelimit-remaining": "1"})


def _openai_error(said: str) -> None:
    failure = openai_errors.HttpFailure(
        400, said[:100], openai_errors.error_text([{"msg": said}] * 3)
    )
    for pattern in (openai_errors._NO_QUOTA, openai_errors._NO_MODEL, openai_errors._BAD_KEY):
        failure.matches(pattern)


HANDLERS: dict[str, Callable[[str], object]] = {
    "clean": lambda said: clean(said, MAX_ERROR_MESSAGE, KEY),
    "clean, uncut": lambda said: foreign_text._without_places(
        foreign_text._KEY_LIKE.sub("", foreign_text._ENCODED.sub("", said))
    ),
    "without_secrets": lambda said: foreign_text._replaced(said, (KEY,)),
    "safe": terminal.safe,
    "an answer": _judge,
    "fields": _read_fields,
    "reasoning": reasoning.without_reasoning,
    "a tag": clean_tag,
    "one line": one_line,
    "cut at a word": lambda said: cut_at_word(said, 100),
    "retry-after": lambda said: http_errors.retry_after_seconds({"retry-after": said}),
    "quotas": _quotas,
    "OpenAI's errors": _openai_error,
    "Gemini's errors": lambda said: gemini_protocol._FORMAT.search(said),
    "a journal line": _parse_line,
    "EXIF's time": lambda said: (times._TIME.match(said), times._OFFSET.match(said)),
    "a decoder's words": decode_errors._CUT_SHORT.search,
    "a query": lambda said: list(selection._PIECE.finditer(said)),
    "a cell": csv_export.cell,
    "Markdown": text.markdown,
    "a name in Markdown": text.markdown_name,
    "words": lambda said: list(words.words(said)),
    "a copy's name": lambda said: duplicates._COPY.search(said),
}
NASTY = (
    "C A N A R Y 0-1-2-3-4-5-6-7-8-9 ",
    "é", "1", " ", "\n", "/", ":", '\t"', "; ", "/a", "/é ", "a://b?", "://", "://a@", "a:\\",
    "data:x;", "sk-", "Bearer ", "```{", "{", "{}", "<think>", "</think>", "no é ", "model é", "'",
    "=+", "(1", "e\u0301", "QUJD", "--", "1,", "q =", "exceeded your current quota",
)  # fmt: skip
"""What the patterns look for, again and again, and never what would end it."""


def cost(handle: Callable[[str], object], unit: str, length: int) -> float:
    """Processor seconds of this thread, to which nothing else adds; the better of 2."""
    said = unit * (length // len(unit))
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()
        handle(said)
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("name", HANDLERS)
def test_time_grows_with_the_length_and_not_with_its_square(name):
    """16 times the text: 16 times the time if it is linear, 256 times if it is not."""
    slow = []
    for unit in NASTY:
        short, long = cost(HANDLERS[name], unit, 2_500), cost(HANDLERS[name], unit, 40_000)
        if long > 0.02 and long > 64 * short:
            slow.append(f"{unit!r}: {short * 1e3:.2f} ms, then {long * 1e3:.0f}")
    assert not slow


@pytest.mark.parametrize("name", HANDLERS)
def test_the_longest_text_lets_other_threads_run(name):
    """Ctrl+C is a matter of the main thread: 100,000 letters hold it up for less than a second."""
    for unit in ("é", " ", "/a", "```{", "\n", "{"):
        worker = threading.Thread(target=HANDLERS[name], args=(unit * (100_000 // len(unit)),))
        began = time.process_time()
        worker.start()
        worker.join()
        assert time.process_time() - began < 1.5, unit
