"""What becomes of an answer: a caption worth keeping, or a verdict the journal can hold."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picture_captioner import foreign_text
from picture_captioner.backends.base import Caption
from picture_captioner.errors import (
    ApiError,
    EmptyFileError,
    ModelError,
    Status,
    TransientError,
    Usage,
)
from picture_captioner.journal.record import parse_entry
from picture_captioner.pipeline.recording.answers import judge_answer
from picture_captioner.pipeline.recording.recorder import (
    copied_record,
    corrupt_record,
    failure_record,
    success_record,
)
from picture_captioner.pipeline.selecting.walk import Photo

KEY = "sk-canary-0123456789abcdef"
ANY_TEXT = st.text(st.characters() | st.sampled_from(" \t\n\r\x85\u2028\u3000\udce9"))


@given(text=ANY_TEXT)
def test_a_caption_is_one_line_without_margins_or_it_is_none(text):
    try:
        caption = judge_answer(text).text
    except ModelError as verdict:
        assert verdict.code == "empty" if not text.split() else verdict.code != "validation"
        return
    assert caption in " ".join(text.split())
    assert judge_answer(caption).text == caption


@pytest.mark.parametrize("nothing", ["", " \n\t", Caption(None), Caption("  ")])
def test_nothing_is_never_a_caption(nothing):
    with pytest.raises(ModelError, match="empty") as verdict:
        judge_answer(nothing)
    assert verdict.value.code == "empty"


def test_structured_fields_are_an_answer_without_a_text():
    assert judge_answer(Caption(" ", fields={"tags": ["a"]})).text is None


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        ["a caption"],
        Caption(7),
        Caption("a", cost_usd=math.nan),
        Caption("a", cost_usd="free"),
        Caption("a", requests=True),
        Caption("a", input_tokens=1.5),
        Caption("a", fields={"tags": {"a", "b"}}),
        Caption("a", fields={"score": math.inf}),
        Caption("a", fields={1: "a"}),
        Caption("a", fields=["tags"]),
        Caption("a", model_version=3),
    ],
)
def test_what_the_journal_cannot_hold_is_a_verdict_on_one_photo(nonsense):
    with pytest.raises(ModelError) as verdict:
        judge_answer(nonsense)
    assert verdict.value.code == "validation"


def test_what_is_far_longer_than_asked_for_is_no_caption():
    words = " ".join(f"word{n}" for n in range(2_000))
    for answer in (
        Caption(words, input_tokens=9),
        Caption("Sea", {"title": words}, input_tokens=9),
    ):
        with pytest.raises(ModelError) as verdict:
            judge_answer(answer, max_tokens=256)
        assert (verdict.value.code, verdict.value.usage) == ("too_long", {"input_tokens": 9})
        assert judge_answer(answer, max_tokens=4_000).text
    assert judge_answer(f"<think>{words}</think>A dog.", max_tokens=256).text == "A dog."
    with pytest.raises(ModelError):
        judge_answer(words * 100, max_tokens=10**9)


def test_no_record_holds_a_key_or_a_name_without_end(monkeypatch, photo, loaded, identity):
    monkeypatch.setattr(foreign_text, "_keys", {KEY})
    usage = Usage(requests=1, input_tokens=10**400, cost_usd=math.inf, service_tier=KEY)
    answer = Caption(KEY, {"tags": [KEY]}, KEY, service_tier=KEY)
    for record in (
        success_record(photo, loaded, answer, identity, 5),
        failure_record(photo, loaded, ModelError(KEY, usage=usage), identity, 5),
        failure_record(photo, loaded, ModelError("x"), identity, 5, usage),
    ):
        assert KEY.encode() not in record.to_line()
        assert record.service_tier == "[key]"
        assert record.input_tokens is None
    endless = Caption("A.", model_version="m" * 10_000, service_tier="t" * 10_000)
    assert len(success_record(photo, loaded, endless, identity, 5).to_line()) < 1_000


NUMBERS = st.none() | st.integers(0, 10**9)


@given(
    answer=st.builds(
        Caption,
        text=ANY_TEXT,
        fields=st.dictionaries(st.text(max_size=5), NUMBERS | st.text(max_size=5), max_size=3),
        input_tokens=NUMBERS,
        cost_usd=st.none() | st.floats(),
        requests=NUMBERS,
    )
)
def test_whatever_was_judged_good_can_be_written(answer, photo, loaded, identity):
    try:
        caption = judge_answer(answer)
    except ModelError:
        return
    line = success_record(photo, loaded, caption, identity, latency_ms=5).to_line()
    entry = parse_entry(line, offset=0)
    assert entry.success
    assert identity.made(entry)


def test_a_success_carries_all_that_was_reported(photo, loaded, identity):
    answer = Caption("A cat.", {"tags": ["cat"]}, "s-1-2026", 10, 3, 2, 0.001, 1)
    line = json.loads(success_record(photo, loaded, answer, identity, 5).to_line())
    assert line.pop("created_at").endswith("Z")
    assert line == {
        "rel_path": photo.rel_path,
        "caption": "A cat.",
        "status": "success",
        "tags": ["cat"],
        "backend": "service",
        "model": "s-1",
        "model_version": "s-1-2026",
        "prompt_sha256": "0" * 12,
        "content_sha256": "c" * 64,
        "size": 100,
        "mtime_ns": 7,
        "input_tokens": 10,
        "output_tokens": 3,
        "cached_tokens": 2,
        "cost_usd": 0.001,
        "requests": 1,
        "latency_ms": 5,
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelError("no", code="refused"), Status.ERROR_MODEL),
        (ApiError("no", code="policy"), Status.ERROR_API),
        (TransientError("no", code="timeout"), Status.ERROR_API),
    ],
)
def test_a_failure_says_who_failed_and_why(error, status, photo, loaded, identity):
    record = failure_record(photo, loaded, error, identity, 5)
    assert (record.status, record.caption) == (status, None)
    assert record.error == (error.code, "no")
    assert (record.backend, record.content_sha256, record.latency_ms) == ("service", "c" * 64, 5)
    assert parse_entry(record.to_line(), offset=0).status is status


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("GET https://api.test/v1/x?key=SECRET failed", "GET https://api.test/v1/x failed"),
        ("for url 'https://api.test/?a=SECRET&b=1'", "for url 'https://api.test/'"),
        ("[Errno 2] No such file: '/home/SECRET/my photos/a.jpg'", "No such file: 'a.jpg'"),
        ("cannot open /Users/SECRET/a.jpg: gone", "cannot open a.jpg: gone"),
        ("24/7, and/or a 4/3 ratio? yes", "24/7, and/or a 4/3 ratio? yes"),
    ],
)
def test_a_failure_names_no_url_query_and_no_absolute_path(message, kept, photo, loaded, identity):
    error = ModelError(message, code="exception")
    told = failure_record(photo, loaded, error, identity, 5).error.message
    assert "SECRET" not in told
    assert kept in told


@given(text=st.text(st.sampled_from("/a '?:\udce9"), max_size=800))
def test_a_failure_has_at_most_500_characters(text, photo, loaded, identity):
    record = failure_record(photo, loaded, ModelError(text), identity, 5)
    assert len(record.error.message) <= 500
    parse_entry(record.to_line(), offset=0)


def test_a_verdict_of_the_image_loader_is_real_and_made_by_no_backend(photo):
    record = corrupt_record(photo, EmptyFileError("no bytes"))
    assert (record.status, record.error) == (Status.ERROR_CORRUPT, ("empty_file", "no bytes"))
    assert (record.placeholder, record.backend, record.model) == (False, None, None)
    assert (record.size, record.mtime_ns) == (photo.size, photo.mtime_ns)


def test_a_copy_says_whose_it_is_and_costs_nothing(photo, loaded, identity):
    answer = Caption("A cat.", {"tags": ["cat"]}, "v", 10, 3, 2, 0.001, 1)
    leader = success_record(Photo("b.jpg", 100, 9), loaded, answer, identity, 5)
    copy = copied_record(photo, loaded, leader)
    assert (copy.rel_path, copy.copied_from, copy.mtime_ns) == (photo.rel_path, "b.jpg", 7)
    assert (copy.caption, copy.extra, copy.backend) == ("A cat.", {"tags": ["cat"]}, "service")
    for cost in ("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "requests"):
        assert getattr(copy, cost) is None
    assert copy.latency_ms is None


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("This image shows a dog on a beach.", "A dog on a beach."),
        ("The photo depicts two boats.", "Two boats."),
        ("In this picture, a cat sleeps.", "A cat sleeps."),
        ("this photograph is of my grandmother", "My grandmother"),
        ("The image of a saint hangs over a door.", "The image of a saint hangs over a door."),
        ("A dog shows its teeth.", "A dog shows its teeth."),
        ("The picture is of poor quality and shows a man.",) * 2,
        ("This photo is of a very high resolution and shows a moth.",) * 2,
        ("The picture shows that the door was left open.",) * 2,
        ("The image features prominently in a shop window.",) * 2,
    ],
)
def test_the_opening_that_every_caption_would_share_is_removed(answer, caption):
    assert judge_answer(answer).text == caption
