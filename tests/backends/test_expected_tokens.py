"""Backends say what a photo should take, without a key and without sending anything."""

import pytest

from picture_captioner.backends.anthropic import AnthropicBackend
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.gemini import GeminiBackend
from picture_captioner.backends.hyperbolic import HyperbolicBackend
from picture_captioner.backends.mock import MockBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.backends.registry import parse_options
from picture_captioner.backends.tokens import OUTPUT_TOKENS, text_tokens
from picture_captioner.backends.xai import XaiBackend


def expected(kind, width=1024, height=768, options=(), **settings):
    given = {"model": kind.default_model, "options": parse_options(kind, options)} | settings
    return kind(BackendSettings(**given)).expected_tokens(width, height)


@pytest.mark.parametrize(
    ("kind", "image"),
    [
        (OpenAIBackend, 922),
        (AnthropicBackend, 37 * 28),
        (GeminiBackend, 560),
        (HyperbolicBackend, 37 * 27 + 2),
        (OllamaBackend, 37 * 27 + 2),
    ],
)
def test_picture_question_and_answer_of_the_default_model(kind, image):
    tokens = expected(kind)
    assert tokens.image == image
    assert 40 < tokens.text < 120
    assert tokens.output == OUTPUT_TOKENS["caption"]
    assert tokens.input == tokens.image + tokens.text


@pytest.mark.parametrize("kind", [XaiBackend, MockBackend])
def test_without_a_published_rule_nothing_is_expected(kind):
    assert expected(kind) is None


def test_options_that_change_the_price_change_what_is_expected():
    assert expected(OpenAIBackend, model="gpt-4o", options=["detail=low"]).image == 85
    assert expected(OpenAIBackend, model="gpt-4o").image == 765
    assert expected(GeminiBackend, options=["media_resolution=low"]).image == 280


def test_reasoning_that_cannot_be_switched_off_counts_as_output():
    assert expected(OpenAIBackend, model="o4-mini", max_tokens=300).output == 300
    assert expected(OpenAIBackend, options=["reasoning_effort=default"]).output == 256
    plain, thinking = (expected(GeminiBackend, model=f"gemini-3-{m}") for m in ("flash", "pro"))
    assert thinking.output > plain.output


def test_more_fields_and_a_longer_question_cost_more():
    plain = expected(OpenAIBackend)
    assert expected(OpenAIBackend, fields=("caption", "tags")).output == plain.output + 30
    assert expected(OpenAIBackend, fields=("caption",) * 100).output == 256, "the token limit"
    assert expected(OpenAIBackend, prompt="x" * 4000).text > plain.text + 900
    assert expected(OpenAIBackend, language="German").text > plain.text


def test_text_is_counted_by_its_length():
    assert text_tokens("") == 0
    assert text_tokens("a dog on a beach") == 4
    assert text_tokens("海辺の犬") == 4
