"""How little a model may think is known or found out, and paid for once."""

import pytest

from picture_captioner.backends.compatible import CompatibleBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.backends.reasoning import LADDER, Headroom, next_effort
from picture_captioner.errors import ModelError, UsageError
from tests.backends.openai_family import PHOTO, backend
from tests.providers.contracts import contract
from tests.providers.openai_server import USAGE, OpenAIServer, Reply, completion, failure

LISTED = (
    "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported "
    "values are: 'low', 'medium', and 'high'."
)


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def thinking(text, finish, tokens):
    """An answer before which so many tokens were thought."""
    usage = USAGE | {"completion_tokens_details": {"reasoning_tokens": tokens}}
    return Reply(body=completion(text, finish) | {"usage": usage})


def limits(server):
    return [seen.json["max_completion_tokens"] for seen in server.captions_asked()]


@pytest.mark.parametrize(
    ("refused", "words", "taken"),
    [
        ("none", LISTED, "low"),
        ("none", "bad value", "minimal"),
        ("minimal", "Supported values are: 'none', 'low', 'medium'", "low"),
        ("high", "bad value", None),
        ("of tomorrow", "bad value", None),
    ],
)
def test_the_next_level_is_the_lowest_that_is_taken(refused, words, taken):
    assert next_effort(refused, words) == taken
    assert taken is None or taken in LADDER


def test_a_model_that_does_not_take_none_gets_the_lowest_that_it_takes(server):
    server.script.append(failure(400, LISTED, "unsupported_value", param="reasoning_effort"))
    server.script.append(
        failure(400, "Unsupported value: 'temperature' does not support 0.3", param="temperature")
    )
    asked = backend(server, model="gpt-6-luna")
    assert asked.caption(PHOTO, ()).requests == 3
    assert asked.caption(PHOTO, ()).requests == 1
    last = server.captions_asked()[-1].json
    assert last["reasoning_effort"] == "low"
    assert "temperature" not in last
    assert last["max_completion_tokens"] > 1000, "thinking would use up the 256 of a caption"


def test_room_for_thinking_is_found_once_and_kept(server):
    """Each photo was billed three times before: with 256, 512 and 1,024 tokens."""
    server.script.append(thinking("", "length", 256))
    asked = backend(server, model="gpt-5-pro")
    with pytest.raises(ModelError) as caught:
        asked.caption(PHOTO, ())
    assert caught.value.code == "truncated"
    for _ in range(3):
        server.script.append(thinking("A dog.", "stop", 600))
        assert asked.caption(PHOTO, ()).text == "A dog."
    assert limits(server) == [256, 256 + 1024, 256 + 1024, 256 + 1024]
    assert asked.answer_room >= 1024


def test_a_long_caption_is_no_thinking():
    room = Headroom()
    room.learn(0, cut_off=True)
    assert room.tokens == 0
    room.learn(300, cut_off=False)
    assert room.tokens == 600


def test_thoughts_that_nobody_counts_are_seen(server):
    server.models = ("local",)
    server.script.append(Reply(body=completion("", "length", reasoning_content="Well. " * 200)))
    asked = backend(server, kind=CompatibleBackend, model="local")
    with pytest.raises(ModelError):
        asked.caption(PHOTO, ())
    asked.caption(PHOTO, ())
    assert server.captions_asked()[-1].json["max_tokens"] == 256 + 1024


def test_a_local_server_that_knows_no_effort_is_asked_without(server):
    server.script.append(failure(400, "Unrecognized request argument: reasoning_effort"))
    asked = backend(server, kind=CompatibleBackend, model="local")
    assert asked.caption(PHOTO, ()).requests == 2
    assert "reasoning_effort" not in server.captions_asked()[-1].json


def test_any_field_can_be_added_to_the_body(server):
    body = '{"chat_template_kwargs": {"enable_thinking": false}, "temperature": 1}'
    server.contract = contract("compatible")  # OpenAI itself refuses what it does not know
    asked = backend(server, kind=CompatibleBackend, model="m", options=[f"extra_body={body}"])
    asked.caption(PHOTO, ())
    sent = server.captions_asked()[-1].json
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["temperature"] == 1


@pytest.mark.parametrize("body", ["{", "[]", '{"messages": []}', '{"model": "x"}'])
def test_what_cannot_be_added_is_a_usage_error(server, body):
    with pytest.raises(UsageError, match="extra_body"):
        backend(server, kind=OpenAIBackend, options=[f"extra_body={body}"])
