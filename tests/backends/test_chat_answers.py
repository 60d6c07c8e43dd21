"""Chat completions, good, bad and misshapen, as the SDK hands them over unvalidated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.chat import ChatCompletion

from picture_captioner.backends.chat_answers import caption_from, failure_inside
from picture_captioner.errors import ApiError, ModelError, PhotoError

USAGE = {"prompt_tokens": 900, "completion_tokens": 12, "total_tokens": 912}


CUT = ("LENGTH", "max_tokens", "MAX_TOKENS", "model_length", "maxPredictedTokensReached")
BROKEN_OFF = ("error", "abort", "ERROR", "insufficient_system_resource", "network-error")
UNSAID = (None, "", "unheard_of", 3, "tool_calls")
WHOLE = ("stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", "COMPLETE", "eosFound")


def completion(content="A dog.", finish="stop", usage=None, model="m-2026", **message):
    """An answer as the SDK builds it from JSON: without validation."""
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": USAGE if usage is None else usage,
    }
    return built(body)


def built(body):
    return construct_type(value=body, type_=ChatCompletion)


def refusal_of(answer):
    with pytest.raises(PhotoError) as caught:
        caption_from(answer, 1)
    return caught.value


def test_a_caption_with_what_it_cost():
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 12,
        "total_tokens": 912,
        "prompt_tokens_details": {"cached_tokens": 512},
        "cost": 0.0021,
    }
    caption = caption_from(completion(usage=usage), 2)
    assert caption.text == "A dog."
    assert caption.model_version == "m-2026"
    assert (caption.input_tokens, caption.output_tokens, caption.cached_tokens) == (900, 12, 512)
    assert (caption.cost_usd, caption.requests) == (0.0021, 2)


@pytest.mark.parametrize(
    ("total", "billed"), [(912, 12), (1012, 112)], ids=["within, as OpenAI", "beside, as xAI"]
)
def test_reasoning_tokens_are_counted_once(total, billed):
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 12,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    assert caption_from(completion(usage=usage), 1).output_tokens == billed


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (completion(""), "empty"),
        (completion(None), "empty"),
        (completion(" \n"), "empty"),
        (completion("A dog and", "length"), "truncated"),
        (completion("", "length"), "truncated"),
        (completion("<think>hm", "length"), "truncated"),
        (completion("I", "content_filter"), "refused"),
        (completion("I", "content_filter: SAFETY"), "refused"),
        (completion("A dog.", "RECITATION"), "refused"),
        *((completion("A dog.", word), "truncated") for word in CUT),
        *((completion("A dog.", word), "unfinished") for word in BROKEN_OFF),
        *((completion("A dog runs across a", word), "unfinished") for word in UNSAID),
        (completion(None, refusal="I cannot help with that."), "refused"),
        (completion("<think>hm</think>"), "reasoning"),
        (completion("", reasoning_content="hm"), "reasoning"),
        (completion(None, reasoning="hm"), "reasoning"),
    ],
)
def test_what_is_no_caption_says_why_and_what_it_cost(answer, code):
    error = refusal_of(answer)
    assert (type(error), error.code) == (ModelError, code)
    assert error.usage == {"requests": 1, "input_tokens": 900, "output_tokens": 12}


def test_an_answer_of_which_nobody_says_so_is_whole_unless_it_plainly_breaks_off():
    for word in WHOLE:
        assert caption_from(completion("A dog on a lawn", word), 1).text
    ends = (
        "A dog.",
        "a dog on a lawn",
        "犬",
        "Un chien !",
        '{"caption": "A dog"}',
        "A lamp turned on",
    )
    for word in UNSAID:
        for text in ends:
            assert caption_from(completion(text, word), 1).text == text


def test_a_count_that_is_left_out_is_the_rest_of_the_sum():
    for usage in ({"prompt_tokens": 900, "total_tokens": 900}, {"completion_tokens": 0}):
        caption = caption_from(completion(usage=usage | {"total_tokens": 900}), 1)
        assert (caption.input_tokens, caption.output_tokens) == (900, 0)
    lying = {"prompt_tokens": 900, "completion_tokens": -1, "total_tokens": 900}
    assert caption_from(completion(usage=lying), 1).output_tokens is None


def test_running_out_of_tokens_before_the_caption_is_told_apart():
    assert "before the caption began" in str(refusal_of(completion("", "length")))
    assert "was cut off after 12 tokens" in str(refusal_of(completion("A dog", "length")))


def test_reasoning_beside_the_caption_is_left_out():
    answer = completion("<think>hm</think>A dog.", reasoning_content="hm")
    assert caption_from(answer, 1).text == "A dog."


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": "A dog "}, {"type": "image"}, {"type": "text", "text": "on."}]
    assert caption_from(completion(parts), 1).text == "A dog on."


@pytest.mark.parametrize(
    ("reported", "kept"),
    [
        ("/srv/models/qwen.gguf", "qwen.gguf"),
        (r"C:\models\qwen.gguf", "qwen.gguf"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"),
        (None, None),
        (7, None),
    ],
)
def test_the_model_is_named_without_the_servers_directories(reported, kept):
    assert caption_from(completion(model=reported), 1).model_version == kept


@pytest.mark.parametrize(
    "answer",
    [
        "<html>login</html>",
        None,
        built({}),
        built({"choices": None}),
        built({"choices": []}),
        built({"choices": ["text"]}),
        built({"choices": {"0": 1}}),
    ],
)
def test_what_is_no_completion_is_malformed(answer):
    error = refusal_of(answer)
    assert (type(error), error.code) == (ApiError, "malformed")


def test_a_bill_without_an_answer_is_kept():
    error = refusal_of(built({"choices": [], "usage": USAGE}))
    assert error.code == "malformed"
    assert error.usage == {"requests": 1, "input_tokens": 900, "output_tokens": 12}


@pytest.mark.parametrize("value", [900, 900.0, "900"])
def test_a_count_that_is_whole_is_one_however_it_is_written(value):
    caption = caption_from(completion(usage={"prompt_tokens": value, "completion_tokens": "3"}), 1)
    assert (caption.input_tokens, caption.output_tokens) == (900, 3)


@pytest.mark.parametrize(
    "value", [900.5, "900.5", "", "9" * 400, 10**400, float("nan"), float("inf"), -1, True, "nine"]
)
def test_a_count_or_price_that_nothing_has_is_unknown(value):
    usage = {"prompt_tokens": value, "completion_tokens": 3, "cost": value}
    caption = caption_from(completion(usage=usage), 1)
    assert (caption.input_tokens, caption.output_tokens) == (None, 3)
    assert caption.cost_usd in {None, 900.5}


@pytest.mark.parametrize("usage", ["many", [], {"prompt_tokens": "x"}, {"prompt_tokens": -1}, True])
def test_usage_that_makes_no_sense_is_unknown(usage):
    caption = caption_from(completion(usage=usage), 1)
    assert caption.input_tokens is None
    assert caption.requests == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 429, "message": "busy"}}, 429),
        ({"error": {"code": "server", "message": "busy"}}, 0),
        ({"error": {"code": 200, "message": "busy"}}, 0),
        ({"choices": [{"finish_reason": "error", "error": {"code": 503, "message": "busy"}}]}, 503),
    ],
)
def test_an_error_inside_a_success_is_found(body, status):
    failure = failure_inside(built(body))
    assert (failure.status, failure.text) == (status, "busy")


@pytest.mark.parametrize("answer", [completion(), built({}), "text", None, built({"error": "x"})])
def test_no_error_is_made_up(answer):
    assert failure_inside(answer) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "error", "model", "code"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_caption_or_a_photo_error(body):
    answer = built(body)
    failure_inside(answer)
    try:
        assert caption_from(answer, 1).text
    except PhotoError as error:
        assert error.code


@pytest.mark.parametrize("extra", [{"truncated": True}, {"__verbose": {"truncated": True}}])
def test_a_question_that_the_server_cut_gives_no_caption(extra):
    answer = built(completion().model_dump() | extra)
    verdict = refusal_of(answer)
    assert (verdict.code, verdict.usage["input_tokens"]) == ("context", 900)
    untouched = built(completion().model_dump() | {"truncated": False, "__verbose": "no"})
    assert caption_from(untouched, 1).text == "A dog."
